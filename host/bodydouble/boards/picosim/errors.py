"""What can go wrong with the emulator."""

from __future__ import annotations

from bodydouble.errors import BoardError, FirmwareError


class NoNodeError(BoardError):
    """No node was found that could run the emulator."""


class LibraryError(FirmwareError):
    """rp2040js could not be fetched, or is not what it should be."""


class EmulatorBusyError(BoardError):
    """Another process runs the emulated board of this name."""


class EmulatorError(FirmwareError):
    """The emulator refused a command, or ended by itself."""
