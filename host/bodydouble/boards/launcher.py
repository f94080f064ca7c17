"""Runs in the child process of a `unix` board and becomes MicroPython. Needs the standard library only.

    python -I -S launcher.py PARENT_PID exec /path/to/micropython ARGUMENT...
    python -I -S launcher.py PARENT_PID module FOLDER_OF_MICROPYTHON_UNIX ARGUMENT...

The child dies with its parent (Linux: with the thread that started it; elsewhere by the end of its standard input),
reads without blocking, writes blocking, and ends with MicroPython's own exit code, which the wheel's command loses.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Never returns."""
    parent, how, what, arguments = int(argv[1]), argv[2], argv[3], argv[4:]
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - not needed elsewhere

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked to be told
    # Blocked by the parent while it started us, so that no interrupt could come in between.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.set_blocking(0, False)
    os.set_blocking(2, False)  # a full error pipe loses lines rather than stopping the board
    if how == "exec":
        os.execv(what, [what, *arguments])  # noqa: S606 - the MicroPython that the user named
    sys.path.insert(0, what)
    import micropython_unix  # noqa: PLC0415 - found in the folder just added

    os._exit(micropython_unix.run_main(["micropython", *arguments]))


if __name__ == "__main__":
    main(sys.argv)
