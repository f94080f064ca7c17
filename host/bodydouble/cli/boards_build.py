"""`bodydouble boards build`: MicroPython from source, into the cache."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bodydouble.cli.options import console, json_option
from bodydouble.cli.report import Report, to_text

if TYPE_CHECKING:
    from bodydouble.boards.building.builder import Told


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--jobs", type=click.IntRange(1, 1024), metavar="N", help="Compilers at a time.  [default: one per processor]"
)
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="MicroPython's sources, a folder or a tarball; else Debian's, fetched by apt.",
)
@click.option("--again", is_flag=True, help="Build though there is a build already.")
@click.option("--install-packages", is_flag=True, help="Install Debian packages that are missing; needs root.")
@json_option
def build(
    name: str, jobs: int | None, source: Path | None, again: bool, install_packages: bool, json_path: str | None
) -> None:
    """Build MicroPython for the board type NAME into the cache: pi-arm, pico, pico2.

    Prints the path of what was built. Broken off, the same command goes on where it was.
    """
    with Report(json_path, session=False) as report:
        from bodydouble.boards.building.builder import BuildOptions  # noqa: PLC0415 - pydantic
        from bodydouble.boards.building.builder import build as make  # noqa: PLC0415

        options = BuildOptions(
            jobs=jobs or os.cpu_count() or 1,
            source=source.absolute() if source else None,
            again=again,
            install_packages=install_packages,
        )
        with building_progress(f"building {name}") as told:
            done = make(name, options, told)
        facts = {
            "name": done.path.name,
            "version": done.version,
            "path": str(done.program),
            "files": dict(done.files),
        }
        report.to_json = lambda: to_text(facts)
        out = console(json_path)
        out.print(str(done.program), soft_wrap=True)
        if out.is_terminal:
            out.print(f"MicroPython {done.version}, sha256 {done.files[done.program.name][:16]}…", style="dim")


@contextmanager
def building_progress(title: str) -> Iterator[Told]:
    """Stages and the time so far on stderr: a bar on a terminal, else a line as each begins."""
    errors = Console(stderr=True)
    if not errors.is_terminal:
        began = time.monotonic()

        def say(number: int, of: int, what: str) -> None:
            sys.stderr.write(f"{title}: {number}/{of} {what} ({time.monotonic() - began:.0f} s)\n")
            sys.stderr.flush()

        yield say
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def show(number: int, of: int, what: str) -> None:
            progress.update(task, description=f"{title}: {what}", completed=number - 1, total=of)

        yield show
