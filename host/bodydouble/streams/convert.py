"""From what a file or a device holds to 16 kHz mono int16.

Channels are averaged. Samples are scaled so that full scale stays full scale, rounded to the nearest and saturated;
no dither is added, so that the same recording always gives the same samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bodydouble.streams.source import RATE_HZ, Samples

Floats = npt.NDArray[np.float32]


def resampled_length(frames: int, rate_hz: int) -> int:
    """How many samples at 16 kHz `frames` become: rounded up, so that no part of the sound is lost."""
    return -(-frames * RATE_HZ // rate_hz)


def to_int16(values: npt.NDArray[np.floating[Any]]) -> Samples:
    """Values in -1 to 1 as int16, any shape: to nearest (ties to even), saturating."""
    scaled: Samples = np.clip(np.rint(values * np.float32(32_768)), -32_768, 32_767).astype(np.int16)
    return scaled


def _average(block: Floats) -> npt.NDArray[np.float64]:
    # Column by column is five times as fast as mean(axis=1) for the two channels that most recordings have.
    total = block[:, 0].astype(np.float64)
    for channel in range(1, block.shape[1]):
        total += block[:, channel]
    total /= block.shape[1]
    return total


class Converter:
    """Down-mixes and resamples block by block, without delay: an instant stays where it was.

    `push` takes float32[frames, channels] in -1 to 1, and `finish` gives the tail; together they give exactly
    `resampled_length` samples.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._rate_hz = rate_hz
        self._channels = channels
        self._taken = 0
        self._given = 0
        self._stream: Any = None
        if rate_hz != RATE_HZ:
            import soxr  # noqa: PLC0415 - only what has another rate needs it

            # Float in and out: soxr adds dither where it writes integers.
            self._stream = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ")

    def push(self, block: Floats) -> Samples:
        """The samples that are ready after `block`; may be none."""
        self._taken += len(block)
        mono = block[:, 0] if self._channels == 1 else _average(block)
        if self._stream is None:
            ready = to_int16(mono)
        else:
            ready = to_int16(self._stream.resample_chunk(np.ascontiguousarray(mono, dtype=np.float32)))
        self._given += len(ready)
        return ready

    def finish(self) -> Samples:
        """The samples that the filter still held back."""
        if self._stream is None:
            return np.zeros(0, np.int16)
        tail = to_int16(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        # soxr rounds the length to the nearest; where that is down, one sample of silence completes the last period.
        missing = resampled_length(self._taken, self._rate_hz) - self._given
        return np.pad(tail[:missing], (0, max(0, missing - len(tail))))
