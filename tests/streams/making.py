"""Makes recordings for the tests: valid ones with soundfile, and broken ones from those, byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from bodydouble.streams import Samples, Source, open_source

KINDS = {
    "wav": "PCM_16",
    "flac": "PCM_16",
    "ogg": "VORBIS",
    "opus": "OPUS",
    "mp3": "MPEG_LAYER_III",
    "aiff": "PCM_16",
    "au": "PCM_16",
    "caf": "PCM_16",
    "w64": "PCM_16",
    "rf64": "PCM_16",
    "nist": "PCM_16",
}


def write(path: Path, values: npt.NDArray[np.generic], rate_hz: int, kind: str = "wav", subtype: str = "") -> Path:
    """Write [frames] or [frames, channels] as `kind`, a key of KINDS."""
    container = "OGG" if kind == "opus" else kind.upper()
    soundfile.write(path, values, rate_hz, format=container, subtype=subtype or KINDS[kind])
    return path


def speechlike(frames: int, rate_hz: int, channels: int = 1, seed: int = 0) -> npt.NDArray[np.float64]:
    """Bursts of a few partials over faint noise, [frames, channels] in -0.6 to 0.6."""
    random = np.random.default_rng(seed)
    at = np.arange(frames) / rate_hz
    turns = 140 * at + 15 * at**2  # gliding, so that no period looks like another
    voice = sum(np.sin(2 * np.pi * turns * k) / k for k in (1, 2, 4, 8))
    burst = np.clip(np.sin(2 * np.pi * 1.3 * at), 0, 1)
    mono = 0.25 * voice * burst + 0.002 * random.standard_normal(frames)
    return np.stack([np.roll(mono, 3 * channel) for channel in range(channels)], axis=1)


def read(source: str | Path | Source) -> Samples:
    """All samples of a recording or a source, in one array."""
    with source if isinstance(source, Source) else open_source(source) as opened:
        return np.concatenate([np.zeros(0, np.int16), *opened])


def wav(
    data: bytes,
    *,
    rate_hz: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    block_bytes: int | None = None,
    byte_rate: int | None = None,
    data_bytes: int | None = None,
    riff_bytes: int | None = None,
    tail: bytes = b"",
) -> bytes:
    """A WAV around `data`; each keyword makes its header say something else."""
    block = channels * ((bits + 7) // 8) if block_bytes is None else block_bytes
    fmt = struct.pack(
        "<HHIIHH", tag, channels, rate_hz, rate_hz * block if byte_rate is None else byte_rate, block, bits
    )
    size = len(data) if data_bytes is None else data_bytes
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", size) + data + tail
    return b"RIFF" + struct.pack("<I", len(body) if riff_bytes is None else riff_bytes) + body
