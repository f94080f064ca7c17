"""What the library says to its log while something takes long, as lines on stderr."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

_LOGS = ("bodydouble.boards",)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # nobody reads it
            sys.stderr.write(f"{record.getMessage()}\n")
            sys.stderr.flush()


def show_notices() -> None:
    """From now on show notices at level INFO and above; calling it twice shows them once."""
    for name in _LOGS:
        log = logging.getLogger(name)
        if not any(isinstance(handler, _Lines) for handler in log.handlers):
            log.addHandler(_Lines(logging.INFO))
            log.setLevel(logging.INFO)
            log.propagate = False
