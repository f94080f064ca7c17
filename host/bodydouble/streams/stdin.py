"""Standard input: raw 16 kHz mono int16, little-endian, in chunks of any size; or a recording with its header."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from bodydouble.streams.containers import HEAD_BYTES, foreign, is_text, sniff
from bodydouble.streams.containers.mp3 import frame_at
from bodydouble.streams.errors import StandardInputError
from bodydouble.streams.files import FileSource, spool
from bodydouble.streams.source import Samples, Source

NAME = "standard input"
FORMAT = "raw 16 kHz mono int16, little-endian"
MAKE_RAW = "make it so: sox recording.wav -t raw -r 16000 -e signed -b 16 -c 1 - | bodydouble stream -"
_READ_BYTES = 1 << 14
_PEEK_BYTES = 64
_TEXT_MIN_BYTES = 16
"""So many bytes that are all text are no sound: it would have to be loud, positive and never silent."""


class RawSource(Source):
    """Raw samples from `stream`, beginning with `head`, which was read already."""

    kind = "stdin"
    path = "-"

    def __init__(self, stream: BinaryIO, head: bytes) -> None:
        super().__init__(NAME)
        self._stream = stream
        self._head = head

    def _produce(self) -> Iterator[Samples]:
        block, rest, total = self._head, b"", 0
        while block:
            total += len(block)
            block = rest + block
            whole = len(block) & ~1
            rest = block[whole:]
            if whole:
                yield np.frombuffer(block, "<i2", whole // 2).astype(np.int16)
            block = _read(self._stream, _READ_BYTES)
        if rest:
            raise StandardInputError(
                f"standard input ended within a sample: {total} bytes are not a whole number of 2-byte samples",
                hint=f"it must be {FORMAT}; {MAKE_RAW}",
            )


def open_stdin(stream: Any = None) -> Source:
    """The source that standard input is; `stream` stands in for sys.stdin.

    Input that begins like a recording (WAV, FLAC, ...) is kept in a temporary file and decoded as what it is. Raises
    StandardInputError for a terminal, for nothing, for text and for files that are not read here.
    """
    stream = sys.stdin if stream is None else stream
    stream = getattr(stream, "buffer", stream)
    if stream is None or stream.closed:
        raise StandardInputError("there is no standard input", hint="name a recording instead of -")
    if stream.isatty():
        raise StandardInputError("standard input is a terminal", hint=f"pipe sound into it; {MAKE_RAW}")
    head = _fill(stream, b"", _PEEK_BYTES)
    if frame_at(head) or head.startswith(b"ID3"):
        # Two bytes of a frame's header are likely in plain samples; three frames in a row are not.
        head = _fill(stream, head, HEAD_BYTES)
    if not head:
        raise StandardInputError("standard input is empty", hint="check the command that writes to it")
    if sniff(head) or head.startswith(b"ID3"):
        return FileSource(spool(head, lambda: _read(stream, _READ_BYTES), NAME), "-", NAME, reopens=False)
    what = foreign(head) or ("text" if len(head) >= _TEXT_MIN_BYTES and is_text(head) else "")
    if what:
        raise StandardInputError(f"standard input is {what}, not {FORMAT}", hint=MAKE_RAW)
    return RawSource(stream, head)


def _fill(stream: BinaryIO, head: bytes, count: int) -> bytes:
    """Read on until `head` has `count` bytes or the input ends."""
    while len(head) < count and (more := _read(stream, count - len(head))):
        head += more
    return head


def _read(stream: Any, count: int) -> bytes:
    """Whatever is there, up to `count` bytes, waiting for the first; b'' at the end."""
    read = getattr(stream, "read1", stream.read)
    while True:
        try:
            found: bytes | None = read(count)
        except BlockingIOError:
            found = None
        except (OSError, ValueError) as error:
            raise StandardInputError(
                f"standard input broke off: {error}", hint="check the command that writes to it"
            ) from error
        if found is not None:
            return found
        select.select([stream], [], [])  # someone set it non-blocking
