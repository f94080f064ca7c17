"""What comes out of a recording: the right samples, as many as there must be, where they belong."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bodydouble.streams import CHUNK_MAX_SAMPLES, open_source, resampled_length
from streams.making import KINDS, read, speechlike, wav, write

RANDOM = np.random.default_rng(1)
LOSSLESS = [kind for kind in KINDS if KINDS[kind] == "PCM_16"]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_16_khz_mono_int16_passes_bit_for_bit(tmp_path: Path, kind: str) -> None:
    samples = RANDOM.integers(-32_768, 32_768, 50_001).astype(np.int16)
    assert np.array_equal(read(write(tmp_path / "a", samples, 16_000, kind)), samples)


def test_a_source_describes_its_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speechlike(44_100, 44_100, 2), 44_100, subtype="PCM_24")
    with open_source(path) as source:
        assert (source.path, source.label, source.kind) == (str(path), str(path), "file")
        assert (source.native_rate_hz, source.channels, source.subtype) == (44_100, 2, "PCM_24")
        assert (source.seconds, source.samples, source.warnings) == (1.0, 16_000, [])
        sizes = [len(chunk) for chunk in source]
        assert sum(sizes) == source.position_samples == 16_000
        assert min(sizes) > 0
        assert max(sizes) <= CHUNK_MAX_SAMPLES
    with pytest.raises(ValueError, match="closed"):
        iter(source)
    source.close()


def test_closing_while_it_plays_stops_it(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    source = open_source(write(tmp_path / "a.wav", np.zeros(100_000, np.int16), 16_000))
    chunks = iter(source)
    next(chunks)
    source.close()
    with pytest.raises(ValueError, match="closed"):
        next(chunks)
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("subtype", "dtype", "shift"),
    [("PCM_24", np.int32, 16), ("PCM_32", np.int32, 16), ("PCM_U8", np.int16, 0), ("PCM_16", np.int16, 0)],
)
def test_integers_of_any_width_keep_full_scale(tmp_path: Path, subtype: str, dtype: type, shift: int) -> None:
    samples = RANDOM.integers(-128, 128, 5_000) * 256
    samples[:2] = (-32_768, 32_512)
    path = write(tmp_path / "a.wav", (samples << shift).astype(dtype), 16_000, subtype=subtype)
    assert np.array_equal(read(path), samples)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_are_scaled_rounded_and_saturated(tmp_path: Path, subtype: str) -> None:
    values = np.array([-1.0, 1.0, -1.5, 2.0, 31.0, 0.5, 1.4 / 32_768, 1.6 / 32_768, -1.6 / 32_768])
    expected = [-32_768, 32_767, -32_768, 32_767, 32_767, 16_384, 1, 2, -2]
    assert read(write(tmp_path / "a.wav", values, 16_000, subtype=subtype)).tolist() == expected


def test_24_bits_are_rounded_not_cut(tmp_path: Path) -> None:
    values = np.array([0x7FFF80, 0x7FFFFF, 0x0001FF, -0x0001FF, 0x000080, 0x000180], np.int32) << 8
    path = write(tmp_path / "a.wav", values, 16_000, subtype="PCM_24")
    assert read(path).tolist() == [32_767, 32_767, 2, -2, 0, 2]  # ties go to the even one


@pytest.mark.parametrize("channels", [2, 3, 6, 64])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    samples = RANDOM.integers(-32_768, 32_768, (4_000, channels)).astype(np.int16)
    path = tmp_path / "a.wav"
    path.write_bytes(wav(samples.tobytes(), channels=channels))
    assert np.array_equal(read(path), np.rint(samples.mean(axis=1)).astype(np.int16))


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 11_025, 15_999, 22_050, 44_100, 48_000, 96_000, 192_000, 768_000])
def test_length_and_time_survive_resampling(tmp_path: Path, rate_hz: int) -> None:
    frames = rate_hz + 7
    values = np.zeros(frames)
    # A band-limited pulse, so that its place between two samples is defined.
    width_s = 1 / min(rate_hz, 16_000)
    for at_s in (0.1, 0.5003, 0.95):
        values += 0.5 * np.exp(-0.5 * ((np.arange(frames) / rate_hz - at_s) / (3 * width_s)) ** 2)
    out = read(write(tmp_path / "a.wav", values, rate_hz, subtype="PCM_24")).astype(float)
    assert len(out) == resampled_length(frames, rate_hz) == -(-frames * 16_000 // rate_hz)
    for at_s in (0.1, 0.5003, 0.95):
        near = slice(round(at_s * 16_000) - 80, round(at_s * 16_000) + 80)
        centre = (np.arange(len(out))[near] * out[near]).sum() / out[near].sum()
        assert abs(centre / 16_000 - at_s) < 0.1 / 16_000
        assert out[near].max() == pytest.approx(16_384, rel=0.01)


@pytest.mark.parametrize("kind", ["ogg", "opus", "mp3"])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_lossy_recordings_are_right_in_length_time_and_sound(tmp_path: Path, kind: str, rate_hz: int) -> None:
    values = speechlike(3 * rate_hz + 11, rate_hz)
    clean = read(write(tmp_path / "a.wav", values, rate_hz)).astype(float)
    out = read(write(tmp_path / "b", values, rate_hz, kind)).astype(float)
    assert len(out) == len(clean)
    middle = slice(4_000, 20_000)
    likeness = [clean[middle] @ np.roll(out, -lag)[middle] for lag in range(-200, 201)]
    assert int(np.argmax(likeness)) - 200 == 0
    assert np.corrcoef(clean, out)[0, 1] > 0.98


@pytest.mark.parametrize("kind", ["ogg", "opus", "mp3"])
def test_block_by_block_sounds_like_the_whole(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """soundfile seeks after each read, which upset these decoders' state at every block."""
    values = np.random.default_rng(0).standard_normal(200_000) * 0.1
    path = write(tmp_path / "a", values, 16_000, kind)
    whole = soundfile.read(path, dtype="float32")[0]
    whole = np.clip(np.rint(whole * 32_768), -32_768, 32_767).astype(int)
    out = read(path)
    capfd.readouterr()
    assert np.abs(out[-180_000:] - whole[-180_000:]).max() <= 1
    assert np.array_equal(read(path), out)
    assert capfd.readouterr() == ("", "")


def test_a_very_short_recording(tmp_path: Path) -> None:
    assert len(read(write(tmp_path / "a.wav", np.zeros(441, np.int16), 44_100))) == 160  # 10 ms
    for frames in (1, 2, 3):
        for rate_hz in (4_000, 16_000, 44_100, 768_000):
            assert len(read(write(tmp_path / "a.wav", np.zeros(frames, np.int16), rate_hz))) == -(
                -frames * 16_000 // rate_hz
            )


def test_an_id3_tag_before_a_recording_is_skipped(tmp_path: Path) -> None:
    samples = RANDOM.integers(-3_000, 3_000, 20_000).astype(np.int16)
    for kind in ("mp3", "flac"):
        path = write(tmp_path / f"a.{kind}", samples, 16_000, kind)
        plain = read(path)
        path.write_bytes(b"ID3\x04\0\0\0\0\x02\x00" + bytes(256) + path.read_bytes())
        assert np.array_equal(read(path), plain)


def test_tags_after_an_mp3_are_skipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", speechlike(20_000, 16_000), 16_000, "mp3")
    plain, raw = read(path), path.read_bytes()
    ape = b"APETAGEX" + (2_000).to_bytes(4, "little") + (40).to_bytes(4, "little") + bytes(16) + bytes(8)
    for tail in (b"TAG" + bytes(125), bytes(500), ape, ape + b"TAG" + bytes(125)):
        path.write_bytes(raw + tail)
        assert np.array_equal(read(path), plain)


def test_an_mp3_without_a_xing_header_is_played_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", speechlike(80_000, 16_000), 16_000, "mp3")
    raw = path.read_bytes()
    with open_source(path) as source:
        frames = source.samples
    assert frames == 80_000
    path.write_bytes(raw[raw.index(b"\xff\xf3", 100) :])
    out = read(path)
    assert 80_000 <= len(out) <= 80_000 + 3 * 1_152


def test_a_file_swapped_for_its_name_only_is_judged_by_its_content(tmp_path: Path) -> None:
    samples = RANDOM.integers(-3_000, 3_000, 2_000).astype(np.int16)
    for name in ("a.mp3", "a.raw", "a.txt", "a", "a.vox"):
        assert np.array_equal(read(write(tmp_path / name, samples, 16_000, "flac")), samples)


def test_a_fifo_is_a_recording_too(tmp_path: Path) -> None:
    samples = RANDOM.integers(-3_000, 3_000, 20_000).astype(np.int16)
    held = io.BytesIO()
    soundfile.write(held, samples, 16_000, format="FLAC")
    read_end, write_end = os.pipe()
    if os.fork() == 0:  # a child, since the pipe holds less than the file
        os.close(read_end)
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(held.getvalue())
        os._exit(0)
    os.close(write_end)
    try:
        assert np.array_equal(read(f"/dev/fd/{read_end}"), samples)
    finally:
        os.close(read_end)
        os.wait()
