"""Flashing a board on USB: sent to BOOTSEL by its REPL or a touch at 1200 baud, by picotool or by its drive."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from bodydouble.boards import discovery
from bodydouble.boards.discovery import HERE, Device, Surroundings, resolve, wait_back
from bodydouble.boards.errors import BoardCodeError, FlashError, NoReplError, NoReplyError, NoSuchBoardError
from bodydouble.boards.flash import Loader, Tell
from bodydouble.boards.inventory import BoardType
from bodydouble.boards.locks import BoardLock
from bodydouble.boards.probes import attended, run_on_board
from bodydouble.boards.selector import Selector
from bodydouble.boards.uf2 import Image, uf2_file
from bodydouble.clock import Clock, monotonic
from bodydouble.link.errors import PortError, StreamClosedError

Via = Literal["auto", "picotool", "drive"]
ENTER_S = 12.0
MOUNT_S = 12.0
PICOTOOL_S = 180.0
_OPENINGS = 20
_POLL_S = 0.2
_CHUNK_BYTES = 64 * 1024
_BUTTON = "hold its BOOTSEL button while you plug it in, then run this again"
_BOOTLOADER = "import machine\nmachine.bootloader()\n"


def repl_bootloader(port: str) -> None:
    """Have MicroPython on `port` enter BOOTSEL mode. NoReplError where it does not answer."""
    with attended(port) as repl, suppress(StreamClosedError, NoReplError):
        repl.start(_BOOTLOADER, 1.0)  # it may be gone before it has said that it goes


def touch(port: str) -> None:
    """Open and close `port` at 1200 baud: Arduino's sign, which pico-sdk's programs heed, too."""
    import serial  # noqa: PLC0415 - only when a board is flashed

    with suppress(serial.SerialException, OSError):  # it may be gone before it is closed
        opened: Any = serial.Serial(port, 1200, timeout=0)
        opened.dtr = False
        opened.close()


@contextmanager
def usb_target(
    kind: BoardType, selector: Selector, *, via: Via = "auto", purpose: str = "", here: Surroundings | None = None
) -> Iterator[UsbTarget]:
    """The board that `selector` means, kept from others meanwhile. Errors as `resolve`'s and BoardLock's."""
    here = here or discovery.HERE
    device = resolve(kind, selector, here, bootsel=True)
    if device.vid is None:
        raise NoSuchBoardError(f"{selector.which} is on no USB port", hint="flash it where it is plugged in")
    if kind.type not in device.types:
        what = device.probe.machine if device.probe else device.product or "something else"
        raise NoSuchBoardError(
            f"the device at {device.where} is no {kind.type}: {what}", hint="choose another --board"
        )
    with BoardLock(device.key, board=str(selector), purpose=purpose):
        yield UsbTarget(device, via=via, here=here)


class UsbTarget:
    """A Target: the board that `device` is, on a USB port. What reaches outside can be replaced in tests."""

    def __init__(
        self,
        device: Device,
        *,
        via: Via = "auto",
        here: Surroundings = HERE,
        bootloader: Callable[[str], None] = repl_bootloader,
        touched: Callable[[str], None] = touch,
        run: Callable[[str, str], str] = run_on_board,
        which: Callable[[str], str | None] = shutil.which,
        clock: Clock = monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.device = device
        """As last seen."""
        self._named = device
        self._via, self._here = via, here
        self._bootloader, self._touch, self._run, self._which = bootloader, touched, run, which
        self._clock, self._sleep = clock, sleep
        self._before: list[Device] = []

    @property
    def where(self) -> str:
        """Its port or its drive, as last seen."""
        return self.device.where

    @property
    def serial(self) -> str:
        """Its USB serial number, once it runs MicroPython; else ""."""
        return self.device.serial if self.device.mode == "micropython" else ""

    def enter(self) -> Loader:
        """Bring the board into BOOTSEL mode, if it is not there, and choose who writes."""
        self._before = self._here.devices()
        if self.device.mode == "bootsel":
            return self._loader()
        if not self._asked():
            self._touch(self.device.port)
        return self._entered()

    def _asked(self) -> bool:
        # MicroPython for Picos is built without the touch: its REPL comes first.
        if self.device.mode != "micropython":
            return False
        try:
            self._bootloader(self.device.port)
        except (NoReplError, StreamClosedError):
            return False
        return True

    def _entered(self) -> Loader:
        try:
            self.device = self._back("bootsel", ENTER_S)
        except NoReplyError as error:
            raise FlashError(f"the board at {self._named.where} did not enter BOOTSEL mode", hint=_BUTTON) from error
        return self._loader()

    def _loader(self) -> Loader:
        picotool = self._which("picotool") if self._via != "drive" else None
        if picotool and (self.device.address or self._alone()):
            return PicotoolLoader(picotool, self.device.address)
        if self._via == "picotool":
            raise FlashError("picotool is not to be found", hint="install it, or leave --via out")
        return DriveLoader(self._mounted())

    def _alone(self) -> bool:
        # Where USB addresses are not known, picotool takes any board that waits.
        return sum(device.mode == "bootsel" for device in self._here.devices()) == 1

    def _mounted(self) -> Path:
        until = self._clock() + MOUNT_S
        while True:
            drive = self.device.drive
            if drive and drive.path:
                return drive.path
            if self._clock() >= until:
                if drive:
                    raise FlashError(
                        f"the board's drive {drive.device} is not mounted",
                        hint=f"run: udisksctl mount -b {drive.device}; or install picotool",
                    )
                raise FlashError("the board's drive did not appear", hint="install picotool, or try another cable")
            self._sleep(_POLL_S)
            seen = [device for device in self._here.devices() if device.mode == "bootsel"]
            self.device = next((one for one in seen if one.location == self.device.location), self.device)

    def back(self) -> None:
        """Wait until it runs MicroPython again, under whatever port."""
        self.device = self._back("micropython", None)

    def _back(self, mode: Literal["micropython", "bootsel"], timeout_s: float | None) -> Device:
        # The board as it was named knows its own serial number, unless it waited for an image already.
        was = self._named if mode == "bootsel" or self._named.mode == "micropython" else self.device
        limits = {} if timeout_s is None else {"timeout_s": timeout_s}
        return wait_back(
            was, mode=mode, before=self._before, here=self._here, clock=self._clock, sleep=self._sleep, **limits
        )

    def digest(self, code: str) -> str | None:
        """What `code` prints on the board; None where its REPL cannot be had or lacks what the code needs."""
        for _ in range(_OPENINGS):
            try:
                return self._run(self.device.port, code)
            except PortError:  # udev may still be at it
                self._sleep(_POLL_S)
            except (NoReplError, BoardCodeError, StreamClosedError):
                return None
        return None


class DriveLoader:
    """Writes by copying a UF2 file to the board's drive; the board restarts once it has the last block."""

    name = "drive"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, image: Image, tell: Tell) -> bool:
        """Copy, and see that it went out. The drive may vanish before the copy is closed: that is the restart."""
        data = image.to_uf2()
        path = self._folder / "firmware.uf2"
        at = 0
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0))
            try:
                while at < len(data):
                    tell("writing", image.size_bytes * at // len(data), image.size_bytes)
                    at += os.write(handle, data[at : at + _CHUNK_BYTES])
                with suppress(OSError):
                    os.fsync(handle)
            finally:
                with suppress(OSError):
                    os.close(handle)
        except OSError as error:
            raise FlashError(
                f"the copy to {path} broke off after {at:,} of {len(data):,} bytes: {error.strerror}",
                hint="plug the board in with its BOOTSEL button held, and run this again",
            ) from error
        tell("writing", image.size_bytes, image.size_bytes)
        return False


class PicotoolLoader:
    """Writes by Raspberry Pi's picotool, which reads back what it wrote."""

    name = "picotool"

    def __init__(self, program: str, address: tuple[int, int] | None, timeout_s: float = PICOTOOL_S) -> None:
        self._program, self._timeout_s = program, timeout_s
        # By bus and address: RP2040s show one serial number in BOOTSEL mode, all of them.
        self._which = ["--bus", str(address[0]), "--address", str(address[1])] if address else []

    def write(self, image: Image, tell: Tell) -> bool:
        """Load, verify and restart."""
        with uf2_file(image) as path:
            tell("writing", 0, image.size_bytes)
            self._picotool("load", str(path))
            tell("verifying", image.size_bytes, image.size_bytes)
            self._picotool("verify", str(path))
        self._picotool("reboot")
        return True

    def _picotool(self, *command: str) -> None:
        try:
            done = subprocess.run(
                [self._program, *command, *self._which],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout_s,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise FlashError(f"picotool {command[0]} failed: {error}", hint="try --via drive") from error
        if done.returncode:
            lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            said = lines[-1] if lines else f"exit code {done.returncode}"
            raise FlashError(
                f"picotool {command[0]} failed: {said}", hint="bodydouble boards setup; or try --via drive"
            )
