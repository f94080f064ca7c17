"""Ctrl-C and SIGTERM: heard once, never lost, and patient while a session cleans up."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

from bodydouble.errors import ExitCode

CLEAN_UP_S = 5.0
"""So long after an interrupt further ones are ignored, while what was begun is ended; later ones end it at once."""
AGAIN_S = 0.02
"""An interrupt that got lost is raised again after this."""


class Interrupts:
    """Handler of Ctrl-C and SIGTERM: the board's child, the service and half-written files are cleaned up by both."""

    def __init__(self) -> None:
        self.heard = False
        """True from the first interrupt on."""
        self.began: float | None = None
        """When the clean-up began."""
        self.code: int | None = None
        """Exit code of a command that has ended: nothing is left to clean up."""

    def __call__(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Raise KeyboardInterrupt the first time."""
        if self.code is not None:
            os._exit(self.code)
        self.heard = True
        if self.began is None:
            self.began = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self.began > CLEAN_UP_S:
            os._exit(ExitCode.INTERRUPTED)

    def install(self) -> None:
        """Become the handler; in another thread than the main one, interrupts are somebody else's."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # A shell's background job is started with Ctrl-C ignored, and must stay so.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self)
            signal.signal(signal.SIGALRM, self)
            sys.unraisablehook = self._unraisable

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        # Raised inside a finaliser, an interrupt gets nowhere: it is raised again, once that is over.
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            sys.__unraisablehook__(lost)
        elif self.code is None:
            self.began = None
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)

    def taken(self) -> None:
        """The interrupt showed itself by an error of what it broke off: it need not be raised again."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.began = time.monotonic()


INTERRUPTS = Interrupts()
"""The process's one handler."""
