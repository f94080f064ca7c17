"""Scenes for the voice-activity model: who speaks when, in which noise and room, and which steps are speech.

More kinds of noise than for commands: what rings, beats and babbles is what a rule on loudness takes for speech.
Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
import numpy.typing as npt

from models.training import noise
from models.training.command_data import STEP_FRAMES, Line, Script
from models.training.features import features
from models.training.labels import speech_blocks
from models.training.voices import BLOCK, RATE_HZ, Samples, speak, warp

DELAY_FRAMES = 6  # the model says what was 60 ms before the newest window's middle
_MIDDLE = 1  # a frame's window covers 3 blocks, the middle one is the frame's

_SHARES = {"flite": 0.22, "festival": 0.1, "espeak-ng": 0.3, "kokoro": 0.38, "piper": 0.3}


@dataclass(frozen=True)
class Scene:
    """Int16 samples at 16 kHz, and for each block of 10 ms whether it is speech."""

    pcm: npt.NDArray[np.int16]
    speech: npt.NDArray[np.bool_]


def _beat(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Something like a song without a singer: a bass, chords, a tune with vibrato and drums, in one key and tempo."""
    beat = int(RATE_HZ * rng.uniform(0.25, 0.7))
    key_hz = 55 * 2 ** rng.uniform(0, 1)
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) if rng.random() < 0.5 else np.array([0, 2, 3, 5, 7, 8, 10])
    gains = rng.uniform(0, 1, 4) * (rng.random(4) < 0.75)
    tilt = rng.uniform(0.5, 2)
    made = 0.003 * rng.standard_normal(samples)
    for at in range(0, samples, beat):
        root = int(rng.choice([0, 3, 4, 5]))
        if rng.random() < 0.8:
            _ring(made, at, beat, key_hz * 2 ** (scale[root] / 12), gains[0], tilt, rng)
        for degree in (0, 2, 4) if rng.random() < 0.6 else ():
            step = root + degree
            hz = key_hz * 4 * 2 ** (scale[step % 7] / 12 + step // 7)
            _ring(made, at, beat * int(rng.integers(1, 4)), hz, gains[1] / 2, tilt, rng)
        for part in range(int(rng.integers(0, 4))):
            hz = key_hz * 8 * 2 ** (scale[int(rng.integers(7))] / 12)
            _ring(made, at + part * beat // 4, beat // int(rng.integers(1, 4)), hz, gains[2], tilt, rng)
        for part in range(4):
            if rng.random() < 0.5:
                _hit(made, at + part * beat // 4, rng.uniform(0.01, 0.15), gains[3] * rng.uniform(0.2, 1.5), rng)
    return made


def _ring(
    made: npt.NDArray[np.float64], at: int, length: int, hz: float, gain: float, tilt: float, rng: np.random.Generator
) -> None:
    """Add a note with harmonics."""
    length = min(length, made.size - at)
    if length <= 0 or gain <= 0:
        return
    t = np.arange(length) / RATE_HZ
    phase = 2 * np.pi * hz * (t + rng.uniform(0, 0.002) / hz * 10 * np.sin(2 * np.pi * rng.uniform(4, 7) * t))
    sound = np.zeros(length)
    for harmonic in range(1, 12):
        if hz * harmonic < RATE_HZ / 2:
            sound += np.sin(harmonic * phase + rng.uniform(0, 6)) * rng.uniform(0.3, 1) / harmonic**tilt
    rise = np.minimum(1, t / rng.uniform(0.003, 0.08))
    made[at : at + length] += gain * sound * rise * np.exp(-t * rng.uniform(0.3, 6))


def _hit(made: npt.NDArray[np.float64], at: int, decay_s: float, gain: float, rng: np.random.Generator) -> None:
    """Add a stroke: a band of noise, or a tone that falls, dying away."""
    length = min(int(5 * decay_s * RATE_HZ), made.size - at)
    if length <= 0 or gain <= 0:
        return
    t = np.arange(length) / RATE_HZ
    if rng.random() < 0.4:
        sound = 2 * np.sin(2 * np.pi * (rng.uniform(40, 400) * t + rng.uniform(0, 8) * np.exp(-t * 30)))
    else:
        sound = _band(rng.standard_normal(length), rng)
    made[at : at + length] += gain * sound * np.exp(-t / decay_s)


def _band(white: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """White noise through a resonance."""
    frequencies = np.fft.rfftfreq(white.size, 1 / RATE_HZ)
    centre_hz, width = np.exp(rng.uniform(np.log(100), np.log(6000))), rng.uniform(0.1, 2)
    shape = 1 / (1 + ((np.maximum(frequencies, 1) / centre_hz - centre_hz / np.maximum(frequencies, 1)) / width) ** 2)
    made = np.fft.irfft(np.fft.rfft(white) * shape, white.size)
    return made / max(np.sqrt(np.mean(made**2)), 1e-9)


def _bangs(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Doors, steps, cutlery, gusts, claps: strokes and swells of every length, now and then."""
    made = 10 ** rng.uniform(-3, -1.5) * noise.noise("pink", samples, rng).astype(np.float64)
    for _ in range(rng.poisson(samples / RATE_HZ * rng.uniform(0.2, 3)) + 1):
        at, gain = int(rng.integers(samples)), 10 ** rng.uniform(-1, 0)
        if rng.random() < 0.7:
            _hit(made, at, float(np.exp(rng.uniform(np.log(0.004), np.log(0.4)))), gain, rng)
        else:
            length = min(int(rng.uniform(0.1, 1.5) * RATE_HZ), samples - at)
            made[at : at + length] += gain * _band(rng.standard_normal(length), rng) * np.hanning(length)
    return made


def _chirps(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Birds, beeps, ring tones, sirens: single tones that glide, warble and repeat."""
    made = 10 ** rng.uniform(-3, -1.5) * noise.noise("pink", samples, rng).astype(np.float64)
    at = int(rng.uniform(0, 1) * RATE_HZ)
    while at < samples:
        length = int(np.exp(rng.uniform(np.log(0.02), np.log(1.0))) * RATE_HZ)
        t = np.arange(length) / RATE_HZ
        low_hz = np.exp(rng.uniform(np.log(300), np.log(5000)))
        hz = low_hz * (1 + rng.uniform(-0.5, 0.8) * t / t.size * RATE_HZ * (rng.random() < 0.6))
        hz = hz * (1 + rng.uniform(0, 0.15) * np.sin(2 * np.pi * rng.uniform(2, 30) * t))
        phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
        sound = np.sin(phase) + rng.uniform(0, 0.4) * np.sin(2 * phase) + rng.uniform(0, 0.3) * np.sin(3 * phase)
        sound *= np.hanning(length) if rng.random() < 0.5 else np.exp(-t * rng.uniform(0.5, 12))
        pause, gain = int(np.exp(rng.uniform(np.log(0.01), np.log(0.6))) * RATE_HZ), 10 ** rng.uniform(-0.7, 0)
        for _ in range(int(rng.integers(1, 6))):
            end = min(at + length, samples)
            made[at : max(end, at)] += gain * sound[: max(end - at, 0)]
            at += length + pause
        at += int(rng.uniform(0.0, 2.0) * RATE_HZ)
    return made


def _engine(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A motor, a train, an appliance: resonances beaten by a rhythm that speeds up and slows down."""
    t = np.arange(samples) / RATE_HZ
    rate_hz = rng.uniform(1.5, 25) * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.05, 0.5) * t))
    pulse = (0.5 + 0.5 * np.sin(2 * np.pi * np.cumsum(rate_hz) / RATE_HZ)) ** rng.uniform(0.5, 4)
    whine = noise.noise("hum", samples, rng).astype(np.float64) * rng.uniform(0, 1)
    body = sum(_band(rng.standard_normal(samples), rng) for _ in range(3))
    depth = rng.uniform(0.2, 1)
    knots = rng.uniform(0.4, 1, samples // RATE_HZ + 2)
    swell = np.interp(t, np.arange(knots.size), knots)
    return (body * (1 - depth + depth * pulse) + whine) * swell


_MAKERS: dict[str, Callable[[int, np.random.Generator], npt.NDArray[np.float64]]] = {
    "beat": _beat, "bangs": _bangs, "chirps": _chirps, "engine": _engine
}  # fmt: skip
KINDS = (*noise.KINDS, *_MAKERS)
_OFTEN = np.array([1, 1, 0.7, 1, 0.7, 1, 1, 2, 2.5, 2, 1.5, 1.5])


def background(kind: str, samples: int, rng: np.random.Generator, talk: Sequence[Samples] = ()) -> Samples:
    """Noise of RMS 1: one of `KINDS`."""
    if kind not in _MAKERS:
        return noise.noise(kind, samples, rng, talk)
    made = _MAKERS[kind](samples, rng)
    return np.asarray(made / max(np.sqrt(np.mean(made**2)), 1e-9), np.float32)


@lru_cache(maxsize=8192)
def _said(line: Line) -> tuple[Samples, npt.NDArray[np.bool_]]:
    samples = speak(line.text, line.voice)
    return samples, speech_blocks(samples)


def pick(lines: Sequence[Line], rng: np.random.Generator) -> Line:
    """One of `lines`: the most natural engines most."""
    engines = sorted({line.voice.engine for line in lines})
    share = np.array([_SHARES[engine] for engine in engines])
    engine = str(rng.choice(engines, p=share / share.sum()))
    chosen = [line for line in lines if line.voice.engine == engine]
    return chosen[int(rng.integers(len(chosen)))]


def make_scene(script: Script, seconds: float, rng: np.random.Generator) -> Scene:
    """A scene as it may come; in a quarter of them nobody speaks."""
    size = int(seconds * RATE_HZ)
    speech, blocks = np.zeros(size, np.float32), np.zeros(size // BLOCK, np.bool_)
    at = int(rng.uniform(0.3, 2.5) * 100) * BLOCK
    ratio = float(np.exp(rng.uniform(np.log(0.86), np.log(1.16))))
    groups = [script.sentences, script.words, script.wake_words, list(chain(*script.commands))]
    silent = rng.random() < 0.25
    while not silent:
        line = pick(groups[int(rng.choice(4, p=(0.5, 0.2, 0.1, 0.2)))], rng)
        dry, spoken = _said(line)
        gain = 10 ** (rng.uniform(-4, 4) / 20)
        dry = warp(dry, ratio) * np.float32(gain)
        if at + dry.size > size:
            break
        speech[at : at + dry.size] += dry
        where = at // BLOCK + np.minimum((np.flatnonzero(spoken) * ratio).astype(int), dry.size // BLOCK)
        blocks[where[where < blocks.size]] = True
        if ratio > 1:
            blocks[where[where + 1 < blocks.size]] = True
        at += dry.size + int(
            rng.uniform(0.03, 0.5) * RATE_HZ if rng.random() < 0.5 else rng.uniform(0.5, 3) * RATE_HZ
        )
        at = at // BLOCK * BLOCK
        if rng.random() < 0.4:
            ratio = float(np.exp(rng.uniform(np.log(0.86), np.log(1.16))))
    return Scene(noise.to_pcm(_heard(speech, script, rng)), blocks)


def _heard(speech: Samples, script: Script, rng: np.random.Generator) -> Samples:
    """`speech` in a room, through a microphone, over noise."""
    kind = str(rng.choice(KINDS, p=_OFTEN / _OFTEN.sum()))
    lines = [pick(script.sentences, rng) for _ in range(8 if kind == "babble" else 0)]
    talk = [speak(line.text, line.voice) for line in lines]
    behind = background(kind, speech.size, rng, talk)
    snr_db = float(rng.choice([rng.uniform(-2, 8), rng.uniform(8, 20), rng.uniform(20, 60)], p=(0.4, 0.4, 0.2)))
    if kind == "babble":
        snr_db = max(snr_db, 3.0)
    if rng.random() < 0.5:
        speech = noise.reverberate(
            speech, noise.impulse_response(float(rng.uniform(0.1, 0.6)), float(rng.uniform(0, 12)), rng)
        )
    mixed = noise.mix(speech, behind, snr_db) if speech.any() else behind * np.float32(10 ** (-snr_db / 20 - 1))
    floor = noise.noise(str(rng.choice(["white", "pink"])), speech.size, rng)
    mixed = mixed + floor * np.float32(10 ** (rng.uniform(-90, -45) / 20))
    if rng.random() < 0.4:
        mixed = noise.narrow(mixed, float(rng.uniform(60, 350)), float(rng.uniform(3200, 7500)))
    return np.asarray(mixed * 10 ** (rng.uniform(-24, 8) / 20), np.float32)


def step_labels(speech: npt.NDArray[np.bool_], steps: int) -> npt.NDArray[np.float32]:
    """The share of speech in the three frames that each step of the model is about."""
    frames = np.arange(steps * STEP_FRAMES) + _MIDDLE - DELAY_FRAMES
    inside = (frames >= 0) & (frames < speech.size)
    said = np.where(inside, speech[np.clip(frames, 0, speech.size - 1)], False)
    return np.asarray(said.reshape(steps, STEP_FRAMES).mean(axis=1), np.float32)


def scenes(script: Script, count: int, seconds: float, seed: int) -> Iterator[Scene]:
    """`count` scenes; each depends on its number and the seed alone."""
    for number in range(count):
        yield make_scene(script, seconds, np.random.default_rng([seed, 7, number]))


def examples(
    script: Script, count: int, seconds: float, seed: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Features [count, frames, 40] and speech [count, blocks] of as many scenes."""
    rows, speech = [], []
    for scene in scenes(script, count, seconds, seed):
        rows.append(features(scene.pcm))
        speech.append(scene.speech)
    return np.array(rows), np.array(speech)
