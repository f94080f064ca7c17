"""What can be wrong with a source of audio: each one line with its cure, exit code 2."""

from __future__ import annotations

import os

from bodydouble.errors import InputError

MAX_SHOWN_NAME = 200
"""Longer names are shown with their middle left out, so that an error stays one line."""


class RecordingError(InputError):
    """A recording cannot be played; the leaves say why."""


class MissingRecordingError(RecordingError):
    """There is no such file."""


class UnreadableRecordingError(RecordingError):
    """The file is there, but the system does not let us read it."""


class EmptyRecordingError(RecordingError):
    """There is not one sample in it."""


class NotARecordingError(RecordingError):
    """It is no audio file: a text, random bytes, a folder, or samples without a header."""


class UnsupportedRecordingError(RecordingError):
    """An audio file, of a kind that is not read here."""


class TruncatedRecordingError(RecordingError):
    """Its header promises more than there is."""


class BadHeaderError(RecordingError):
    """Its header contradicts itself, the file or reason."""


class DamagedRecordingError(RecordingError):
    """Its header is right, its sound is not."""


class StandardInputError(InputError):
    """Standard input gave nothing that can be played."""


class MicrophoneError(InputError):
    """The microphone cannot be used."""


def shown(name: str | os.PathLike[str]) -> str:
    """`name` as one printable line: control characters escaped, very long names shortened in the middle."""
    text = os.fspath(name)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
    if len(text) > MAX_SHOWN_NAME:
        text = f"{text[: MAX_SHOWN_NAME // 2]}…{text[-MAX_SHOWN_NAME // 2 :]}"
    return text
