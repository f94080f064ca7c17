"""Features exactly as the board makes them: `pymicro-features` and ESPHome's formula, bit for bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pymicro_features import MicroFrontend

HOP = 160  # samples: 10 ms
WINDOW = 480  # samples: 30 ms
CHANNELS = 40
INPUT_SCALE = 26 / 255  # of a model's input tensor, whose zero point is -128

_STEP = 0.0390625  # pymicro-features gives the front end's integers times this


def raw_features(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.uint16]:
    """The front end's integers [frames, 40] from a reset at 16 kHz; frame k ends at 0.03 + 0.01 k seconds."""
    front_end = MicroFrontend()
    hops = (pcm[at : at + HOP].tobytes() for at in range(0, pcm.size - HOP + 1, HOP))
    rows = [front_end.process_samples(hop).features for hop in hops]
    return np.rint(np.array([row for row in rows if row], np.float64).reshape(-1, CHANNELS) / _STEP).astype(np.uint16)


def quantise(raw: npt.NDArray[np.uint16]) -> npt.NDArray[np.int8]:
    """ESPHome's `(f * 256 + 333) / 666 - 128`, clamped."""
    return np.clip((raw.astype(np.int64) * 256 + 333) // 666 - 128, -128, 127).astype(np.int8)


def features(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
    """What a model on the board is given, int8 [frames, 40]."""
    return quantise(raw_features(pcm))


def dequantise(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
    """The real numbers that int8 features stand for, 0 to 26."""
    return ((rows.astype(np.float32) + 128) * INPUT_SCALE).astype(np.float32)
