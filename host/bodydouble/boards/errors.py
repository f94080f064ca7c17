"""What can go wrong with a board."""

from __future__ import annotations

from collections.abc import Sequence

from bodydouble.errors import BoardError, FirmwareError, InputError, TimedOutError


class UnknownBoardError(BoardError):
    """No board file describes a board of this name."""


class NoSuchBoardError(BoardError):
    """No board that is plugged in is what was asked for."""


class BoardBusyError(BoardError):
    """Somebody else uses the board."""


class NoDriverError(BoardError):
    """The board is known, but nothing here can open it."""


class NoMicroPythonError(BoardError):
    """No MicroPython was found that could play the board."""


class BoardGoneError(BoardError):
    """The board went away while it was in use."""


class SelectorError(InputError):
    """What --board names cannot be a board."""


class NoImageError(InputError):
    """There is no MicroPython image for a board, or not the one that was meant."""


class MissingImageError(NoImageError):
    """None was named, downloaded or built so far."""


class ImageError(InputError):
    """A firmware image is damaged, or for another board."""


class AmbiguousBoardError(InputError):
    """Several boards are what was asked for; `candidates` names each in one line."""

    def __init__(self, message: str, candidates: Sequence[str]) -> None:
        super().__init__(message, hint="name one of them")
        self.candidates = tuple(candidates)

    def __str__(self) -> str:
        """The message and its cure, then one line per candidate."""
        return "\n  ".join((super().__str__(), *self.candidates))


class BoardFileError(InputError):
    """A board file cannot be read, or says something impossible."""


class TierError(InputError):
    """The board has no kernels of this tier."""


class FirmwareStoppedError(FirmwareError):
    """The firmware ended with an error of its own."""


class RequestRefusedError(FirmwareError):
    """The firmware answered a request with an error."""


class FlashError(FirmwareError):
    """The image could not be written, or is not what the board then holds."""


class BuildError(FirmwareError):
    """The firmware could not be compiled."""


class NoReplyError(TimedOutError):
    """The board did not answer a request in time."""


class NoReplError(FirmwareError):
    """The board's REPL could not be reached, or it broke off."""


class BoardCodeError(FirmwareError):
    """Code that ran on the board raised: what it had printed, and its traceback."""

    def __init__(self, output: bytes, traceback: str) -> None:
        lines = traceback.strip().splitlines()
        super().__init__(f"the board's code failed: {lines[-1].strip() if lines else 'without a reason'}")
        self.output = output
        self.traceback = traceback


class DeployError(FirmwareError):
    """The firmware could not be put on the board."""


class PortHeldError(BoardError):
    """Another process has the board's port open and does not let go."""


class PowerError(BoardError):
    """The board's power could not be switched."""
