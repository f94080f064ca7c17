"""Sound that is made up: silence and noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bodydouble.errors import InputError
from bodydouble.streams.source import CHUNK_MAX_SAMPLES, RATE_HZ, Samples, Source

MAX_SECONDS = 7 * 24 * 3_600.0


def seconds_to_samples(seconds: float) -> int:
    """`seconds` in samples at 16 kHz, to the nearest. Raises InputError below 0 and above MAX_SECONDS."""
    if not 0 <= seconds <= MAX_SECONDS:
        raise InputError(f"{seconds} s is no length of audio", hint=f"give 0 to {MAX_SECONDS:.0f} seconds")
    return round(seconds * RATE_HZ)


class _Silence(Source):
    def _produce(self) -> Iterator[Samples]:
        left = self.samples or 0
        while left:
            count = min(left, CHUNK_MAX_SAMPLES)
            yield np.zeros(count, np.int16)
            left -= count


class _Noise(Source):
    def __init__(self, label: str, samples: int, level_dbfs: float, seed: int) -> None:
        super().__init__(label, samples)
        self._amplitude = 32_768 * 10 ** (level_dbfs / 20)
        self._random = np.random.default_rng(seed)

    def _produce(self) -> Iterator[Samples]:
        left = self.samples or 0
        while left:
            # Always a whole block, so that a longer noise begins like a shorter one.
            block = np.rint(self._random.standard_normal(CHUNK_MAX_SAMPLES) * self._amplitude)
            count = min(left, CHUNK_MAX_SAMPLES)
            yield np.clip(block[:count], -32_768, 32_767).astype(np.int16)
            left -= count


def silence(seconds: float) -> Source:
    """Digital silence. Raises InputError for a length that cannot be."""
    return _Silence("silence", seconds_to_samples(seconds))


def noise(level_dbfs: float, seconds: float, seed: int = 0) -> Source:
    """White Gaussian noise whose RMS is `level_dbfs` below full scale (a constant 32768 is 0 dBFS).

    The same `seed` gives the same samples. Raises InputError above 0 dBFS or below -200.
    """
    if not -200 <= level_dbfs <= 0:
        raise InputError(f"{level_dbfs} dBFS is no level", hint="give -200 to 0, such as -40")
    return _Noise(f"noise at {level_dbfs:g} dBFS", seconds_to_samples(seconds), level_dbfs, seed)
