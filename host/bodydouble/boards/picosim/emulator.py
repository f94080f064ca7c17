"""An emulated Pico as a child process: its ports, its flash in a file, its controls."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from bodydouble.boards.errors import BoardGoneError, NoReplyError
from bodydouble.boards.picosim import bridge
from bodydouble.boards.picosim.errors import EmulatorError
from bodydouble.boards.picosim.flash_file import flash_image, locked
from bodydouble.boards.picosim.node import find_library, find_node
from bodydouble.boards.uf2 import Image

Clock = Literal["wall", "emulated"]

_HARNESS = Path(__file__).parent / "harness" / "main.mjs"
_REPLY_S = 30.0
_END_S = 2.0
_STDERR_KEPT = 8192
_POSIX = os.name == "posix"


def unique_id(name: str) -> str:
    """The flash chip's id of the board of this name: 16 hex digits, as `machine.unique_id().hex()` gives it.

    MicroPython's USB serial number is the same. It begins as those of real Picos do.
    """
    return "e6" + hashlib.sha256(name.encode()).hexdigest()[:14]


class PicoSim:
    """A running emulated Pico; use it in a `with` block. Start it with `PicoSim.start`.

    It ends when this object is closed or this process ends, however that comes about. `control` takes commands:

    - `state`: mode (off, running, bootsel, halted), attached, led, idle, resting (idle with no alarm set),
      reset_cause, resets, cycles, clock_hz, emulated_s, core1_asked, unique_id, usb (vid, pid, manufacturer,
      product, serial)
    - `reset` with cause: run-pin, system, watchdog-forced or bootsel; `power` with on; `cut_power` with steps: the
      power goes after that many more steps of erasing (256 bytes each) or programming (64 bytes)
    - `usb` with connected: pull the cable and put it back; `uf2` with path: copy a file to BOOTSEL's drive
    - `gpio`: the pins' levels; `gpio_in` with pin and level (0, 1, None); `adc` with channel and volts
    - `memory` with address and bytes: what is there, in hex
    - `stats`: cycles, emulated_s, idle_s, busy_wall_s, flash_erased, flash_programmed, usb_sent, usb_received (bytes)
    """

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], helper: subprocess.Popen[bytes] | None, flash_path: Path
    ) -> None:
        self.name = name
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._helper = helper
        self._link, self._log = _companions(flash_path)
        self._changed = threading.Condition()
        self._replies: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._attached = False
        self._attachments = 0
        self._terminal = ""
        self._tcp_port = 0
        self._mode = ""
        self._ended = False
        self._reader = threading.Thread(target=self._read, name=f"pico-sim {name}", daemon=True)
        self._reader.start()

    @classmethod
    def start(
        cls,
        name: str,
        image: Image | None,
        flash_path: Path,
        *,
        clock: Clock = "wall",
        paced: bool = True,
        tcp_port: int = 0,
        attach_s: float | None = 60.0,
        compiled: bool = True,
    ) -> PicoSim:
        """Start the board `name` with `flash_path` as its flash.

        `image` is flashed if it is another than the last that was given for this file (the filesystem behind it
        stays); None leaves the flash as it is. `clock`: "wall" paces the board to real time at most; "emulated" runs
        it as fast as it can and jumps over idle time, so that the same input gives the same cycles. `paced` gives USB
        the speed of a full-speed bus. `attach_s`: how long to wait until the board has its USB port (or is in BOOTSEL
        mode); None: not at all. `compiled` False runs rp2040js's own, slower, core.

        Errors: NoNodeError, LibraryError, EmulatorBusyError, BoardGoneError, NoReplyError.
        """
        node, library = find_node(), find_library()
        flash_path = flash_path.absolute()
        flash_path.parent.mkdir(parents=True, exist_ok=True)
        link, log = _companions(flash_path)
        options: dict[str, Any] = {
            "library": str(library),
            "unique_id": unique_id(name),
            "clock": clock,
            "paced": paced,
            "tcp_port": tcp_port,
            "compile": compiled,
            "bridge_fd": None,
        }
        with contextlib.ExitStack() as stack:
            flash = stack.enter_context(locked(flash_path, name))
            if image is not None:
                flash_image(flash, flash_path, image)
            helper, ends = None, None
            if _POSIX:
                ends = socket.socketpair()
                for end in ends:
                    stack.enter_context(end)
                options |= {"bridge_fd": ends[0].fileno(), "flash_fd": flash}
                helper = _start_bridge(ends[1].fileno(), link)
            else:
                options["flash"] = str(flash_path)
            errors = stack.enter_context(log.open("wb"))
            # Both end at the end of their input: this process's end of these pipes must be the only one.
            process = subprocess.Popen(
                [str(node), str(_HARNESS), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=(ends[0].fileno(), flash) if ends else (),
                start_new_session=True,
            )
        board = cls(name, process, helper, flash_path)
        if attach_s is not None:
            try:
                board.wait_attached(attach_s)
            except BaseException:
                board.close()
                raise
        return board

    # --- what is known of it

    @property
    def port(self) -> str:
        """What pyserial opens: a path that stays the same while the terminal behind it comes and goes, or socket://."""
        return str(self._link) if _POSIX else self.socket_url

    @property
    def socket_url(self) -> str:
        """The same bytes over TCP on loopback."""
        return f"socket://127.0.0.1:{self._tcp_port}"

    @property
    def pid(self) -> int:
        """The emulator's process id."""
        return self._process.pid

    @property
    def stderr(self) -> str:
        """The newest of its complaints."""
        data = self._log.read_bytes() if self._log.exists() else b""
        return data[-_STDERR_KEPT:].decode(errors="replace")

    @property
    def attached(self) -> bool:
        """Whether the serial port is there."""
        with self._changed:
            return self._is_attached()

    def _is_attached(self) -> bool:
        return self._attached and (bool(self._terminal) or not _POSIX)

    @property
    def attachments(self) -> int:
        """How many times the serial port has come up."""
        with self._changed:
            return self._attachments

    def wait_attached(self, timeout_s: float, *, beyond: int = 0) -> None:
        """Until the board has its serial port, or is in BOOTSEL mode; NoReplyError where it does not come up.

        `beyond`: `attachments` as it was before something that takes the port away, whose end may not be known yet.
        """

        def there() -> bool:
            return (self._is_attached() and self._attachments > beyond) or self._mode == "bootsel"

        self._wait(there, timeout_s, "its USB port")

    def wait_detached(self, timeout_s: float) -> None:
        """Until the serial port is gone."""
        self._wait(lambda: not self._attached, timeout_s, "the end of its USB port")

    def _wait(self, look: Callable[[], bool], timeout_s: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: look() or self._ended, timeout_s):
                raise NoReplyError(
                    f"the emulated Pico {self.name} did not show {what} within {timeout_s:g} s",
                    hint=f"its flash may hold no working program; its log is {self._log}",
                )
            if self._ended and not look():
                raise self._gone()

    # --- commands

    def control(self, command: str, **options: Any) -> dict[str, Any]:
        """Carry out a command (see the class) and return its answer; EmulatorError where it is refused."""
        with self._changed:
            if self._ended:
                raise self._gone()
            self._number += 1
            number = self._number
            line = json.dumps({"id": number, "command": command, **options}).encode() + b"\n"
            try:
                self._send(line)
            except (OSError, ValueError) as error:
                raise self._gone() from error
            if not self._changed.wait_for(lambda: number in self._replies or self._ended, _REPLY_S):
                raise NoReplyError(
                    f"the emulated Pico {self.name} did not answer within {_REPLY_S:g} s",
                    hint="end it and start again",
                )
            if number not in self._replies:
                raise self._gone()
            reply = self._replies.pop(number)
        if not reply.pop("ok"):
            raise EmulatorError(f"the emulated Pico refused {command}: {reply['error']}", hint="see its state")
        reply.pop("id")
        return reply

    def _send(self, line: bytes) -> None:
        if self._stdin is None:
            raise ValueError("started without a pipe")
        self._stdin.write(line)
        self._stdin.flush()

    def _gone(self) -> BoardGoneError:
        lines = self.stderr.strip().splitlines()
        reason = f": {lines[-1].strip()}" if lines else ""
        return BoardGoneError(f"the emulated Pico {self.name} ended{reason}", hint="start it again")

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._stdout or ():
                message = json.loads(line)
                with self._changed:
                    self._heard(message)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _heard(self, message: dict[str, Any]) -> None:
        event = message.get("event")
        if event is None:
            self._replies[message["id"]] = message
        elif event == "ready":
            self._tcp_port = message["tcp_port"]
        elif event == "port":
            self._terminal = message["path"]
        elif event == "reset":
            self._mode = message["mode"]
        elif event == "attached":
            self._attached = True
            self._attachments += 1
        elif event == "detached":
            self._attached = False
            self._terminal = ""

    # --- the end

    def close(self) -> None:
        """End it, and wait until nothing of it is left."""
        if self._stdin is not None:
            with contextlib.suppress(OSError):
                self._stdin.close()
        for process in filter(None, (self._process, self._helper)):
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._reader.join(_END_S)
        if self._stdout is not None:
            self._stdout.close()

    def __enter__(self) -> PicoSim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _start_bridge(fd: int, link: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", bridge.__file__, str(fd), str(link)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(fd,),
        start_new_session=True,
    )


def _companions(flash_path: Path) -> tuple[Path, Path]:
    """The link to the terminal and the log, beside the flash's file."""
    return flash_path.with_suffix(".port"), flash_path.with_suffix(".log")
