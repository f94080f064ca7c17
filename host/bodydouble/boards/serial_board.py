"""A board on a serial port that runs MicroPython: attended, given the firmware if it has another, and started.

From the start on the bytes are the link's. What the firmware prints, a traceback above all, is noise to the link; the
newest of it is kept, and tells how the firmware ended.
"""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from bodydouble.boards.board import Board
from bodydouble.boards.deploy import Deployment, Progress, board_files, deploy, survey
from bodydouble.boards.errors import BoardGoneError, FirmwareStoppedError, NoReplError, TierError
from bodydouble.boards.firmware import build_firmware
from bodydouble.boards.micropythons import OLDEST
from bodydouble.boards.repl import Repl
from bodydouble.errors import InputError
from bodydouble.link.connection import Connection
from bodydouble.link.errors import StreamClosedError
from bodydouble.link.stream import SerialStream

if TYPE_CHECKING:
    from bodydouble.boards.deploy import Survey
    from bodydouble.boards.inventory import BoardType
    from bodydouble.boards.locks import BoardLock
    from bodydouble.boards.selector import Selector
    from bodydouble.errors import BodydoubleError
    from bodydouble.link.stream import ByteStream

START_S = 60.0
"""Until the firmware answers: it imports itself and computes its tables first."""
ATTEND_S = 15.0
KEPT = 8192

_log = logging.getLogger(__name__)
_TEXT = rb"[\t\r\n\x1b -~\x80-\xff]*"
_ENDED = re.compile(_TEXT + rb"\x04(" + _TEXT + rb")\x04>")
"""What the raw REPL says when code has ended: output, and its traceback."""


def open_board(kind: BoardType, selector: Selector, *, tier: str | None, heap_bytes: int | None) -> Board:
    """The driver of real boards: WHICH is a serial number, the beginning of one, or a port."""
    from bodydouble.boards.discovery import resolve  # noqa: PLC0415 - looks at USB
    from bodydouble.boards.locks import BoardLock  # noqa: PLC0415
    from bodydouble.boards.probes import note  # noqa: PLC0415

    device = resolve(kind, selector)
    with ExitStack() as stack:
        lock = stack.enter_context(BoardLock(device.key, board=str(selector), purpose="run the firmware"))
        board = open_serial(kind, device.port, tier=tier, heap_bytes=heap_bytes, power=_Cable(lock))
        board.info["name"] = device.name
        if device.serial:
            note(device.serial, board.info)
        stack.pop_all()  # from here on the board's end gives it back
    return board


class Power(Protocol):
    """What a board's end means where it is plugged in."""

    def cut(self) -> None:
        """End it at once."""

    def release(self) -> None:
        """Nobody uses it any more; may be called twice."""


class _Cable:
    # A real board goes on running: who used it gives it back.
    def __init__(self, lock: BoardLock) -> None:
        self._lock = lock

    def cut(self) -> None:
        pass

    def release(self) -> None:
        self._lock.release()


def open_serial(
    kind: BoardType,
    port: str,
    *,
    tier: str | None = None,
    heap_bytes: int | None = None,
    power: Power,
    verify: bool = False,
    progress: Progress | None = None,
) -> Board:
    """Start the firmware of the board on `port`, a path or URL of pyserial's, and open its link.

    Firmware that differs from ours is replaced first; `verify` reads every file to know, else the board's own word
    counts; `progress` follows that, else the log tells of it. Where this fails, `power` is the caller's to release.
    """
    if heap_bytes:
        raise InputError(f"a {kind.type} board's heap is what its memory leaves", hint="leave --heap out")
    stream = FirmwareStream(SerialStream(port))
    try:
        repl = Repl(stream)
        repl.attend(ATTEND_S)
        found = survey(repl, hashes=verify)
        _check(kind, found, tier)
        build = build_firmware(found.target)
        done = deploy(repl, board_files(build), build.sha256, found=found, verify=verify, progress=progress or _tell)
        # A fresh interpreter: without the modules of an older firmware, or what we have just left on the heap.
        repl.soft_reset()
        repl.start(f"import main\nmain.start({tier!r})\n")
        stream.watch(repl.rest())
        machine = SerialMachine(stream, port, power)
        board = Board(kind, Connection(stream, drift_ppm=kind.drift_ppm), machine)
        board.start(START_S, port=port, firmware=build.sha256, compiled=build.compiled, deployed=len(done.sent))
    except BaseException:
        stream.close()
        raise
    return board


def _tell(what: str, done: int, total: int) -> None:
    # Once, as it begins: most boards have the firmware already.
    if what == "send" and not done:
        _log.info("putting the firmware on the board: %s bytes", f"{total:,}")


def _check(kind: BoardType, found: Survey, tier: str | None) -> None:
    if tuple(int(part) for part in found.micropython.split(".")[:2]) < OLDEST:
        raise NoReplError(
            f"the board runs MicroPython {found.micropython}",
            hint=f"flash {'.'.join(map(str, OLDEST))} or later: bodydouble boards flash",
        )
    tiers = [name for name in kind.tiers if found.target.runs(name)]
    if tier is not None and tier not in tiers:
        raise TierError(f"the {kind.type} board has no {tier} tier", hint=f"choose one of: {', '.join(tiers)}")


class FirmwareStream:
    """A byte stream that keeps the newest KEPT bytes, and ends when the firmware at its other end has."""

    def __init__(self, inner: ByteStream) -> None:
        self._inner = inner
        self._first = b""
        self._watching = self._over = False
        self._noise = bytearray()
        self.log = bytearray()
        self.traceback = ""

    def watch(self, first: bytes) -> None:
        """From now on the firmware runs; `first` is what it has said already."""
        self._watching = True
        self._first = first

    def fileno(self) -> int | None:
        """The descriptor of the port."""
        return self._inner.fileno()

    def read(self, max_bytes: int) -> bytes:
        """What has arrived; StreamClosedError where the port is gone or the firmware has ended."""
        if self._over:
            raise StreamClosedError("the firmware has ended")
        data, self._first = self._first or self._inner.read(max_bytes), b""
        if self._watching and data:
            self._look(data)
        return data

    def _look(self, data: bytes) -> None:
        self.log += data
        del self.log[:-KEPT]
        if b"\0" in data:
            del self._noise[:]
        self._noise += data.rpartition(b"\0")[2]
        del self._noise[:-KEPT]
        # Only what stands alone is the REPL's word: in a frame, whose header is no text, the same bytes are data.
        if self._noise.endswith(b"\x04>") and (ended := _ENDED.fullmatch(self._noise)):
            self.traceback = ended[1].decode(errors="replace").strip()
            self._over = True

    def write(self, data: bytes) -> int:
        """Write what goes at once; returns how many bytes did."""
        return self._inner.write(data)

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        """Return once the port can be read (or written), or after `timeout_s`."""
        if not (readable and self._first):
            self._inner.wait(readable, writable, timeout_s)

    def close(self) -> None:
        """Close the port."""
        self._inner.close()


class SerialMachine:
    """The thing on the cable, as a Board sees it."""

    def __init__(self, stream: FirmwareStream, port: str, power: Power) -> None:
        self._stream = stream
        self._port = port
        self._power = power

    @property
    def returncode(self) -> int | None:
        """Not known: a board is no process."""
        return None

    @property
    def log(self) -> str:
        """The newest that came from the board, frames included."""
        return self._stream.log.decode(errors="replace")

    def watch(self) -> None:
        """Nothing: what the firmware prints comes with its frames."""

    def gone(self, error: StreamClosedError) -> BodydoubleError:
        """How the firmware ended, by its traceback; else that the port went away."""
        if lines := self._stream.traceback.splitlines():
            return FirmwareStoppedError(
                f"the firmware stopped: {lines[-1].strip()}",
                hint="if it ran out of memory, load fewer models; else report it with the board's log",
            )
        return BoardGoneError(
            f"the board on {self._port} went away: {error.message}",
            hint="see that it is plugged in; bodydouble boards recover",
        )

    def kill(self) -> None:
        """Cut it off."""
        self._power.cut()
        self._stream.close()

    def close(self) -> None:
        """Give the port and the board back."""
        self._stream.close()
        self._power.release()


def facts_of(done: Deployment) -> dict[str, Any]:
    """A deployment as `--json` tells it."""
    return {
        "firmware": done.sha256,
        "files": done.files,
        "sent": done.sent,
        "removed": done.removed,
        "kept": done.kept,
        "bytes": done.bytes,
        "wire_bytes": done.wire_bytes,
        "seconds": round(done.seconds, 3),
    }
