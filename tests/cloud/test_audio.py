"""Audio blocks: what comes in as 16 kHz mono is untouched, what does not is converted or refused with a reason."""

from __future__ import annotations

import base64
import io
import struct

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.cloud.audio import MAX_SECONDS, decode
from bodydouble.cloud.converse import AudioBlock, AudioFormat, AudioSource
from bodydouble.cloud.errors import ServiceError
from cloud.kit import RATE_HZ, encoded, tone


def heard(data: bytes, kind: AudioFormat = "wav") -> npt.NDArray[np.int16]:
    block = AudioBlock(format=kind, source=AudioSource(bytes=base64.b64encode(data).decode()))
    return decode(block, "messages.0.content.0")


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_samples_are_kept_bit_for_bit(kind: AudioFormat) -> None:
    samples = np.arange(-32768, 32768, dtype=np.int16)
    assert np.array_equal(heard(encoded(samples, kind), kind), samples)


def test_pcm_is_raw_little_endian() -> None:
    assert heard(b"\x01\x00\xff\xff\x00\x80", "pcm").tolist() == [1, -1, -32768]


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_rates_and_widths_become_16_khz_mono(rate_hz: int, channels: int) -> None:
    """A tone keeps its pitch and its level: read at the wrong rate it would have another."""
    samples = np.repeat(tone(1.0, rate_hz)[:, None], channels, axis=1)
    found = heard(encoded(samples, "wav", rate_hz))
    assert abs(found.size - RATE_HZ) <= 1
    middle = found[2000:14000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert np.argmax(spectrum) * RATE_HZ / middle.size == pytest.approx(440, abs=2)
    assert np.max(np.abs(middle)) == pytest.approx(16384, rel=0.02)


def test_float_and_clipping() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.array([0.0, 1.5, -1.5, 0.5]), RATE_HZ, format="WAV", subtype="FLOAT")
    assert heard(buffer.getvalue()).tolist() == [0, 32767, -32768, 16384]


def refused(data: bytes, kind: AudioFormat = "wav") -> str:
    with pytest.raises(ServiceError) as caught:
        heard(data, kind)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_what_is_refused() -> None:
    assert "it is empty" in refused(b"", "pcm")
    assert "odd number of bytes" in refused(b"abc", "pcm")
    assert "so it is no pcm" in refused(encoded(tone(), "wav"), "pcm")
    assert "so it is no pcm" in refused(b"fLaC" + bytes(100), "pcm")
    assert "does not begin as flac does" in refused(encoded(tone(), "wav"), "flac")
    assert "does not begin as wav does" in refused(encoded(tone(), "flac"), "wav")
    assert "it is broken" in refused(b"RIFF\0\0\0\0WAVE")
    assert "it is empty" in refused(encoded(np.zeros(0, np.int16), "wav"))
    assert "16 channels" in refused(encoded(np.zeros((100, 16), np.int16), "wav"))
    assert "at 1000 Hz" in refused(encoded(tone(1, 1000), "wav", 1000))


def test_samples_that_are_no_numbers() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.array([0.0, np.nan]), RATE_HZ, format="WAV", subtype="FLOAT")
    assert "no numbers" in refused(buffer.getvalue())


def test_a_recording_that_is_too_long() -> None:
    """Also one that is small until it is unpacked: no more than the limit is ever read of it."""
    silence = np.zeros(round((MAX_SECONDS + 1) * RATE_HZ), np.int16)
    small = encoded(silence, "flac")
    assert len(small) < 100_000
    assert "longer than 300 seconds" in refused(small, "flac")
    assert "longer than 300 seconds" in refused(silence.tobytes(), "pcm")


def test_a_header_that_lies_about_its_length() -> None:
    """What is there counts, not what the header promises."""
    data = bytearray(encoded(tone(0.1), "wav"))
    struct.pack_into("<I", data, 40, 0x7FFFFFF0)
    assert heard(bytes(data)).size == 1600


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=300), st.sampled_from(["wav", "flac", "pcm"]), st.integers(0, 60))
def test_damaged_audio_is_read_or_refused(noise: bytes, kind: AudioFormat, cut: int) -> None:
    whole = encoded(tone(0.02), "flac" if kind == "pcm" else kind)
    for data in (noise, whole[:cut] + noise, whole[:cut] + noise + whole[cut + len(noise) :]):
        try:
            assert heard(data, kind).dtype == np.int16
        except ServiceError as error:
            assert error.status == 400  # noqa: PT017
