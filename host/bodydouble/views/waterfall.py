"""A request's latency as a waterfall: one bar per span of the critical path, each with the clock it comes from."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from bodydouble.session.result import STAGES

LABELS = {
    "endpoint": "end of speech",
    "board": "board",
    "link": "link",
    "host": "phone",
    "network": "network",
    "cloud_service": "cloud emulation",
    "cloud_queue": "cloud queue",
    "cloud_prefill": "cloud prefill",
    "cloud_decode": "cloud decode",
    "tools": "tools",
    "tts": "speaking",
}
COLOURS = {"audio": "yellow", "board": "green", "host": "cyan", "simulated": "magenta"}
WIDTH = 32
_MIN_SHOWN_MS = 0.0005


def bar(start: float, length: float, total: float, width: int = WIDTH) -> str:
    """A bar of `length` that begins at `start`, on a scale of `width` characters for `total`; never empty."""
    if total <= 0:
        return ""
    first = min(width - 1, int(start / total * width))
    last = max(first + 1, round((start + length) / total * width))
    return " " * first + "█" * (min(width, last) - first)


def waterfall(latency_ms: dict[str, float], clocks: dict[str, str]) -> Table:
    """The table of a request's spans, in milliseconds; spans that took no time are left out."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="left", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="left", no_wrap=True)
    table.add_column(justify="left", no_wrap=True)
    total = latency_ms.get("total", 0.0)
    at = 0.0
    for stage in STAGES:
        took = latency_ms.get(stage, 0.0)
        if took >= _MIN_SHOWN_MS:
            clock = clocks.get(stage, "none")
            colour = COLOURS.get(clock, "white")
            table.add_row(
                LABELS[stage],
                f"{took:.1f} ms",
                Text(clock, style="dim"),
                Text(bar(at, took, total), colour),
            )
        at += took
    table.add_row(Text("total", "bold"), Text(f"{total:.1f} ms", "bold"), Text("", "dim"), "")
    return table


def describe_action(action: dict[str, Any]) -> str:
    """A tool call in one line: its name, its input, what came of it."""
    given = ", ".join(f"{key}={value}" for key, value in action.get("input", {}).items())
    result = action.get("result") or {}
    status = result.get("status", "")
    return f"{action['tool']}({given})" + (f" → {status}" if status else "")
