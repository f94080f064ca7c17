"""Cuts a byte stream into frames, however it arrives; what it keeps is bounded."""

from __future__ import annotations

from bodydouble.link.wire import MAX_ENCODED


class Deframer:
    """Collects encoded frames from chunks of any size.

    What exceeds `limit` bytes without a delimiter is dropped up to the next one and counted in `too_long`.
    """

    def __init__(self, limit: int = MAX_ENCODED) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False
        self.too_long = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The encoded frames, without delimiters, that `data` completes."""
        *frames, rest = data.split(b"\0")
        if frames:
            if self._skipping:
                del frames[0]
                self._skipping = False
            elif self._rest:
                frames[0] = self._rest + frames[0]
            self._rest = rest
        elif not self._skipping:
            self._rest += rest
        if len(self._rest) >= self._limit:
            self._rest = b""
            self._skipping = True
            self.too_long += 1
        whole = [frame for frame in frames if frame]
        if any(len(frame) >= self._limit for frame in whole):
            short = [frame for frame in whole if len(frame) < self._limit]
            self.too_long += len(whole) - len(short)
            return short
        return whole
