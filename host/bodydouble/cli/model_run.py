"""`bodydouble model run|compare|bench|profile`: a model on a board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bodydouble.cli.options import board_options, console, json_option, option, several
from bodydouble.cli.report import Report, check_writable, to_text
from bodydouble.errors import ExitCode, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from bodydouble.session.model.detect import Heard
    from bodydouble.session.model.inputs import Inputs
    from bodydouble.session.model.library import ModelFile
    from bodydouble.session.model.runner import BoardModel, BoardRun

input_options = several(
    option(
        "--input",
        "input_path",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Run on a .npy, .npz or a recording; else on random inputs by seed.",
    ),
    option("--count", type=click.IntRange(1, 1_000_000), default=100, metavar="N", help="How many random inputs."),
    option("--seed", type=click.IntRange(0), default=0, metavar="N", help="Seed of the random inputs."),
)


@contextmanager
def _opened(file: ModelFile, given: dict[str, Any], out: Console) -> Iterator[BoardModel]:
    from bodydouble.session.model.lab import open_model  # noqa: PLC0415 - imports the compiler

    def grown(own_bytes: int, heap_bytes: int) -> None:
        out.print(
            f"{file.name} needs more than the board's {own_bytes:,} bytes of heap: given {heap_bytes:,}", style="dim"
        )

    with open_model(
        file,
        given["board"],
        tier=given["tier"],
        heap_bytes=given["heap_bytes"],
        stall_s=given["stall_s"],
        grown=grown,
    ) as opened:
        yield opened


def _inputs(opened: BoardModel, given: dict[str, Any]) -> Inputs:
    from bodydouble.session.model.inputs import Inputs, random_inputs, read_inputs  # noqa: PLC0415 - imports numpy

    if given["input_path"]:
        return read_inputs(given["input_path"], opened)
    return Inputs(random_inputs(opened.plan, given["count"], given["seed"]))


def _heard(file: ModelFile, opened: BoardModel, inputs: Inputs, done: BoardRun) -> Heard | str | None:
    # Text: why the manifest's rule cannot be applied. What the model computed is worth showing all the same.
    from bodydouble.session.model.detect import find_rule, listen  # noqa: PLC0415 - imports numpy

    try:
        rule = find_rule(file, opened.plan.output, opened.plan.stride)
    except InputError as error:
        return str(error)
    return listen(rule, done.outputs[0], inputs.ends_s) if rule else None


@click.command()
@click.argument("name", metavar="MODEL")
@board_options
@input_options
@option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the outputs as .npy, or as .npz where the model has several.",
)
@json_option
def run(name: str, json_path: str | None, **given: Any) -> None:
    """Run a model on a board and show what comes out."""
    with Report(json_path, session=False) as report:
        from bodydouble.session.model.library import find_model  # noqa: PLC0415 - imports the compiler
        from bodydouble.session.model.outputs import facts, write_outputs  # noqa: PLC0415
        from bodydouble.views.models import run_summary  # noqa: PLC0415

        if given["output"]:
            check_writable(given["output"], "--output")
        out = console(json_path)
        file = find_model(name)
        with _opened(file, given, out) as opened:
            inputs = _inputs(opened, given)
            done = opened.run(inputs.arrays)
            heard = _heard(file, opened, inputs, done) if inputs.ends_s else None
            known = None if isinstance(heard, str) else heard
            report.to_json = lambda: to_text(facts(opened, done, inputs, known))
            out.print(run_summary(opened, done, file.labels, inputs.ends_s, heard))
        if given["output"]:
            write_outputs(given["output"], done.outputs)


@click.command(short_help="Compare a board with tflite-micro, bit for bit.")
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@board_options
@input_options
@json_option
def compare(names: tuple[str, ...], json_path: str | None, **given: Any) -> int:
    """Compare a board with tflite-micro, tensor by tensor; exits 1 where one number differs.

    Other TensorFlow Lite runtimes are asked too where they are installed; they are told, but do not decide.
    """
    with Report(json_path, session=False) as report:
        from bodydouble.session.model.compare import compare as compare_model  # noqa: PLC0415 - imports the compiler
        from bodydouble.session.model.compare import facts  # noqa: PLC0415
        from bodydouble.session.model.golden import GOLDEN, require  # noqa: PLC0415
        from bodydouble.session.model.library import find_model  # noqa: PLC0415
        from bodydouble.views.models import verdict_lines  # noqa: PLC0415

        out = console(json_path)
        found: list[dict[str, Any]] = []
        files = [find_model(name) for name in names]
        require(GOLDEN)  # told before the board has worked for a minute

        def exact() -> bool:
            return len(found) == len(files) and all(one["exact"] for one in found)

        report.to_json = lambda: to_text({"exact": exact(), "models": found})
        for file in files:
            with _opened(file, given, out) as opened:
                verdict = compare_model(opened, file.read(), _inputs(opened, given).arrays)
                found.append(facts(opened, verdict))
                out.print(verdict_lines(opened, verdict))
        return ExitCode.PASSED if exact() else ExitCode.EXPECTATION


@click.command(short_help="Time a model on a board, record by record.")
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@board_options
@input_options
@option(
    "--silicon",
    multiple=True,
    metavar="NAME",
    help="Project, at best, the time on the silicon that the board stands in for: boards/silicon/NAME.toml.",
)
@json_option
def bench(names: tuple[str, ...], json_path: str | None, **given: Any) -> None:
    """Time a model on a board, record by record, and beside other runtimes on this machine.

    Microseconds are the board's own clock's, the best of several rounds. Energy is left out: we cannot measure it.
    """
    with Report(json_path, session=False) as report:
        from bodydouble.session.model.library import find_model  # noqa: PLC0415 - imports the compiler
        from bodydouble.session.model.measure import facts, measure, others  # noqa: PLC0415
        from bodydouble.session.model.silicon import find_silicon, project, work  # noqa: PLC0415
        from bodydouble.views.models import silicon_table, timing_table  # noqa: PLC0415

        out = console(json_path)
        silicon = [find_silicon(name) for name in given["silicon"]]
        found: list[dict[str, Any]] = []
        report.to_json = lambda: to_text({"models": found})
        for file in [find_model(name) for name in names]:
            with _opened(file, given, out) as opened:
                inputs = _inputs(opened, {**given, "count": min(given["count"], 20)}).arrays
                opened.run(inputs)
                timing = measure(opened)
                data = file.read()
                beside = others(data, inputs)
                found.append(facts(opened, timing, beside))
                out.print(timing_table(opened, timing, beside))
                if silicon:
                    done = work(data, opened.plan, str(file.path))
                    projected = [project(chip, done) for chip in silicon]
                    found[-1]["silicon"] = [one.facts(timing.us) for one in projected]
                    out.print(silicon_table(projected, timing.us))


@click.command(short_help="Write a trace of one inference, for Perfetto.")
@click.argument("name", metavar="MODEL")
@board_options
@input_options
@option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the trace goes; else NAME.perfetto-trace here.",
)
@json_option
def profile(name: str, json_path: str | None, **given: Any) -> None:
    """Write one inference as a trace that https://ui.perfetto.dev opens."""
    with Report(json_path, session=False) as report:
        from bodydouble.resources import write_atomically  # noqa: PLC0415 - slow to import
        from bodydouble.session.model.library import find_model  # noqa: PLC0415
        from bodydouble.session.model.profile import perfetto_trace  # noqa: PLC0415

        out = console(json_path)
        file = find_model(name)
        path = given["output"] or Path(f"{file.name}.perfetto-trace")
        check_writable(path, "--output")
        with _opened(file, given, out) as opened:
            opened.run(_inputs(opened, {**given, "count": min(given["count"], 20)}).arrays)
            ends_ns = opened.profile_ns()
            write_atomically(path, perfetto_trace(opened.plan, ends_ns, str(opened.board["type"])))
        report.to_json = lambda: to_text(
            {"trace": str(path), "clock": "board", "total_us": ends_ns[-1] / 1e3, "records": len(ends_ns) - 1}
        )
        out.print(
            f"{path}: {len(ends_ns) - 1} records, {ends_ns[-1] / 1e3:,.0f} µs (board clock); open it in Perfetto"
        )
