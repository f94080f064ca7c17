"""A finished session in a few lines."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from bodydouble.session.result import Result


def summary(result: Result) -> Table:
    """Board, speed, privacy and memory of a session; every time names its clock."""
    timing, counters = result.timing, result.counters
    hop = timing["board_ms_per_hop"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row(
        "board",
        f"{result.board.get('type')}, MicroPython {result.board.get('micropython')}, {result.board.get('tier')} tier; "
        f"{counters['heap_low_water']:,} bytes of heap never used",
    )
    table.add_row(
        "speed",
        f"{timing['real_time_factor']:.0f} times real time (host clock); a 10 ms hop took {hop['p50'] * 1e3:.0f} µs, "
        f"p99 {hop['p99'] * 1e3:.0f} µs, at most {hop['max'] * 1e3:.0f} µs (board clock, ±{timing['clock_error_us']:.0f} µs)",
    )
    privacy = result.privacy
    before = privacy["bytes_before_wake"]
    table.add_row(
        "privacy",
        Text(f"{before} bytes left the board before a wake", "bold green" if before == 0 else "bold red")
        + Text(f"; {privacy['bytes_received']:,} after, all in the ledger", ""),
    )
    if result.cloud.get("kind") == "sim":
        table.add_row(
            "cloud", f"{result.cloud['model']} on {result.cloud['fleet']}: its times are simulated, not measured"
        )
    return table
