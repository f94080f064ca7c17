"""What can go wrong on the link."""

from __future__ import annotations

from bodydouble.errors import BoardError, FirmwareError, InputError, TimedOutError


class StreamClosedError(BoardError):
    """The byte stream ended: the board, its process or its cable is gone."""


class SessionLostError(BoardError):
    """The board closed the session, or was reset and no longer knows it."""


class VersionError(FirmwareError):
    """The two ends speak different versions of the link."""


class HandshakeError(FirmwareError):
    """The board answered the hello with something that cannot be used."""


class NoAnswerError(TimedOutError):
    """The board did not answer in time."""


class PortError(InputError):
    """A port's name or URL cannot be opened."""


class PayloadError(InputError):
    """A message is larger than one frame holds."""
