"""Options that several commands share, and what opens a board and a cloud from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from bodydouble.session.cloud import DEFAULT_FLEET, DEFAULT_MODEL

F = TypeVar("F", bound=Callable[..., Any])


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """A click option that is also read from its BODYDOUBLE_* variable, its default shown."""
    flag = next(name for name in names if name.startswith("--"))
    variable = "BODYDOUBLE_" + flag.split("/")[0].lstrip("-").upper().replace("-", "_")
    return click.option(*names, envvar=variable, **{"show_default": True, **attributes})


class Seconds(click.FloatRange):
    """A number of seconds; click's own ranges let NaN pass, which no comparison ever ends."""

    name = "number of seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse what is no finite number."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a valid {self.name}", param, ctx)
        return seconds


def several(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, shown in the order given."""

    def decorate(function: F) -> F:
        for one in reversed(options):
            function = one(function)
        return function

    return decorate


board_options = several(
    option("--board", default="unix", metavar="TYPE[:WHICH]", help="Board that the firmware runs on."),
    option(
        "--tier", type=click.Choice(["asm", "viper", "bytecode"]), help="Force a kernel tier; else the board's best."
    ),
    option(
        "--heap",
        "heap_bytes",
        type=click.IntRange(64 * 1024, 1 << 30),
        metavar="BYTES",
        help="Heap of an emulated board; else what its board file says.",
    ),
    option(
        "--stall",
        "stall_s",
        type=Seconds(0.1, 3600),
        default=10.0,
        metavar="SECONDS",
        help="Give the board up when it takes no audio, or does not answer, for this long.",
    ),
)

cloud_options = several(
    option("--cloud", default="sim", metavar="WHICH", help="Who answers: sim, none, bedrock or a URL."),
    option("--cloud-model", default=DEFAULT_MODEL, metavar="NAME", help="Model that answers."),
    option("--fleet", default=DEFAULT_FLEET, metavar="CHIP:N", help="Chips behind the simulated cloud."),
    option(
        "--cloud-fault",
        metavar="KIND[:N]",
        help="Make the simulated cloud fail: throttle, unavailable, timeout, drop, midstream; only N requests.",
    ),
    option("--asr", type=click.Choice(["phone", "cloud"]), default="phone", help="Who recognises speech."),
    option(
        "--home",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Simulated home to act on, kept in FILE; else a fresh one in memory.",
    ),
)

run_options = several(
    option(
        "--wake",
        multiple=True,
        default=("alexa",),
        metavar="NAME",
        help="Wake word to listen for: a name, a .tflite file, or all. Repeatable.",
    ),
    option(
        "--compat",
        type=click.Choice(["esphome", "pymicro"]),
        default="esphome",
        help="Whose feature scaling and detection rule.",
    ),
    option(
        "--privacy",
        type=click.Choice(["normal", "local-only"]),
        default="normal",
        help="local-only: nothing goes to the cloud.",
    ),
    option(
        "--endpoint",
        type=click.Choice(["model", "rule"]),
        default="model",
        help="rule: the board tells speech from noise by its rule alone, without the voice-activity model.",
    ),
    option("--real-time", is_flag=True, help="Pace the audio by the clock, not by the board's speed."),
    option("--seed", type=int, default=0, help="Seed of everything random."),
)

json_option = option(
    "--json", "json_path", metavar="FILE", help="Write the result as JSON to FILE, or to stdout for -."
)


class PipedConsole(Console):
    """A console that leaves it to the caller what a reader's going away means; rich itself would end the process."""

    def on_broken_pipe(self) -> None:
        """Called while the BrokenPipeError is handled."""
        self.quiet = True
        raise  # noqa: PLE0704 - the one that is being handled


def console(json_path: str | None = None) -> Console:
    """Where text for people goes: stdout, or stderr when stdout carries JSON."""
    return PipedConsole(stderr=json_path == "-", highlight=False)
