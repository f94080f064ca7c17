"""The `unix` board: MicroPython's unix port in a child process, two pipes as the byte stream.

On Linux the child dies with the *thread* that started it (the kernel's parent-death signal follows threads), so open
the board from a thread that outlives its use; the main thread does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bodydouble.boards import launcher
from bodydouble.boards.board import Board
from bodydouble.boards.errors import (
    BoardFileError,
    BoardGoneError,
    FirmwareStoppedError,
    NoMicroPythonError,
    TierError,
)
from bodydouble.boards.firmware import build_firmware
from bodydouble.boards.micropythons import Interpreter, find_micropython
from bodydouble.boards.signals import hold_interrupts, release_interrupts
from bodydouble.errors import BodydoubleError
from bodydouble.link.connection import Connection
from bodydouble.link.stream import ByteStream, PipeStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bodydouble.boards.inventory import BoardType
    from bodydouble.boards.selector import Selector
    from bodydouble.link.errors import StreamClosedError

START_S = 10.0
END_S = 2.0
STDERR_KEPT = 8192


def open_board(kind: BoardType, selector: Selector, *, tier: str | None, heap_bytes: int | None) -> Board:
    """The driver: as `open_unix`; WHICH is a name to tell several apart by, no more."""
    name = selector.instance
    board = open_unix(kind, tier=tier, heap_bytes=heap_bytes)
    board.info["name"] = name
    return board


def obstacle() -> str:
    """What keeps the board from running here, with the cure; "" where nothing does."""
    try:
        find_micropython()
    except NoMicroPythonError as error:
        return str(error)
    return ""


def open_unix(
    kind: BoardType,
    *,
    interpreter: Interpreter | None = None,
    tier: str | None = None,
    heap_bytes: int | None = None,
    firmware: Path | None = None,
    extra: Path | None = None,
    ask: bool = True,
    wrap: Callable[[ByteStream], ByteStream] | None = None,
) -> Board:
    """Start a `unix` board and open its link.

    `interpreter` is another MicroPython than the one that is found, `firmware` another firmware folder, `extra` one
    laid over it; `ask` False leaves out the first request (for firmware that answers none); `wrap` puts a layer
    around the byte stream.
    """
    interpreter = interpreter or find_micropython()
    tiers = [name for name in kind.tiers if interpreter.target.runs(name)]
    if tier is not None and tier not in tiers:
        raise TierError(f"the {kind.type} board has no {tier} tier here", hint=f"choose one of: {', '.join(tiers)}")
    build = build_firmware(interpreter.target, source=firmware, extra=extra)
    heap = heap_bytes or kind.heap_bytes
    if heap is None:
        raise BoardFileError(f"{kind.type}.toml lacks heap_bytes", hint="say there how large a heap it is given")
    held = hold_interrupts()
    try:
        # MicroPython looks for modules in the current folder first: that must not be the user's.
        command = [*interpreter.command, *micropython_arguments(heap, tier)]
        process = UnixProcess(command, build.path, {"MICROPYPATH": str(build.path)})
    except BaseException:
        release_interrupts(held)
        raise
    try:
        release_interrupts(held)  # one that waited is raised here, where the process is ended by it
        stream = wrap(process.stream) if wrap else process.stream
        board = Board(kind, Connection(stream, drift_ppm=kind.drift_ppm), process)
        board.start(START_S, ask=ask, heap_bytes=heap, firmware=build.sha256, compiled=build.compiled)
    except BaseException:
        process.kill()
        process.close()
        raise
    return board


def micropython_arguments(heap_bytes: int, tier: str | None) -> list[str]:
    """MicroPython's command line to run the firmware in its module path."""
    return ["-X", f"heapsize={heap_bytes}", "-m", "main", *([f"tier={tier}"] if tier else [])]


class UnixProcess:
    """The child process and our ends of its pipes."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start `command`, the launcher's arguments, in `folder`, with `environment` added to this process's own."""
        self._stderr = b""
        launched = [sys.executable, "-I", "-S", str(launcher.__file__), str(os.getpid()), *command]
        fds: list[int] = []
        # Ctrl-C between the child's birth and our knowing of it would leave an orphan: it waits until we do.
        held = hold_interrupts()
        try:
            for _ in range(3):
                fds += os.pipe()
            child_in, to_child, from_child, child_out, self._error_fd, child_error = fds
            self._process = subprocess.Popen(
                launched,
                stdin=child_in,
                stdout=child_out,
                stderr=child_error,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
                cwd=folder,
            )
            self.stream = PipeStream(from_child, to_child)
            os.set_blocking(self._error_fd, False)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        else:
            for fd in (child_in, child_out, child_error):
                os.close(fd)
        finally:
            release_interrupts(held)
        self._closed = False

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Negative: the signal that ended it. None while it runs."""
        return self._process.poll()

    @property
    def stderr(self) -> str:
        """The newest STDERR_KEPT bytes of its error output."""
        self.watch()
        return self._stderr.decode(errors="replace")

    def watch(self) -> None:
        """Read what stands in the error pipe."""
        if self._closed:
            return
        try:
            while data := os.read(self._error_fd, 65536):
                self._stderr = (self._stderr + data)[-STDERR_KEPT:]
        except BlockingIOError:
            pass

    def gone(self, error: StreamClosedError) -> BodydoubleError:
        """Why the stream ended, in words."""
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            return BoardGoneError(f"the board closed its end of the link: {error.message}", hint="run this again")
        if code < 0:
            return BoardGoneError(
                f"the board went away (signal {-code})", hint="run this again; `bodydouble doctor` checks the board"
            )
        lines = self.stderr.strip().splitlines()
        if code == 0:
            return BoardGoneError("the board ended by itself (exit code 0)", hint="run this again")
        if not lines:
            return BoardGoneError(
                f"the board ended (exit code {code})", hint="run `bodydouble doctor` to check the board"
            )
        return FirmwareStoppedError(
            f"the firmware stopped: {lines[-1].strip()}",
            hint="if it ran out of memory, load fewer models; else report it with the board's log",
        )

    def kill(self) -> None:
        """SIGKILL, as `kill -9` would."""
        if self._process.poll() is None:
            self._process.kill()

    def close(self) -> None:
        """Let it end by the end of its input, else end it; always reaps it."""
        try:
            self.stream.close()
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()
            self._process.wait()
            self.watch()
            if not self._closed:
                self._closed = True
                os.close(self._error_fd)
