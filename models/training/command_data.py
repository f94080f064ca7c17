"""Scenes for the command model: seeded voices in seeded rooms and noises, with what is to be heard at each step.

A scene is what the board's microphone could hear in some seconds: noise, and now and then somebody says a command, a
word that is none, or a sentence. Everything follows from the seed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt

from models.training import noise, vocabulary
from models.training.features import features
from models.training.texts import SENTENCES, WAKE_WORDS, WORDS
from models.training.voices import ALL_ENGINES, ENGINES, RATE_HZ, Samples, Voice, speak, speakers, warp

COMMANDS = (
    "stop", "cancel", "yes", "no", "louder", "quieter", "mute", "pause", "resume", "next", "back", "answer"
)  # fmt: skip
LABELS = (*COMMANDS, "other", "silence")
OTHER, SILENCE, IGNORED = len(COMMANDS), len(COMMANDS) + 1, -1

STEP_FRAMES = 3  # the model runs once in 30 ms
HEARD_AFTER_S = (0.06, 0.42)  # from a command's end until the model should say so, and how long it should

# How often each engine speaks in a training scene: the most natural voices most, the many robots least.
_SHARES = {"flite": 0.12, "festival": 0.05, "espeak-ng": 0.15, "kokoro": 0.1, "piper": 0.15, "kokoro-en": 0.58}
_TAKES = {"flite": 5, "festival": 3, "espeak-ng": 2, "kokoro": 2, "piper": 5, "kokoro-en": 1}
_OFTEN = (0.1, 0.15, 0.32, 0.25, 0.18)  # wake words, words, sound-alikes, phrases and sentences
_MOODS = 50  # phonemes: from a word's melody to a sentence's
TALK_S = 30
_SLOW = (*ENGINES, "espeak-ng")  # who says texts.py: one voice of each engine, and one more of espeak-ng's
_QUICK = ("flite", "espeak-ng", "espeak-ng", "piper")  # who says the many words of vocabulary.py
_BEST = ("kokoro-en",)  # and who says some of them
PHRASES = {"train": 160, "validation": 40, "test": 40}


@dataclass(frozen=True)
class Line:
    """What one voice says: `label` is an index into `LABELS`."""

    text: str
    voice: Voice
    label: int


@dataclass(frozen=True)
class Spoken:
    """A line in a scene, from its first to past its last loud sample, in seconds."""

    label: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Scene:
    """Int16 samples at 16 kHz and what is said in them."""

    pcm: npt.NDArray[np.int16]
    spoken: tuple[Spoken, ...]


class Script:
    """Everything that the voices of one split may say, by kind and engine; the same seed gives the same script.

    Sound-alikes and phrases without sense are for scripts with all engines.
    """

    def __init__(self, split: str, seed: int, engines: tuple[str, ...] = ENGINES) -> None:
        people = speakers(split, engines)
        self.commands: list[list[Line]] = []
        for label, command in enumerate(COMMANDS):
            takes = [(voice, take) for voice in people for take in range(_TAKES[voice.engine])]
            self.commands.append([_line(command, voice, label, seed, take) for voice, take in takes])
        wakers = [(voice, word) for voice in people if voice.engine in ENGINES for word in WAKE_WORDS]
        wakers += [(voice, WAKE_WORDS[i % 4]) for i, voice in enumerate(people) if voice.engine not in ENGINES]
        self.wake_words = [_line(word, voice, OTHER, seed) for voice, word in wakers]
        self.words = _told(WORDS[split], people, _SLOW, seed)
        self.sentences = _told(SENTENCES[split], people, _SLOW, seed)
        self.near: list[Line] = []
        self.phrases: list[Line] = []
        if set(engines) == set(ALL_ENGINES):
            alike = vocabulary.near(COMMANDS, split)
            made = vocabulary.phrases(COMMANDS, split, PHRASES[split], seed)
            self.near = _told(alike, people, _QUICK, seed) + _told(alike[::4], people, _BEST, seed)
            self.phrases = _told(made, people, _QUICK, seed) + _told(made[::5], people, _BEST, seed)

    def lines(self) -> list[Line]:
        """All of them, in order."""
        said = [line for lines in self.commands for line in lines]
        return [*said, *self.wake_words, *self.words, *self.sentences, *self.near, *self.phrases]


def _rng(*what: object) -> np.random.Generator:
    """Chances that depend on `what` alone, so that a further voice or word changes no other line."""
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def _line(text: str, voice: Voice, label: int, seed: int, take: int = 0) -> Line:
    """`text` in a melody, and by `voice` in a pace and pitch, that vary with the take."""
    rng = _rng(seed, text, voice.label, take)
    mark = "" if text[-1] in ".!?" else str(rng.choice([".", ".", "!", "?"]))
    pace = round(float(np.exp(rng.uniform(np.log(0.8), np.log(1.4)))), 2)
    pitched = voice.engine in ("flite", "espeak-ng")
    pitch = round(float(rng.uniform(0.75, 1.35)), 2) if pitched else 1.0
    mood = int(rng.integers(_MOODS)) if voice.engine == "kokoro-en" else 0
    return Line(text + mark, Voice(voice.engine, voice.name, voice.split, pace, pitch, mood), label)


def _told(texts: Sequence[str], people: Sequence[Voice], engines: Sequence[str], seed: int) -> list[Line]:
    """Lines that are no commands, each said by one voice of each of `engines`."""
    return [_line(text, who, OTHER, seed) for text in texts for who in _cast(people, text, engines, seed)]


def _cast(people: Sequence[Voice], text: str, engines: Sequence[str], seed: int) -> list[Voice]:
    rng, chosen = _rng(seed, text), []
    for engine in engines:
        found = [voice for voice in people if voice.engine == engine]
        chosen += [found[int(rng.integers(len(found)))]] if found else []
    return chosen


def _pick(lines: Sequence[Line], rng: np.random.Generator) -> Line:
    by_engine: dict[str, list[Line]] = {}
    for line in lines:
        by_engine.setdefault(line.voice.engine, []).append(line)
    share = np.array([_SHARES[engine] for engine in by_engine])
    engine = list(by_engine)[int(rng.choice(len(share), p=share / share.sum()))]
    return by_engine[engine][int(rng.integers(len(by_engine[engine])))]


def make_scene(script: Script, seconds: float, rng: np.random.Generator) -> Scene:
    """A scene as it may come: who speaks, when, in what room, noise, channel and at what level."""
    speech = np.zeros(int(seconds * RATE_HZ), np.float32)
    spoken: list[Spoken] = []
    quiet = rng.random() < 0.08  # a scene in which nobody speaks
    at = int(rng.uniform(0.4, 1.2) * RATE_HZ)
    ratio, follows = float(np.exp(rng.uniform(np.log(0.86), np.log(1.16)))), False
    while not quiet:
        near, phrases = script.near or script.words, script.phrases or script.sentences
        groups = (script.wake_words, script.words, near, phrases, script.sentences)
        if follows or rng.random() < 0.42:
            line = _pick(script.commands[int(rng.integers(len(COMMANDS)))], rng)
        else:
            line = _pick(groups[int(rng.choice(len(groups), p=_OFTEN))], rng)
        said = warp(speak(line.text, line.voice), ratio) * 10 ** (rng.uniform(-6, 6) / 20)
        if at + said.size > speech.size - RATE_HZ // 2:
            break
        parts, label = [said], line.label
        if label < len(COMMANDS) and rng.random() < 0.12:  # a command that begins a longer phrase is none
            after = warp(speak(*_said(_pick(script.words, rng))), ratio)
            parts, label = [said, np.zeros(int(rng.uniform(0, 0.1) * RATE_HZ), np.float32), after], OTHER
        begin = at
        for part in parts:
            speech[at : at + part.size] += part[: max(speech.size - at, 0)]
            at += part.size
        spoken.append(Spoken(label, begin / RATE_HZ, at / RATE_HZ))
        follows = line.text[:-1] in WAKE_WORDS and rng.random() < 0.7
        at += int(rng.uniform(0.08, 0.5) * RATE_HZ) if follows else int(rng.uniform(0.6, 1.2) * RATE_HZ)
        if not follows and rng.random() < 0.5:
            ratio = float(np.exp(rng.uniform(np.log(0.86), np.log(1.16))))
    return Scene(noise.to_pcm(_heard(speech, script, rng)), tuple(spoken))


def _said(line: Line) -> tuple[str, Voice]:
    return line.text, line.voice


def _heard(speech: Samples, script: Script, rng: np.random.Generator) -> Samples:
    """`speech` in a room, through a microphone, over noise."""
    kind = str(rng.choice(noise.KINDS))
    talk = [speak(*_said(script.sentences[int(i)])) for i in rng.integers(len(script.sentences), size=6)]
    background = noise.noise(kind, speech.size, rng, talk)
    snr_db = float(rng.choice([rng.uniform(-3, 12), rng.uniform(12, 30), rng.uniform(30, 60)]))
    room = rng.random() < 0.6
    response = noise.impulse_response(float(rng.uniform(0.1, 0.7)), float(rng.uniform(-2, 12)), rng)
    speech = noise.reverberate(speech, response) if room else speech
    if speech.any():
        mixed = noise.mix(speech, background, snr_db)
    else:
        mixed = background * np.float32(10 ** (-snr_db / 20 - 1))
    if rng.random() < 0.3:
        mixed = noise.narrow(mixed, float(rng.uniform(60, 350)), float(rng.uniform(3200, 7500)))
    level_db = rng.uniform(-24, 8)  # of speech at an RMS of 0.1 of full scale
    return np.asarray(mixed * 10 ** (level_db / 20), np.float32)


def step_labels(scene: Scene, steps: int) -> npt.NDArray[np.int8]:
    """What each step of the model should say: an index into `LABELS`, or `IGNORED` where either would be fair."""
    end_s = 0.05 + 0.03 * np.arange(steps)  # of the newest window of each step
    labels = np.full(steps, SILENCE, np.int8)
    for said in scene.spoken:
        labels[(end_s > said.start_s) & (end_s <= said.end_s + 0.7)] = IGNORED
        if said.label == OTHER:
            labels[(end_s > said.start_s + 0.1) & (end_s <= said.end_s + 0.4)] = OTHER
        else:
            half_s = (said.start_s + said.end_s) / 2
            labels[(end_s > said.start_s + 0.1) & (end_s <= half_s)] = OTHER
            first, last = HEARD_AFTER_S
            labels[(end_s > said.end_s + first) & (end_s <= said.end_s + last)] = said.label
    return labels


def scenes(script: Script, count: int, seconds: float, seed: int) -> Iterator[Scene]:
    """`count` scenes; each depends on its number and the seed alone."""
    for number in range(count):
        yield make_scene(script, seconds, np.random.default_rng([seed, 2, number]))


def talk(script: Script, kinds: str, seconds: float, seed: int) -> Iterator[Scene]:
    """Speech without a command by itself, for `seconds` in all, half a minute at a time, over noise at 5 to 40 dB.

    `kinds` is `sentences` (half without sense) or `words`: single ones, half of which sound like a command.
    """
    rng = np.random.default_rng([seed, 1, zlib.crc32(kinds.encode())])
    groups = [script.sentences, script.phrases] if kinds == "sentences" else [script.words, script.near]
    for _ in range(int(seconds / TALK_S)):
        parts, size = [np.zeros(RATE_HZ, np.float32)], RATE_HZ
        while size < TALK_S * RATE_HZ:
            line = _pick(groups[int(rng.integers(len(groups)))], rng)
            parts += [speak(line.text, line.voice), np.zeros(int(rng.uniform(0.1, 1.0) * RATE_HZ), np.float32)]
            size += parts[-2].size + parts[-1].size
        speech = np.concatenate(parts)[: TALK_S * RATE_HZ]
        kind = str(rng.choice(noise.KINDS[:-1]))
        mixed = noise.mix(speech, noise.noise(kind, speech.size, rng), float(rng.uniform(5, 40)))
        yield Scene(noise.to_pcm(mixed * np.float32(10 ** (rng.uniform(-20, 6) / 20))), ())


def examples(
    script: Script, count: int, seconds: float, seed: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Features [count, frames, 40] and labels [count, steps] of as many scenes, made by all processors."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        share = partial(_example, script, seconds, seed)
        made = list(pool.map(share, range(count), chunksize=max(1, min(50, count // 8))))
    return np.array([rows for rows, _ in made]), np.array([labels for _, labels in made])


def _example(
    script: Script, seconds: float, seed: int, number: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    scene = make_scene(script, seconds, np.random.default_rng([seed, 2, number]))
    made = features(scene.pcm)
    steps = len(made) // STEP_FRAMES
    return made[: steps * STEP_FRAMES], step_labels(scene, steps)
