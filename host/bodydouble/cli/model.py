"""`bodydouble model`: the library of models, and what they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from bodydouble.cli.group import LazyGroup
from bodydouble.cli.options import console, json_option, option
from bodydouble.cli.report import Report, check_writable, to_text
from bodydouble.errors import ExitCode

COMMANDS = {
    "list": ("bodydouble.cli.model", "list_"),
    "add": ("bodydouble.cli.model", "add"),
    "info": ("bodydouble.cli.model", "info"),
    "compile": ("bodydouble.cli.model", "compile_"),
    "run": ("bodydouble.cli.model_run", "run"),
    "compare": ("bodydouble.cli.model_run", "compare"),
    "bench": ("bodydouble.cli.model_run", "bench"),
    "profile": ("bodydouble.cli.model_run", "profile"),
}


@click.group(cls=LazyGroup, places=COMMANDS)
def model() -> None:
    """Any small int8 model: look at it, run it on a board, compare it bit for bit, time it.

    MODEL is a name that `bodydouble model list` shows, or the path of a .tflite file.
    """


@click.command("list")
@json_option
def list_(json_path: str | None) -> None:
    """List the models that have a name."""
    with Report(json_path, session=False) as report:
        from bodydouble.session.model.library import list_models  # noqa: PLC0415 - imports the compiler
        from bodydouble.views.models import model_list  # noqa: PLC0415

        found = list_models()
        report.to_json = lambda: to_text(
            {
                "models": [
                    {"name": m.name, "origin": m.origin, "purpose": m.purpose, "path": str(m.path)} for m in found
                ]
            }
        )
        console(json_path).print(model_list(found))


@click.command(short_help="Give models names of their own.")
@click.argument("source", metavar="FILE|DIR|URL")
@option("--name", metavar="NAME", help="What it will be called; else the file's or its manifest's name.")
@option("--replace", is_flag=True, help="Replace an added model of the same name.")
@json_option
def add(source: str, name: str | None, replace: bool, json_path: str | None) -> int:
    """Add models to the library, with the manifest beside them (microWakeWord's format); refuses what cannot run."""
    with Report(json_path, session=False) as report:
        from bodydouble.session.model.library import add_model  # noqa: PLC0415 - imports the compiler

        done = add_model(source, name, replace=replace)
        report.to_json = lambda: to_text(
            {
                "added": [{"name": m.name, "path": str(m.path)} for m in done.added],
                "refused": [str(error) for error in done.refused],
            }
        )
        for one in done.added:
            text = f"added [bold]{escape(one.name)}[/] ({escape(one.purpose)}): {escape(str(one.path))}"
            console(json_path).print(text, soft_wrap=True)
        for error in done.refused:
            click.echo(f"bodydouble: {error}", err=True)
        return ExitCode.USAGE if done.refused else ExitCode.PASSED


@click.command(short_help="Say what a model is made of and what it costs.")
@click.argument("name", metavar="MODEL")
@json_option
def info(name: str, json_path: str | None) -> None:
    """Say what a model is made of: operations, shapes, quantisation, weights, MACs, arena, and what would be slow."""
    with Report(json_path, session=False) as report:
        from bodydouble.session.model.describe import describe, facts  # noqa: PLC0415 - imports the compiler
        from bodydouble.session.model.library import find_model  # noqa: PLC0415
        from bodydouble.views.models import description  # noqa: PLC0415

        found = describe(find_model(name))
        report.to_json = lambda: to_text(facts(found))
        console(json_path).print(description(found))


@click.command("compile")
@click.argument("name", metavar="MODEL")
@option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the plan goes; else NAME.plan here.",
)
@json_option
def compile_(name: str, output: Path | None, json_path: str | None) -> None:
    """Compile a model to the plan that a board loads."""
    with Report(json_path, session=False) as report:
        from bodydouble.compiler import compile_model  # noqa: PLC0415 - slow to import
        from bodydouble.resources import write_atomically  # noqa: PLC0415
        from bodydouble.session.model.library import find_model  # noqa: PLC0415

        file = find_model(name)
        path = output or Path(f"{file.name}.plan")
        check_writable(path, "--output")
        plan = compile_model(file.read(), file.name, str(file.path))
        write_atomically(path, plan.blob)
        sizes: dict[str, Any] = {
            "plan": str(path), "plan_bytes": len(plan.blob), "arena_bytes": plan.arena_bytes, "sha256": plan.sha256,
        }  # fmt: skip
        report.to_json = lambda: to_text(sizes)
        text = f"{path}: {len(plan.blob):,} bytes, {len(plan.ops)} records, an arena of {plan.arena_bytes:,} bytes"
        console(json_path).print(text, markup=False, soft_wrap=True)
