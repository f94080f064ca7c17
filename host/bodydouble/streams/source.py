"""What a source of audio is: chunks of 16 kHz mono int16, and what they were made from."""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

RATE_HZ = 16_000
"""The one rate that leaves a source."""
CHUNK_MAX_SAMPLES = 8_192
"""No chunk is longer (0.512 s)."""


@dataclass(frozen=True)
class Part:
    """One recording of a source: `path` as the user named it, and where in the source it begins.

    `samples` is its length at 16 kHz, None until that is known.
    """

    path: str
    offset_samples: int
    samples: int | None = None

    @property
    def offset_s(self) -> float:
        """Where it begins, in seconds from the source's start."""
        return self.offset_samples / RATE_HZ


class Source(ABC):
    """A stream of 16 kHz mono int16 samples: iterate over it, once; a context manager.

    `label` is what the user calls it; `path` is the file's path, '-' for standard input, '' for what is no file.
    `kind` is file, stdin, microphone, generator or sequence. `native_rate_hz`, `channels` and `subtype`
    (libsndfile's name, such as PCM_16) describe what is read, not what comes out. `samples` is the length at
    16 kHz, None where only the end will tell. `warnings` holds one line for each thing that is odd, yet was taken.
    """

    kind: str = "generator"
    path: str = ""
    native_rate_hz: int = RATE_HZ
    channels: int = 1
    subtype: str = "PCM_16"
    reopens: bool = False
    """True where opening `path` again gives the same from its start."""

    def __init__(self, label: str, samples: int | None = None) -> None:
        self.label = label
        self.samples = samples
        self.position_samples = 0
        """How many samples have been given out."""
        self.warnings: list[str] = []
        self.closed = False
        self._chunks: Iterator[Samples] | None = None

    @property
    def seconds(self) -> float | None:
        """The length in seconds, None where only the end will tell."""
        return None if self.samples is None else self.samples / RATE_HZ

    @property
    def parts(self) -> list[Part]:
        """The recordings that have begun to play so far, in order."""
        return [Part(self.path or self.label, 0, self.samples)]

    def locate(self, at_s: float) -> tuple[Part, float]:
        """The recording that sounds at `at_s` (silence after one counts to it), and the time within it in seconds.

        Raises LookupError where nothing has begun by then.
        """
        parts = self.parts
        index = bisect.bisect_right([part.offset_samples for part in parts], round(at_s * RATE_HZ)) - 1
        if index < 0:
            raise LookupError(f"nothing plays at {at_s} s")
        return parts[index], at_s - parts[index].offset_s

    def __iter__(self) -> Iterator[Samples]:
        """Chunks of at most CHUNK_MAX_SAMPLES, none empty. A second loop goes on where the first one stopped."""
        if self.closed:
            raise ValueError(f"{self.label} is closed")
        if self._chunks is None:
            self._chunks = self._counted()
        return self._chunks

    def close(self) -> None:
        """Let go of files and devices; more than once does no harm."""
        self.closed = True

    def __enter__(self) -> Source:
        """Return the source itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @abstractmethod
    def _produce(self) -> Iterator[Samples]:
        """Arrays of int16 at 16 kHz, of any length."""

    def _counted(self) -> Iterator[Samples]:
        for produced in self._produce():
            for start in range(0, len(produced), CHUNK_MAX_SAMPLES):
                if self.closed:
                    raise ValueError(f"{self.label} was closed while it played")
                chunk = produced[start : start + CHUNK_MAX_SAMPLES]
                self.position_samples += len(chunk)
                yield chunk
