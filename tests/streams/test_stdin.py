"""Standard input: raw samples in any chunking, recordings by their header, and all that is neither."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.streams import (
    BadHeaderError,
    StandardInputError,
    TruncatedRecordingError,
    UnsupportedRecordingError,
    files,
    open_source,
)
from streams.making import KINDS, read, speechlike, wav, write


class Pipe(io.RawIOBase):
    """Gives `blocks` one by one, as a pipe does; None stands for 'nothing now', an exception is raised."""

    def __init__(self, *blocks: bytes | Exception | None) -> None:
        self.blocks = list(blocks)
        self.descriptor = os.open(os.devnull, os.O_RDONLY)  # always ready

    def fileno(self) -> int:
        return self.descriptor

    def close(self) -> None:
        if not self.closed:
            os.close(self.descriptor)
        super().close()

    def read(self, count: int = -1) -> Any:
        if not self.blocks:
            return b""
        block = self.blocks.pop(0)
        if isinstance(block, Exception):
            raise block
        if block is not None and len(block) > count:
            self.blocks.insert(0, block[count:])
            block = block[:count]
        return block


SAMPLES = np.random.default_rng(4).integers(-32_768, 32_768, 40_001).astype(np.int16)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5_000), max_size=60), st.integers(32, 40_001))
def test_any_chunking_gives_the_same_samples(sizes: list[int], count: int) -> None:
    raw, blocks = SAMPLES[:count].tobytes(), []
    for size in sizes:
        blocks.append(raw[:size])
        raw = raw[size:]
    with Pipe(*(block for block in (*blocks, raw) if block)) as pipe, open_source("-", stdin=pipe) as source:
        assert (source.kind, source.path, source.label) == ("stdin", "-", "standard input")
        assert (source.native_rate_hz, source.channels, source.subtype) == (16_000, 1, "PCM_16")
        assert source.seconds is None
        assert np.array_equal(read(source), SAMPLES[:count])


def test_a_byte_too_many_is_an_error_after_the_samples() -> None:
    with Pipe(SAMPLES.tobytes() + b"\1") as pipe, open_source("-", stdin=pipe) as source:
        with pytest.raises(StandardInputError) as caught:
            list(source)
        assert source.position_samples == len(SAMPLES)
    assert "ended within a sample: 80003 bytes are not a whole number of 2-byte samples" in str(caught.value)
    assert "it must be raw 16 kHz mono int16" in caught.value.hint
    assert caught.value.exit_code == 2


class Terminal(Pipe):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("pipe", "says", "cure"),
    [
        (Terminal(), "standard input is a terminal", "pipe sound into it; make it so: sox"),
        (Pipe(), "standard input is empty", "check the command"),
        (Pipe(OSError(5, "Input/output error")), "broke off: [Errno 5] Input/output error", "check the command"),
        (Pipe(b"this is a text, not sound\n" * 9), "standard input is text, not raw 16 kHz mono int16", "sox"),
        (Pipe(b"\0\0\0\x20ftypM4A " + bytes(99)), "standard input is an MP4, M4A or MOV file", "sox"),
    ],
)
def test_what_is_no_sound(pipe: Pipe, says: str, cure: str) -> None:
    with pipe, pytest.raises(StandardInputError) as caught:
        open_source("-", stdin=pipe)
    assert says in caught.value.message
    assert cure in caught.value.hint
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()) == 1


def test_no_standard_input_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(StandardInputError, match="there is no standard input"):
        open_source("-")
    closed = Pipe()
    closed.close()
    with pytest.raises(StandardInputError, match="there is no standard input"):
        open_source("-", stdin=closed)


def test_a_writer_that_fails_in_the_middle() -> None:
    with Pipe(SAMPLES[:100].tobytes(), OSError(32, "Broken pipe")) as pipe, open_source("-", stdin=pipe) as source:
        chunks = iter(source)
        next(chunks)
        with pytest.raises(StandardInputError, match=r"standard input broke off: .*Broken pipe"):
            list(chunks)


def test_a_pipe_that_is_set_non_blocking_is_waited_for() -> None:
    blocks = (None, SAMPLES[:100].tobytes(), BlockingIOError(11, "again"), SAMPLES[100:200].tobytes())
    with Pipe(*blocks) as pipe, open_source("-", stdin=pipe) as source:
        assert np.array_equal(read(source), SAMPLES[:200])


def test_samples_come_as_soon_as_they_are_there() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as reader, os.fdopen(write_end, "wb", buffering=0) as writer:
        writer.write(SAMPLES[:320].tobytes())
        with open_source("-", stdin=reader) as source:
            chunks = iter(source)
            got = [next(chunks)]
            while sum(map(len, got)) < 320:  # the writer is still open: waiting for more would hang
                got.append(next(chunks))
            assert np.array_equal(np.concatenate(got), SAMPLES[:320])


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_recording_is_decoded_as_what_it_is(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "a", speechlike(44_100, 44_100 if kind != "opus" else 48_000, 2), 48_000, kind)
    raw = path.read_bytes()
    with Pipe(raw[:1], raw[1:777], raw[777:]) as pipe, open_source("-", stdin=pipe) as source:
        assert (source.native_rate_hz, source.channels, source.path) == (48_000, 2, "-")
        assert np.array_equal(read(source), read(path))


def test_an_8_khz_wav_is_never_raw_samples() -> None:
    with Pipe(wav(SAMPLES.tobytes(), rate_hz=8_000)) as pipe:
        assert len(read(open_source("-", stdin=pipe))) == 2 * len(SAMPLES)
    with Pipe(wav(SAMPLES.tobytes(), rate_hz=8_000, byte_rate=32_000)) as pipe, pytest.raises(BadHeaderError):
        open_source("-", stdin=pipe)
    with (
        Pipe(wav(SAMPLES.tobytes())[:-100]) as pipe,
        pytest.raises(TruncatedRecordingError, match="standard input is"),
    ):
        open_source("-", stdin=pipe)


def test_samples_that_look_like_the_start_of_an_mp3_are_samples() -> None:
    raw = b"\xff\xfb\x90\xc4" + SAMPLES.tobytes()
    with Pipe(raw) as pipe:
        assert read(open_source("-", stdin=pipe)).tobytes() == raw


def test_a_recording_through_a_pipe_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_SPOOL_BYTES", 50_000)
    with Pipe(wav(SAMPLES.tobytes())) as pipe, pytest.raises(UnsupportedRecordingError, match="gave more than"):
        open_source("-", stdin=pipe)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with Pipe(wav(SAMPLES.tobytes())) as pipe, pytest.raises(files.UnreadableRecordingError, match="No space left"):
        open_source("-", stdin=pipe)


def test_the_real_standard_input() -> None:
    script = "from bodydouble.streams import open_source; print(sum(int(c.sum()) for c in open_source('-')))"
    done = subprocess.run([sys.executable, "-c", script], input=SAMPLES.tobytes(), capture_output=True, check=True)
    assert int(done.stdout) == SAMPLES.sum(dtype=int)
    assert done.stderr == b""
