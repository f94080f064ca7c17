"""Noise is weakened, speech-like sound is not, nothing breaks at any length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.phone.asr.denoise import FLOOR, denoise


def bursts(size: int) -> np.ndarray:
    """Tone bursts with pauses between."""
    index = np.arange(size)
    return np.where(index % 8000 < 4000, 8000 * np.sin(index * 0.3), 0)


def test_sound_without_noise_passes_unchanged() -> None:
    pcm = bursts(48000).astype(np.int16)
    assert np.abs(denoise(pcm) - pcm).max() < 1


@pytest.mark.parametrize("level", [100, 1000])
def test_noise_is_weakened_and_the_sound_stays(level: int) -> None:
    noise = np.random.default_rng(1).normal(0, level, 48000)
    assert np.std(denoise(noise.astype(np.int16))) < 0.6 * level
    clean = bursts(48000)
    cleaned = denoise(np.round(clean + noise).astype(np.int16))
    pause = slice(5000, 7000)
    assert np.std(cleaned[pause]) < 0.6 * level
    burst = slice(9000, 11000)
    assert np.std(cleaned[burst]) == pytest.approx(np.std(clean[burst]), rel=0.1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 2**32 - 1))
def test_any_length_keeps_its_length_and_stays_bounded(size: int, seed: int) -> None:
    pcm = np.random.default_rng(seed).integers(-32768, 32768, size, dtype=np.int16)
    cleaned = denoise(pcm)
    assert cleaned.shape == (size,)
    assert np.isfinite(cleaned).all()
    assert np.abs(cleaned).max(initial=0) < 4 * 32768


def test_digital_silence_and_full_scale() -> None:
    assert not denoise(np.zeros(16000, np.int16)).any()
    square = np.where(np.arange(16000) // 40 % 2, 32767, -32768).astype(np.int16)
    assert np.isfinite(denoise(square)).all()
    assert 0 < FLOOR < 1
