"""Recordings whose writer could not come back to fill in the length: played whole, with a warning."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from bodydouble.streams import TruncatedRecordingError, open_source
from streams.making import read, wav, write

SAMPLES = np.random.default_rng(3).integers(-3_000, 3_000, 30_000).astype(np.int16)


@pytest.mark.parametrize(
    ("riff_bytes", "data_bytes"),
    [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (0, 0), (36, 0), (0xFFFFFFFF, 0), (0x80000024, 0x80000000)],
    ids=["ffmpeg", "sox", "zeros", "killed recorder", "half", "arecord"],
)
@pytest.mark.parametrize("odd", [0, 1])
def test_a_wav_from_a_pipe(tmp_path: Path, riff_bytes: int, data_bytes: int, odd: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(SAMPLES.tobytes() + bytes(odd), riff_bytes=riff_bytes, data_bytes=data_bytes))
    with open_source(path) as source:
        assert source.samples == len(SAMPLES)
        assert source.warnings == [
            f"{path}: its header leaves the length open, as programs that write to a pipe do; all of it is played"
        ]
        assert np.array_equal(read(source), SAMPLES)


def test_a_big_size_alone_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(SAMPLES.tobytes(), data_bytes=0xFFFFFFFF))
    with pytest.raises(TruncatedRecordingError):
        open_source(path)


def test_a_flac_from_a_pipe(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", SAMPLES, 16_000, "flac")
    raw = bytearray(path.read_bytes())
    raw[21] &= 0xF0
    raw[22:42] = bytes(20)  # neither a length nor a checksum, as when they were not known yet
    path.write_bytes(raw)
    with open_source(path) as source:
        assert source.seconds is source.samples is None
        assert "leaves the length open" in source.warnings[0]
        assert np.array_equal(read(source), SAMPLES)


def test_an_au_from_a_pipe(tmp_path: Path) -> None:
    path = write(tmp_path / "a.au", SAMPLES, 16_000, "au")
    raw = bytearray(path.read_bytes())
    raw[8:12] = b"\xff" * 4
    path.write_bytes(raw)
    with open_source(path) as source:
        assert "leaves the length open" in source.warnings[0]
        assert np.array_equal(read(source), SAMPLES)


def test_what_follows_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for tail, warnings in (
        (b"LIST" + struct.pack("<I", 3) + b"abc", 0),
        (b"LIST" + struct.pack("<I", 3) + b"abc\0", 0),
        (b"TAG" + bytes(125), 0),
        (b"\0\0\0", 1),
        (b"\xff" * 4_000, 1),
    ):
        path.write_bytes(wav(SAMPLES.tobytes(), tail=tail))
        with open_source(path) as source:
            assert len(source.warnings) == warnings
            assert np.array_equal(read(source), SAMPLES)
