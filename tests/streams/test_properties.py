"""Any rate, width, channel count, length and container: the length and the samples are those of plain arithmetic."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.streams import CHUNK_MAX_SAMPLES, files, open_source
from bodydouble.streams.containers import Bytes, inspect
from bodydouble.streams.convert import Converter
from bodydouble.streams.errors import RecordingError
from streams.making import write

WIDTHS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


@settings(max_examples=80, deadline=None)
@given(
    rate_hz=st.one_of(st.sampled_from([8_000, 16_000, 44_100, 48_000]), st.integers(4_000, 200_000)),
    channels=st.integers(1, 8),
    frames=st.integers(1, 9_000),
    kind=st.sampled_from(["wav", "flac", "aiff", "rf64", "w64"]),
    subtype=st.sampled_from(["PCM_16", "PCM_24", "PCM_U8", "PCM_32", "FLOAT"]),
    seed=st.integers(0, 2**32 - 1),
    block=st.sampled_from([128, 1_000, 1 << 17]),
)
def test_the_whole_of_any_recording_comes_out(
    rate_hz: int, channels: int, frames: int, kind: str, subtype: str, seed: int, block: int
) -> None:
    if kind == "flac":
        rate_hz = min(rate_hz, 48_000)  # libFLAC writes few of the rates above
        subtype = subtype if subtype == "PCM_24" else "PCM_16"
    if kind == "aiff" and subtype == "PCM_U8":
        subtype = "PCM_16"  # libsndfile's own writer makes odd AIFF lengths even there
    samples = np.random.default_rng(seed).integers(-128, 128, (frames, channels)) * 256
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK_MAX_VALUES", block)
        path = write(Path(folder) / "a", samples / 32_768, rate_hz, kind, subtype)
        with open_source(path) as source:
            chunks = list(source)
            assert source.samples == source.position_samples == -(-frames * 16_000 // rate_hz)
            assert source.warnings == []
    assert all(0 < len(chunk) <= CHUNK_MAX_SAMPLES and chunk.dtype == np.int16 for chunk in chunks)
    out = np.concatenate(chunks)
    assert len(out) == -(-frames * 16_000 // rate_hz)
    mono = samples.mean(axis=1)
    if rate_hz != 16_000:
        # One call over all of it is the reference; block by block may differ in float's last bit.
        whole = soxr.resample((mono / 32_768).astype(np.float32), rate_hz, 16_000, quality="HQ") * 32_768
        expected = np.clip(np.rint(np.pad(whole, (0, len(out) - len(whole)))), -32_768, 32_767)
        assert np.abs(out - expected).max() <= 1
    else:
        assert np.array_equal(out, np.rint(mono).astype(np.int16))


@settings(max_examples=100, deadline=None)
@given(
    rate_hz=st.integers(4_000, 768_000),
    sizes=st.lists(st.integers(0, 3_000), max_size=30),
    channels=st.integers(1, 4),
)
def test_any_chunking_converts_to_the_same_length(rate_hz: int, sizes: list[int], channels: int) -> None:
    random = np.random.default_rng(0)
    converter = Converter(rate_hz, channels)
    given_out = sum(len(converter.push(random.random((size, channels), np.float32))) for size in sizes)
    assert given_out + len(converter.finish()) == -(-sum(sizes) * 16_000 // rate_hz)


MAGICS = [
    b"",
    b"RIFF\0\0\0\0WAVE",
    b"RF64\xff\xff\xff\xffWAVEds64",
    b"riff.\x91\xcf\x11\xa5\xd6(\xdb\x04\xc1\0\0",
    b"fLaC\0\0\0\x22",
    b"OggS\0\2",
    b".snd",
    b"FORM\0\0\0\0AIFF",
    b"FORM\0\0\0\0AIFC",
    b"caff\0\1\0\0",
    b"NIST_1A\n   1024\n",
    b"\xff\xfb\x90\xc4",
    b"ID3\4\0\0\0\0\0\1",
]


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(MAGICS))
def test_header_checks_never_fail_in_other_ways(tail: bytes, head: bytes) -> None:
    raw = head + tail
    try:
        header = inspect(Bytes(lambda offset, count: raw[offset : offset + count], len(raw), "it"))
    except RecordingError as error:
        line = str(error)
        header = None
    assert (header and 4_000 <= header.rate_hz <= 768_000 and 1 <= header.channels <= 64) or line.isprintable()
