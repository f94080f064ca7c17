"""Holds Ctrl-C back while a child is born: else one that comes before we know of the child leaves an orphan."""

from __future__ import annotations

import signal
import threading


def hold_interrupts() -> set[signal.Signals | int] | None:
    """Let interrupts wait; returns what `release_interrupts` takes. The child starts with them held."""
    if threading.current_thread() is not threading.main_thread():
        return None  # Ctrl-C is the main thread's
    return signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def release_interrupts(held: set[signal.Signals | int] | None) -> None:
    """Let them come: one that waited is raised here."""
    if held is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
