"""Spectral subtraction of stationary noise, before an engine that was trained on clean speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW = 512  # samples, 32 ms
HOP = 128
NOISE_QUANTILE = 0.15  # of the smoothed power over time: a request always has that much pause around it
QUANTILE_TO_MEAN = 1.5  # of noise averaged over SMOOTHED frames, from that quantile to its mean
SMOOTHED = 5  # frames
SUBTRACT = (
    2.0  # times the noise's power: what is left over sounds like chirps, which do more harm than a little noise
)
FLOOR = 0.25  # least gain, so that no hole is deeper than the engine's models know


def denoise(pcm: NDArray[np.int16]) -> NDArray[np.float64]:
    """`pcm` of any length, its stationary noise weakened; same shape, same scale."""
    padded = np.pad(pcm.astype(np.float64), WINDOW)
    padded = np.pad(padded, (0, -(padded.size - WINDOW) % HOP))
    window = np.sqrt(np.hanning(WINDOW + 1)[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectrum = np.fft.rfft(frames * window, axis=1)
    power = np.abs(spectrum) ** 2
    inside = power[WINDOW // HOP : -(WINDOW // HOP)]  # what reaches into the padding knows less noise
    if inside.shape[0] < SMOOTHED:
        return pcm.astype(np.float64)
    total = np.cumsum(np.pad(inside, ((1, 0), (0, 0))), axis=0)
    smoothed = (total[SMOOTHED:] - total[:-SMOOTHED]) / SMOOTHED
    noise = np.quantile(smoothed, NOISE_QUANTILE, axis=0) * QUANTILE_TO_MEAN
    gain = np.sqrt(np.maximum(1 - SUBTRACT * noise / np.maximum(power, 1e-6), FLOOR**2))
    pieces = np.fft.irfft(spectrum * gain, axis=1) * window
    # The squared windows at this hop add up to the same everywhere: overlap-add, one residue of the hop at a time.
    added = np.zeros(padded.size)
    for start in range(0, WINDOW, HOP):
        rows = pieces[start // HOP :: WINDOW // HOP]
        added[start : start + rows.size] += rows.ravel()
    return np.asarray(added[WINDOW : WINDOW + pcm.size] / (WINDOW / HOP / 2))
