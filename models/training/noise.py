"""Everything between a mouth and a microphone: noises, rooms, narrow channels and levels, all seeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.training.voices import RATE_HZ, Samples, block_power

KINDS = ("white", "pink", "brown", "band", "hum", "clicks", "tones", "babble")


def noise(kind: str, samples: int, rng: np.random.Generator, talk: Sequence[Samples] = ()) -> Samples:
    """Noise of RMS 1: one of `KINDS`. `talk` is what the voices of `babble` say."""
    if kind not in KINDS:
        raise ValueError(f"no noise {kind!r}; there are {', '.join(KINDS)}")
    made = babble(talk, samples, rng) if kind == "babble" else _MAKERS[kind](samples, rng)
    return np.asarray(made / max(np.sqrt(np.mean(made**2)), 1e-9), np.float32)


def _coloured(samples: int, rng: np.random.Generator, slope: float) -> npt.NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    return np.fft.irfft(spectrum * np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 20.0) ** slope, samples)


def _white(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return rng.standard_normal(samples)


def _pink(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return _coloured(samples, rng, -0.5)


def _brown(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return _coloured(samples, rng, -1.0)


def _band(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A fan, a kettle, a road: one band of noise, slowly swelling."""
    low_hz = float(np.exp(rng.uniform(np.log(80), np.log(3000))))
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    spectrum[(frequencies < low_hz) | (frequencies > low_hz * rng.uniform(1.5, 6))] *= 0.03
    return np.fft.irfft(spectrum, samples) * _swell(samples, rng)


def _swell(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    knots = rng.uniform(0.3, 1.0, samples // RATE_HZ + 3)
    return np.interp(np.arange(samples) / RATE_HZ, np.arange(knots.size), knots)


def _hum(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Mains or a motor: harmonics of 50, 60 Hz or a speed that wanders, over a little noise."""
    base_hz = rng.choice([50.0, 60.0, rng.uniform(70, 250)]) * (
        1 + 0.002 * np.cumsum(_coloured(samples, rng, -1)) / samples
    )
    phase = 2 * np.pi * np.cumsum(base_hz) / RATE_HZ
    made = np.zeros(samples)
    for harmonic in range(1, 12):
        made += rng.uniform(0, 1) / harmonic * np.sin(harmonic * phase + rng.uniform(0, 6))
    return made + 0.02 * rng.standard_normal(samples)


def _clicks(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Taps, keys, dishes: short decaying resonances at random times over faint noise."""
    made = 0.003 * rng.standard_normal(samples)
    for _ in range(rng.poisson(max(samples / RATE_HZ * rng.uniform(0.5, 6), 1))):
        length = int(rng.uniform(0.005, 0.12) * RATE_HZ)
        t = np.arange(length) / RATE_HZ
        ring = np.sin(2 * np.pi * np.exp(rng.uniform(np.log(200), np.log(6000))) * t) + 0.5 * rng.standard_normal(
            length
        )
        at = int(rng.integers(0, samples))
        ring = (ring * np.exp(-t / (length / RATE_HZ / 5)) * rng.uniform(0.2, 1))[: samples - at]
        made[at : at + ring.size] += ring
    return made


def _tones(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Something like music: chords of harmonic notes that begin, ring and end."""
    made, at = np.zeros(samples), 0
    while at < samples:
        length = min(int(rng.uniform(0.12, 0.8) * RATE_HZ), samples - at)
        t = np.arange(length) / RATE_HZ
        for _ in range(rng.integers(1, 4)):
            note_hz = 110 * 2 ** (rng.integers(0, 36) / 12)
            for harmonic in range(1, 6):
                if note_hz * harmonic < RATE_HZ / 2:
                    made[at : at + length] += np.sin(2 * np.pi * note_hz * harmonic * t) * np.exp(-3 * t) / harmonic
        at += length
    return made + 0.003 * rng.standard_normal(samples)


_MAKERS = {
    "white": _white, "pink": _pink, "brown": _brown, "band": _band, "hum": _hum, "clicks": _clicks, "tones": _tones
}  # fmt: skip


def babble(talk: Sequence[Samples], samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Five people talking at once; `talk` holds what they may say."""
    if not talk:
        raise ValueError("babble needs utterances")
    made = np.zeros(samples)
    for _ in range(5):
        at, gain = -int(rng.integers(0, RATE_HZ)), rng.uniform(0.4, 1.0)
        while at < samples:
            said = talk[int(rng.integers(len(talk)))]
            begin, end = max(at, 0), min(at + said.size, samples)
            if end > begin:
                made[begin:end] += gain * said[begin - at : end - at]
            at += said.size + int(rng.uniform(0.05, 0.4) * RATE_HZ)
    return made


def impulse_response(rt60_s: float, direct_db: float, rng: np.random.Generator) -> Samples:
    """A room: the direct sound `direct_db` above a tail of noise that falls by 60 dB in `rt60_s` seconds."""
    length = int(rt60_s * RATE_HZ)
    t = np.arange(length) / RATE_HZ
    tail = rng.standard_normal(length) * 10 ** (-3 * t / rt60_s)
    tail[: int(rng.uniform(0.001, 0.008) * RATE_HZ)] = 0
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(tail, np.float32)


def reverberate(samples: Samples, response: Samples) -> Samples:
    """`samples` in that room, of the same length."""
    size = 1 << (samples.size + response.size - 2).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.asarray(np.fft.irfft(spectrum, size)[: samples.size], np.float32)


def narrow(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """Only what lies between the two frequencies, with soft edges: a telephone, a small or muffled microphone."""
    frequencies = np.fft.rfftfreq(samples.size, 1 / RATE_HZ)
    gain = 1 / (1 + (low_hz / np.maximum(frequencies, 1)) ** 8) / (1 + (frequencies / high_hz) ** 16)
    return np.asarray(np.fft.irfft(np.fft.rfft(samples) * gain, samples.size), np.float32)


def mix(speech: Samples, background: Samples, snr_db: float) -> Samples:
    """`speech` over `background` (of RMS 1): the SNR counts the blocks within 35 dB of the loudest as speech."""
    power = block_power(speech)
    loud = power[power >= power.max() * 10**-3.5]
    return np.asarray(speech + background * np.sqrt(loud.mean()) * 10 ** (-snr_db / 20), np.float32)


def to_pcm(samples: Samples) -> npt.NDArray[np.int16]:
    """Rounded to 16 bits, clipped at full scale."""
    return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
