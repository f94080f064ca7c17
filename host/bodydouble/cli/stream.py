"""`bodydouble stream`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bodydouble.cli.options import (
    Seconds,
    board_options,
    cloud_options,
    console,
    json_option,
    option,
    run_options,
)
from bodydouble.cli.report import Report


@click.command()
@click.argument("recordings", nargs=-1, metavar="[RECORDING|-]...")
@board_options
@run_options
@cloud_options
@option(
    "--gap",
    "gap_s",
    type=Seconds(0, 3600),
    default=5.0,
    metavar="SECONDS",
    help="Silence between recordings.",
)
@option("--mic", is_flag=True, help="Listen to the host's microphone instead (extra: mic).")
@option("--mic-device", metavar="NAME", help="Which microphone, by name or number.")
@option("--seconds", type=Seconds(min=0.01), metavar="SECONDS", help="Stop after this much audio.")
@option(
    "--press",
    "listen_at",
    type=Seconds(0),
    multiple=True,
    metavar="SECONDS",
    help="Press the board's button at this time: a request without a wake word. Repeatable.",
)
@option(
    "--trace",
    "trace_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write every event as JSON lines.",
)
@json_option
def stream(**given: Any) -> None:
    """Play recordings into a board and answer what it hears.

    RECORDING is any audio file that libsndfile reads, or - for raw 16 kHz mono int16 samples on standard input.
    """
    if not given["recordings"] and not given["mic"]:
        raise click.UsageError("name a RECORDING, - for standard input, or --mic", ctx=click.get_current_context())
    with Report(given["json_path"]) as report:
        from bodydouble.cli.running import run_command  # noqa: PLC0415 - imports audio and link code

        run_command(given, console(given["json_path"]), report)
