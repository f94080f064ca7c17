"""One board, one user: a lock across processes that says who holds it, for what, and since when.

The lock itself is the operating system's, by way of `filelock`: it goes with the process that holds it, however that
ends. Beside it lies a note of who that is; a note whose process is gone, or whose number another process bears by
now, is stale and counts for nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import platformdirs
from filelock import FileLock, Timeout

from bodydouble.boards.errors import BoardBusyError
from bodydouble.clock import Clock, monotonic
from bodydouble.errors import InputError
from bodydouble.resources import write_atomically

POLL_S = 0.1
_SAME_START_S = 1.0  # psutil's clocks agree better than that between two looks at one process
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Holder:
    """Who uses a board. `since` and `started` (of the process) are seconds since 1970."""

    board: str
    pid: int
    program: str
    purpose: str
    since: float
    started: float

    def describe(self, now: float | None = None) -> str:
        """In words: program, process, for how long, what for."""
        age = spoken((time.time() if now is None else now) - self.since)
        purpose = f", to {self.purpose}" if self.purpose else ""
        return f"{self.program} (process {self.pid}) for {age}{purpose}"

    def alive(self) -> bool:
        """Whether that very process still runs."""
        import psutil  # noqa: PLC0415 - only where a lock is looked at

        try:
            return abs(float(psutil.Process(self.pid).create_time()) - self.started) < _SAME_START_S
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:
            return True  # somebody else's process: it cannot be looked at


class BoardLock:
    """Keeps others from using a board; a context manager. `key` is `Device.key`, or an emulated board's name.

    Raises BoardBusyError, at once or after `wait_s`, where somebody else has it: it says who and for how long.
    """

    def __init__(
        self,
        key: str,
        *,
        board: str,
        purpose: str = "",
        wait_s: float = 0.0,
        clock: Clock = monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._key, self._board, self._purpose = key, board, purpose
        self._wait_s, self._clock, self._sleep = wait_s, clock, sleep
        self._lock: FileLock | None = None

    def __enter__(self) -> BoardLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the board, and say so in the note."""
        until = self._clock() + self._wait_s
        lock = FileLock(_path(self._key, "lock"), blocking=False)
        while True:
            try:
                lock.acquire()
            except Timeout as error:
                if self._clock() < until:
                    self._sleep(POLL_S)
                    continue
                raise self._busy() from error
            break
        self._lock = lock
        try:
            note = json.dumps(asdict(_myself(self._board, self._purpose)))
            write_atomically(_path(self._key, "json"), note.encode())
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the board back; may be called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            _path(self._key, "json").unlink(missing_ok=True)
            lock.release()

    def _busy(self) -> BoardBusyError:
        who = holder(self._key)
        if who is None:
            return BoardBusyError(f"the board {self._board} is in use by another program", hint="wait until it ends")
        return BoardBusyError(
            f"the board {self._board} is in use by {who.describe()}", hint="wait until it ends, or end it"
        )


def holder(key: str) -> Holder | None:
    """Who uses the board; None where nobody does, as far as can be told without touching the lock."""
    try:
        said = json.loads(_path(key, "json").read_bytes())
        who = Holder(
            board=str(said["board"]),
            pid=int(said["pid"]),
            program=str(said["program"]),
            purpose=str(said["purpose"]),
            since=float(said["since"]),
            started=float(said["started"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return who if who.alive() else None


def spoken(seconds: float) -> str:
    """A time span in words, one unit: `5 min`."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _myself(board: str, purpose: str) -> Holder:
    import psutil  # noqa: PLC0415 - as in alive

    program = " ".join([Path(sys.argv[0] or "python").stem, *sys.argv[1:3]])
    me = psutil.Process()
    return Holder(board, os.getpid(), program, purpose, time.time(), float(me.create_time()))


def _path(key: str, suffix: str) -> Path:
    # Neither in the cache nor in the session's folder: runs that differ in those still share the board.
    folder = Path(os.environ.get("BODYDOUBLE_LOCKS") or Path(platformdirs.user_state_dir("bodydouble"), "locks"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder for locks {folder} cannot be made: {error.strerror}",
            hint="set BODYDOUBLE_LOCKS to another folder",
        ) from error
    name = key if _PLAIN.fullmatch(key) and key.strip(".") else hashlib.sha256(key.encode()).hexdigest()
    return folder / f"{name}.{suffix}"
