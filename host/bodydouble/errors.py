"""The root of every error a user can meet, with its hint and its exit code.

Exit codes are part of the interface: 0 passed; 1 an expectation was not met; 2 wrong usage or bad input;
3 no such board or it went away; 4 flashing, deploying or the firmware failed; 5 the cloud could not be
reached; 124 timed out; 130 interrupted.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns to the shell."""

    PASSED = 0
    EXPECTATION = 1
    USAGE = 2
    NO_BOARD = 3
    FIRMWARE = 4
    CLOUD = 5
    TIMED_OUT = 124
    INTERRUPTED = 130


class BodydoubleError(Exception):
    """Root of the package's errors: `message` says what happened, `hint` says what cures it."""

    exit_code: ExitCode = ExitCode.EXPECTATION

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """One line: the message, then the cure."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ExpectationError(BodydoubleError):
    """Something ran and its outcome was not what was promised."""

    exit_code = ExitCode.EXPECTATION


class InputError(BodydoubleError):
    """A file, an option or a value that the user gave cannot be used."""

    exit_code = ExitCode.USAGE


class BoardError(BodydoubleError):
    """There is no such board, or it went away."""

    exit_code = ExitCode.NO_BOARD


class FirmwareError(BodydoubleError):
    """Flashing or deploying failed, or the firmware reported a fault."""

    exit_code = ExitCode.FIRMWARE


class CloudError(BodydoubleError):
    """The cloud could not be reached, or it refused."""

    exit_code = ExitCode.CLOUD


class TimedOutError(BodydoubleError):
    """Something did not happen in its time."""

    exit_code = ExitCode.TIMED_OUT


class InterruptedByUserError(BodydoubleError):
    """The user pressed Ctrl-C."""

    exit_code = ExitCode.INTERRUPTED
