"""A finished session in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from bodydouble.session.result import Result


def board_clock(board: Mapping[str, Any]) -> str:
    """Which clock a board's times are by: its own, which may be another's, as it says."""
    return f"board clock: {board['clock']}" if board.get("clock") else "board clock"


def summary(result: Result) -> Table:
    """Board, speed, privacy and memory of a session; every time names its clock."""
    board, timing, privacy, cloud = result.board, result.timing, result.privacy, result.cloud
    median, p99, slowest = (timing["board_ms_per_hop"][key] * 1e3 for key in ("p50", "p99", "max"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row(
        "board",
        f"{board.get('type')}, MicroPython {board.get('micropython')}, {board.get('tier')} tier; "
        f"its heap was never measured below {result.counters['heap_low_water']:,} free bytes",
    )
    table.add_row(
        "speed",
        f"{timing['real_time_factor']:.0f} times real time (host clock); a 10 ms hop took {median:.0f} µs, "
        f"p99 {p99:.0f} µs, at most {slowest:.0f} µs ({board_clock(board)})",
    )
    before = privacy["bytes_before_wake"]
    table.add_row(
        "privacy",
        Text(f"{before} bytes left the board before a wake", "bold green" if before == 0 else "bold red")
        + Text(f"; {privacy['bytes_received']:,} after one, all in the ledger", ""),
    )
    if cloud.get("kind") == "sim":
        table.add_row("cloud", f"{cloud['model']} on {cloud['fleet']}: its times are simulated, not measured")
    return table
