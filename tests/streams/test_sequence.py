"""Recordings in a row, where each begins, and ends that come early."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.errors import InputError
from bodydouble.streams import (
    MissingRecordingError,
    Part,
    TruncatedRecordingError,
    concat,
    limit,
    noise,
    open_source,
    open_sources,
    silence,
)
from streams.making import read, speechlike, write


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=6), st.integers(0, 20_000))
def test_offsets_and_lengths(lengths: list[int], gap: int) -> None:
    parts = [noise(-20, length / 16_000, seed) for seed, length in enumerate(lengths)]
    expected = [read(noise(-20, length / 16_000, seed)) for seed, length in enumerate(lengths)]
    whole = concat(parts, gap / 16_000)
    assert whole.samples == sum(lengths) + gap * (len(lengths) - 1)
    out = read(whole)
    assert len(out) == whole.samples
    assert len(whole.parts) == len(lengths)
    covered = np.zeros(len(out), bool)
    for part, samples in zip(whole.parts, expected, strict=True):
        here = slice(part.offset_samples, part.offset_samples + len(samples))
        assert part.samples == len(samples)
        assert np.array_equal(out[here], samples)
        assert not covered[here].any()
        covered[here] = True
    assert not out[~covered].any()


def test_files_of_any_kind_in_a_row(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a.wav", speechlike(16_000, 16_000), 16_000),
        write(tmp_path / "b.mp3", speechlike(44_100, 44_100), 44_100, "mp3"),
        write(tmp_path / "c.flac", speechlike(8_000, 8_000), 8_000, "flac"),
    ]
    before = len(list(Path("/dev/fd").iterdir()))
    with open_sources([str(path) for path in paths], gap_s=0.5) as source:
        assert len(list(Path("/dev/fd").iterdir())) == before  # checked, and closed until their turn
        assert (source.seconds, source.label, source.parts) == (4.0, "3 recordings", [])
        out = read(source)
        assert source.parts == [Part(str(path), index * 24_000, 16_000) for index, path in enumerate(paths)]
        assert source.locate(1.6) == (source.parts[1], pytest.approx(0.1))
        assert source.locate(1.2)[0] is source.parts[0] or source.locate(1.2)[0] == source.parts[0]
    for index, path in enumerate(paths):
        assert np.array_equal(out[index * 24_000 : index * 24_000 + 16_000], read(path))
        assert not out[index * 24_000 + 16_000 : (index + 1) * 24_000].any()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_where_nothing_plays_yet() -> None:
    with pytest.raises(LookupError):
        concat([silence(1)]).locate(0.5)


def test_all_are_checked_before_the_first_plays(tmp_path: Path) -> None:
    good = write(tmp_path / "a.wav", np.zeros(16_000, np.int16), 16_000)
    with pytest.raises(MissingRecordingError):
        concat([good, tmp_path / "no.wav"])
    cut = write(tmp_path / "b.wav", np.zeros(16_000, np.int16), 16_000)
    cut.write_bytes(cut.read_bytes()[:-10])
    with pytest.raises(TruncatedRecordingError, match=r"b\.wav is cut short"):
        concat([good, cut])


def test_a_recording_that_goes_away_meanwhile(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, np.zeros(16_000, np.int16), 16_000) for name in ("a.wav", "b.wav")]
    with concat(paths) as source:
        paths[1].unlink()
        with pytest.raises(MissingRecordingError, match=r"b\.wav"):
            list(source)
        assert source.position_samples == 16_000


def test_one_recording_keeps_its_description(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros((800, 2), np.int16), 8_000)
    with open_sources([path]) as source:
        assert (source.path, source.label) == (str(path), str(path))
        assert (source.native_rate_hz, source.channels, source.seconds) == (8_000, 2, 0.1)


def test_an_early_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.arange(16_000, dtype=np.int16), 16_000)
    whole = read(path)
    for seconds in (0, 1 / 16_000, 0.3, 1.0, 2.0):
        with open_sources([path], seconds=seconds) as source:
            assert source.seconds == min(seconds, 1.0)
            assert np.array_equal(read(source), whole[: round(seconds * 16_000)])
    inner = open_source(path)
    limit(inner, 1).close()
    assert inner.closed


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: open_sources([]), "there is nothing to play (name a recording, or - for standard input)"),
        (lambda: open_sources(["-", "-"]), "standard input can be played only once (name - once)"),
        (lambda: open_sources(["a.wav"], microphone=""), "cannot both be played (give one of them)"),
        (lambda: concat([silence(1)], -1.0), "-1.0 s is no length of audio (give 0 to 604800 seconds)"),
        (lambda: concat([silence(1)], float("nan")), "nan s is no length of audio"),
        (lambda: silence(1e9), "1000000000.0 s is no length of audio"),
        (lambda: noise(3, 1), "3 dBFS is no level (give -200 to 0, such as -40)"),
    ],
)
def test_wrong_wishes(call: object, says: str) -> None:
    with pytest.raises(InputError) as caught:
        call()  # type: ignore[operator]
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_noise_is_as_loud_as_it_says_and_repeats() -> None:
    for level_dbfs in (-60.0, -40.0, -20.0):
        samples = read(noise(level_dbfs, 5, seed=7)).astype(float)
        assert 20 * np.log10(np.sqrt((samples**2).mean()) / 32_768) == pytest.approx(level_dbfs, abs=0.1)
    assert np.array_equal(read(noise(-30, 5, seed=7)), read(noise(-30, 9, seed=7))[:80_000])
    assert not np.array_equal(read(noise(-30, 1, seed=7)), read(noise(-30, 1, seed=8)))
    loud = read(noise(0, 1))
    assert (loud.min(), loud.max()) == (-32_768, 32_767)


def test_silence_is_silent() -> None:
    assert read(silence(1.5)).tolist() == [0] * 24_000
    assert read(silence(0)).tolist() == []
