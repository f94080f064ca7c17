"""What deploying and recovering did, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from bodydouble.boards.deploy import Deployment
    from bodydouble.boards.recover import Recovery

_MARKS = {"answered": ("✓", "green"), "no answer": ("✗", "red"), "skipped": ("–", "yellow")}


def deploy_summary(done: Deployment, where: str) -> Text:
    """A line or three: what was sent, how fast, and what became of files that were not ours."""
    if not done.changed:
        return Text(f"{where} has this firmware already: {done.files} files, sha256 {done.sha256[:16]}…")
    rate = done.bytes / done.seconds / 1000 if done.seconds else 0.0
    said = (
        f"{where} has the firmware: {len(done.sent)} of {done.files + 1} files sent, {done.bytes:,} bytes "
        f"({done.wire_bytes:,} on the wire) in {done.seconds:.1f} s, {rate:.0f} kB/s; sha256 {done.sha256[:16]}…"
    )
    if done.removed:
        said += f"\n  removed: {', '.join(done.removed)}"
    if done.kept:
        said += f"\n  your main.py is kept as {done.kept}"
    return Text(said)


def recovery_lines(done: Recovery) -> Group:
    """The rungs in order, what changed on the board, and how it ended."""
    rungs = Table(box=None, pad_edge=False, show_header=False)
    for rung in done.rungs:
        mark, style = _MARKS[rung.outcome]
        rungs.add_row(Text(mark, style), Text(rung.name, "bold"), f"{rung.seconds:.1f} s", Text(rung.said))
    lines: list[Table | Text] = [rungs]
    lines += [Text(f"changed: {change}") for change in done.changes]
    lines += [Text(f"note: {note}", "yellow") for note in done.notes]
    end = (
        "answers again"
        if done.healthy
        else "does not answer: hold its BOOTSEL button, plug it in, and run this again"
    )
    lines.append(Text(f"{done.where} {end} ({done.seconds:.1f} s)", "bold green" if done.healthy else "bold red"))
    return Group(*lines)
