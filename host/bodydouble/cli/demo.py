"""`bodydouble demo`: the shipped recordings, told so that a first-time reader understands what happened."""

from __future__ import annotations

from typing import Any

import click

from bodydouble.cli.options import board_options, cloud_options, console, json_option, option
from bodydouble.cli.report import Report
from bodydouble.errors import ExpectationError

GAP_S = 2.0


@click.command()
@board_options
@cloud_options
@option("--real-time", is_flag=True, help="Pace the audio by the clock, not by the board's speed.")
@option("--seed", type=int, default=0, help="Seed of everything random.")
@json_option
def demo(**given: Any) -> None:
    """Play the shipped recordings and tell what was heard, what was let out, what was done, and how long it took."""
    with Report(given["json_path"]) as report:
        _play(given, report)


def _play(given: dict[str, Any], report: Report) -> None:
    from bodydouble.cli.running import run_command  # noqa: PLC0415 - imports audio and link code
    from bodydouble.resources import demo_dir  # noqa: PLC0415
    from bodydouble.views.tour import Tour, as_told, chapters  # noqa: PLC0415

    out = console(given["json_path"])
    script = chapters(demo_dir())
    tour = Tour(out, script)
    tour.introduce()
    everything = {
        **given,
        "recordings": [str(chapter.path) for chapter in script],
        "gap_s": GAP_S,
        "mic": False,
        "mic_device": None,
        "seconds": None,
        "wake": ("alexa",),
        "compat": "esphome",
        "privacy": "normal",
        "endpoint": "model",
        "listen_at": (),
        "trace_path": None,
    }
    result = run_command(everything, out, report, tour)
    problems = as_told(result, script) if given["cloud"] != "none" else []
    if problems:
        raise ExpectationError(
            f"the demo did not go as it should: {'; '.join(problems)}", hint="run bodydouble doctor"
        )
