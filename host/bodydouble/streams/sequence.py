"""Several recordings in a row, with silence between; and a source that ends after a while."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bodydouble.errors import InputError
from bodydouble.streams.files import open_recording
from bodydouble.streams.generators import seconds_to_samples, silence
from bodydouble.streams.microphone import microphone as open_microphone
from bodydouble.streams.source import Part, Samples, Source
from bodydouble.streams.stdin import open_stdin

Spec = str | os.PathLike[str]


def open_source(spec: Spec, *, stdin: Any = None) -> Source:
    """Open a recording by its path, or standard input by `-` (`stdin` stands in for sys.stdin).

    Any format that libsndfile reads, rate, width and channel count; 16 kHz mono int16 comes out bit for bit. Raises
    leaves of InputError, each one line with its cure. `./-` names a file called `-`.
    """
    if spec == "-":
        return open_stdin(stdin)
    return open_recording(spec)


def concat(items: Sequence[Source | Spec], silence_s: float = 0.0, *, stdin: Any = None) -> Source:
    """Play `items` in a row with `silence_s` seconds between; `parts` says where each began.

    All of them are opened and checked before the first plays; files are closed again and wait for their turn.
    """
    if not items:
        raise InputError("there is nothing to play", hint="name a recording, or - for standard input")
    if sum(item == "-" for item in items if isinstance(item, str)) > 1:
        raise InputError("standard input can be played only once", hint="name - once")
    return _Sequence(items, seconds_to_samples(silence_s), stdin)


def limit(source: Source, seconds: float) -> Source:
    """`source`, ended after `seconds` where it is longer; closing the result closes `source`."""
    return _Limited(source, seconds_to_samples(seconds))


def open_sources(
    recordings: Sequence[Spec] = (),
    *,
    gap_s: float = 0.0,
    microphone: str | None = None,
    seconds: float | None = None,
    stdin: Any = None,
) -> Source:
    """What a command line asks for: recordings in a row, or the microphone (a name, '' for the default one).

    `gap_s` is the silence between recordings; `seconds` ends it early.
    """
    if microphone is not None:
        if recordings:
            raise InputError("recordings and the microphone cannot both be played", hint="give one of them")
        source: Source = open_microphone(microphone or None)
    else:
        source = concat(recordings, gap_s, stdin=stdin)
    return source if seconds is None else limit(source, seconds)


class _Sequence(Source):
    kind = "sequence"

    def __init__(self, items: Sequence[Source | Spec], gap_samples: int, stdin: Any) -> None:
        super().__init__("")
        self._gap_s = gap_samples / 16_000
        self._parts: list[Part] = []
        self._waiting: list[Source | Spec] = []
        self._playing: Source | None = None
        total: int | None = gap_samples * (len(items) - 1)
        try:
            for item in items:
                source = item if isinstance(item, Source) else open_source(item, stdin=stdin)
                # A regular file is cheap to open again, and a thousand of them must not stay open.
                again = not isinstance(item, Source) and source.reopens
                self._waiting.append(item if again else source)
                if again:
                    source.close()
                if len(items) == 1:
                    self.path = source.path
                    self.native_rate_hz, self.channels, self.subtype = (
                        source.native_rate_hz,
                        source.channels,
                        source.subtype,
                    )
                self.warnings += source.warnings
                total = None if total is None or source.samples is None else total + source.samples
                self.label = f"{self.label} and {source.label}" if self.label else source.label
        except BaseException:
            self.close()
            raise
        if len(items) > 2:
            self.label = f"{len(items)} recordings"
        self.samples = total

    @property
    def parts(self) -> list[Part]:
        """The recordings that have begun to play so far, in order."""
        return list(self._parts)

    def close(self) -> None:
        """Close what plays and what waits."""
        super().close()
        for source in (self._playing, *self._waiting):
            if isinstance(source, Source):
                source.close()

    def _produce(self) -> Iterator[Samples]:
        given = 0
        first = True
        while self._waiting:
            if not first:
                for chunk in silence(self._gap_s):
                    given += len(chunk)
                    yield chunk
            first = False
            item = self._waiting.pop(0)
            with item if isinstance(item, Source) else open_source(item) as source:
                self._playing = source
                start = given
                self._parts.append(Part(source.path or source.label, start, source.samples))
                for chunk in source:
                    given += len(chunk)
                    yield chunk
                self._parts[-1] = replace(self._parts[-1], samples=given - start)


class _Limited(Source):
    def __init__(self, source: Source, samples: int) -> None:
        super().__init__(source.label, samples if source.samples is None else min(samples, source.samples))
        self.kind, self.path, self.warnings = source.kind, source.path, source.warnings
        self.native_rate_hz, self.channels, self.subtype = source.native_rate_hz, source.channels, source.subtype
        self._source = source
        self._left = samples

    @property
    def parts(self) -> list[Part]:
        """The recordings that have begun to play so far, in order."""
        return self._source.parts

    def close(self) -> None:
        """Close the source behind it."""
        super().close()
        self._source.close()

    def _produce(self) -> Iterator[Samples]:
        if not self._left:
            return
        for chunk in self._source:
            cut = chunk[: self._left]
            self._left -= len(cut)
            yield cut
            if not self._left:
                return
