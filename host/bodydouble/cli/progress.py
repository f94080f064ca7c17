"""What is shown while something is written to a board."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn


@contextmanager
def transfer_bar(*amounts: ProgressColumn) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr where that is a terminal; `amounts` are columns between the bar and the time.

    Yields what is to be told: what is being done, how much is done, and of how much.
    """
    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield lambda what, done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), *amounts, TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)
