"""Flashing an emulated Pico as a real one: sent to BOOTSEL by its REPL, a UF2 file on its drive, hashed by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from bodydouble.boards.errors import BoardCodeError, NoReplError
from bodydouble.boards.flash import Tell
from bodydouble.boards.flash_usb import repl_bootloader
from bodydouble.boards.probes import run_on_board
from bodydouble.boards.uf2 import Image, uf2_file
from bodydouble.link.errors import PortError, StreamClosedError

VANISH_S = 10.0
BACK_S = 60.0


class Emulator(Protocol):
    """What is needed of a PicoSim."""

    name: str

    @property
    def port(self) -> str:
        """Its serial port."""

    def control(self, command: str, **options: Any) -> dict[str, Any]:
        """Carry out one of the emulator's commands."""

    def wait_attached(self, timeout_s: float) -> None:
        """Until it has its serial port, or is in BOOTSEL mode."""

    def wait_detached(self, timeout_s: float) -> None:
        """Until the serial port is gone."""


class SimTarget:
    """A Target: an emulated Pico that runs."""

    serial = ""  # nothing is remembered of what can be made again

    def __init__(
        self,
        emulator: Emulator,
        *,
        bootloader: Callable[[str], None] = repl_bootloader,
        run: Callable[[str, str], str] = run_on_board,
    ) -> None:
        self._emulator, self._bootloader, self._run = emulator, bootloader, run

    @property
    def where(self) -> str:
        """Its name."""
        return f"the emulated Pico {self._emulator.name}"

    def enter(self) -> SimLoader:
        """Into BOOTSEL mode by its REPL; where that does not answer, as its button would at the next reset."""
        if self._mode() != "bootsel":
            try:
                self._bootloader(self._emulator.port)
            except (NoReplError, PortError, StreamClosedError):
                self._emulator.control("reset", cause="bootsel")
            self._emulator.wait_detached(VANISH_S)
            self._emulator.wait_attached(VANISH_S)
        if self._mode() != "bootsel":
            self._emulator.control("reset", cause="bootsel")
        return SimLoader(self._emulator)

    def _mode(self) -> str:
        return str(self._emulator.control("state")["mode"])

    def back(self) -> None:
        """Wait until it runs MicroPython again."""
        self._emulator.wait_attached(BACK_S)

    def digest(self, code: str) -> str | None:
        """What `code` prints on the board; None where its REPL cannot be had."""
        try:
            return self._run(self._emulator.port, code)
        except (NoReplError, BoardCodeError, PortError, StreamClosedError):
            return None


class SimLoader:
    """Writes by copying a UF2 file to the emulated boot ROM's drive."""

    name = "the emulated drive"

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def write(self, image: Image, tell: Tell) -> bool:
        """Write all of it; the board restarts by itself."""
        tell("writing", 0, image.size_bytes)
        with uf2_file(image) as path:
            self._emulator.control("uf2", path=str(path))
        tell("writing", image.size_bytes, image.size_bytes)
        return False
