"""What the header checks share: positioned reads, the faults they find, and the header they return.

libsndfile quietly shortens a recording whose header promises too much, so every header is read twice: here,
strictly, and by libsndfile; both must agree. Nothing here does I/O: bytes come through a function.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from bodydouble.streams.errors import (
    BadHeaderError,
    DamagedRecordingError,
    TruncatedRecordingError,
    UnsupportedRecordingError,
)

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 768_000
MAX_CHANNELS = 64
MAX_CHUNKS = 4_096
"""Chunks, pages or blocks of metadata before the sound; more is no honest file."""

CONVERT = "convert it: ffmpeg -i {name} recording.wav"
REWRITE = "write it anew with a right header: ffmpeg -i {name} fixed.wav"
COPY_AGAIN = "copy or record it again; to use what there is: ffmpeg -i {name} fixed.wav"


@dataclass(frozen=True)
class Header:
    """What a file says that it holds, after its sizes were checked against the file.

    `frames` is None where only decoding tells; else the decoder may find at most `slack` fewer. `pieces` is what
    the decoder must see where that is not the file as it is (the writer left out a length, which it needs): bytes,
    and ranges of the file from a first byte to one past the last.
    """

    container: str
    rate_hz: int
    channels: int
    frames: int | None = None
    slack: int = 0
    rates_hz: tuple[int, ...] = ()
    pieces: tuple[bytes | range, ...] = ()
    unbounded: tuple[bytes | range, ...] = ()
    """The same without its promised length, where the decoder would stop at it even if more sound follows."""
    warnings: tuple[str, ...] = ()
    known: bool = True
    """False where the length is told by no header at all."""


@dataclass(frozen=True)
class Bytes:
    """A file seen through positioned reads: `source(offset, count)` gives bytes within the file's `size`."""

    source: Callable[[int, int], bytes]
    size: int
    name: str

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes at `offset`, however far a header says that this is."""
        count = min(count, self.size - offset)
        return self.source(offset, count) if offset >= 0 and count > 0 else b""

    def need(self, offset: int, count: int) -> bytes:
        """`count` bytes at `offset`, or TruncatedRecordingError: the header itself is cut off."""
        found = self.read(offset, count)
        if len(found) < count:
            raise self.truncated("it ends inside its header")
        return found

    def truncated(self, what: str) -> TruncatedRecordingError:
        return TruncatedRecordingError(f"{self.name} is cut short: {what}", hint=self._hint(COPY_AGAIN))

    def lying(self, what: str) -> BadHeaderError:
        return BadHeaderError(f"{self.name} has a header that cannot be right: {what}", hint=self._hint(REWRITE))

    def damaged(self, what: str) -> DamagedRecordingError:
        return DamagedRecordingError(f"{self.name} is damaged: {what}", hint=self._hint(COPY_AGAIN))

    def unsupported(self, what: str) -> UnsupportedRecordingError:
        return UnsupportedRecordingError(f"{self.name} {what}", hint=self._hint(CONVERT))

    def check_format(self, rate_hz: int, channels: int) -> None:
        """Raise BadHeaderError for a rate or a channel count that no recording has."""
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise self.lying(f"{rate_hz} Hz is not between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz")
        if not 1 <= channels <= MAX_CHANNELS:
            raise self.lying(f"{channels} channels are not between 1 and {MAX_CHANNELS}")

    def _hint(self, text: str) -> str:
        return text.format(name=shlex.quote(self.name))
