"""Generated speech: flite and espeak-ng voices, stationary noise, and utterances whose true bounds are known.

Everything is seeded: the same seed, generators and numpy give the same samples.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

RATE_HZ = 16000
BLOCK = RATE_HZ // 100  # 10 ms, the grid on which speech is measured
QUIET_DB = 30.0  # speech is what lies within this of the clean utterance's loudest block

Samples = npt.NDArray[np.float64]  # full scale is 1.0


@dataclass(frozen=True)
class Voice:
    """A voice of one of the two generators; `pace` is flite's duration stretch or espeak-ng's words per minute."""

    engine: str
    name: str
    pace: float
    pitch: int = 0  # flite: mean of the pitch in Hz, 0 for the voice's own; espeak-ng: 0 to 99

    @property
    def label(self) -> str:
        """How the truth files name the voice."""
        return f"{self.engine}/{self.name}/{self.pace:g}/{self.pitch}"

    def command(self, text: str, out: str) -> list[str]:
        """The command that speaks `text` into the WAV file `out`."""
        if self.engine == "flite":
            pitch = ["--setf", f"int_f0_target_mean={self.pitch}"] if self.pitch else []
            return [
                "flite",
                "-voice",
                self.name,
                "--setf",
                f"duration_stretch={self.pace:g}",
                *pitch,
                "-t",
                text,
                "-o",
                out,
            ]
        return ["espeak-ng", "-v", self.name, "-s", f"{self.pace:g}", "-p", f"{self.pitch}", "-w", out, text]


def flite(name: str, pace: float = 1.0, pitch: int = 0) -> Voice:
    """A flite voice, its durations stretched by `pace`."""
    return Voice("flite", name, pace, pitch)


def espeak(name: str, pace: float = 150, pitch: int = 50) -> Voice:
    """An espeak-ng voice at `pace` words per minute."""
    return Voice("espeak-ng", name, pace, pitch)


@lru_cache(maxsize=1)
def generator_versions() -> dict[str, str]:
    """The versions of both generators, as they name them themselves."""
    versions = {}
    for tool in ("flite", "espeak-ng"):
        said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"(?:version:|text-to-speech:)\s*(\S+)", said.stdout + said.stderr)
        versions[tool] = found.group(1) if found else "unknown"
    return versions


def speech_bounds(clean: Samples) -> tuple[int, int]:
    """First and one past the last sample of the 10 ms blocks within 30 dB of the loudest."""
    blocks = clean[: clean.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    power = np.mean(blocks**2, axis=1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-QUIET_DB / 10))
    return int(loud[0]) * BLOCK, int(loud[-1] + 1) * BLOCK


def speech_rms(clean: Samples) -> float:
    """Root mean square over the blocks that count as speech: pauses do not make a speaker quieter."""
    blocks = clean[: clean.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    power = np.mean(blocks**2, axis=1)
    return float(np.sqrt(np.mean(power[power >= power.max() * 10 ** (-QUIET_DB / 10)])))


def synthesise(text: str, voice: Voice, cache: Path | None = None) -> Samples:
    """Speak `text`: 16 kHz samples from the first to the last loud block, scaled to an RMS of 0.1 while speaking."""
    key = hashlib.sha256(f"{text}|{voice.label}|{sorted(generator_versions().items())}".encode()).hexdigest()[:24]
    kept = cache / f"{key}.npy" if cache else None
    if kept and kept.exists():
        return np.asarray(np.load(kept), np.float64)
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "speech.wav")
        subprocess.run(voice.command(text, out), check=True, capture_output=True)
        raw = Path(out).read_bytes()
    samples, rate_hz = soundfile.read(io.BytesIO(raw), dtype="float64")
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ, "HQ")
    start, end = speech_bounds(samples)
    samples = samples[start:end] * (0.1 / speech_rms(samples))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, samples)
    return np.asarray(samples, np.float64)


def noise(kind: str, samples: int, rng: np.random.Generator) -> Samples:
    """Stationary Gaussian noise of RMS 1: `white`, or `pink` (-3 dB per octave, flat below 20 Hz)."""
    white = rng.standard_normal(samples)
    if kind == "white":
        return white
    spectrum = np.fft.rfft(white)
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 20.0))
    pink = np.fft.irfft(spectrum, samples)
    return np.asarray(pink / np.sqrt(np.mean(pink**2)), np.float64)


def silence(seconds: float) -> Samples:
    """Digital silence, on the 10 ms grid."""
    return np.zeros(round(seconds * 100) * BLOCK)


def to_pcm(samples: Samples) -> npt.NDArray[np.int16]:
    """Round to 16 bits, clipped at full scale."""
    return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
