"""Requests to judge endpointers by: who speaks, after which wake word, over which noise, and when he ends.

Voices, texts and noises that neither the model nor the rule was made with: the test voices of `voices.py`, and real
people and real sounds out of Debian packages (asterisk-core-sounds-{en,es,fr,it,ru}-wav, asterisk-moh-opsound-wav,
pocketsphinx-testdata, wesnoth-data, sound-theme-freedesktop, oxygen-sounds). Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from models.training import noise
from models.training.texts import SENTENCES
from models.training.voices import BLOCK, QUIET_DB, RATE_HZ, SPEECH_RMS, Samples, Voice, block_power, speak, speakers

LEAD_S, TAIL_S, NOBODY_S = 3.0, 3.0, 5.5
TRUTH_DB = 30.0  # speech is what lies within this of the clean request's loudest block

# The rule's defaults were chosen with these speakers, in other manners: whoever tuned on a voice is no judge of it.
_TUNED_ON = {"rms", "en-gb+f3"}
_NATURAL = ("kokoro", "piper", "festival", "flite")
_VOICED = ("human", "elf", "dwarf", "orc", "goblin", "ogre", "wail", "groan", "ugg", "laugh", "horn", "mer", "naga")
_MURMURING = ("it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU", "fr_CA_f_June")


@dataclass(frozen=True)
class Case:
    """One request after a wake word, or (without an end) a wake word after which nobody speaks; seconds."""

    said: str
    who: str
    kind: str
    snr_db: float
    pcm: npt.NDArray[np.int16]
    arm: int  # the frame at which the wake is decided
    end_s: float | None


@lru_cache(maxsize=4096)
def clip(path: str) -> Samples:
    """A recording, mono at 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ, "HQ"), np.float32)


def spoken(samples: Samples) -> Samples:
    """From the first to the last loud block, at the RMS of every voice here."""
    power = block_power(samples)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-QUIET_DB / 10))
    rms = float(np.sqrt(np.mean(power[loud])))
    return samples[loud[0] * BLOCK : (loud[-1] + 1) * BLOCK] * np.float32(SPEECH_RMS / rms)


def end_of(samples: Samples) -> float:
    """Where speech ends in a clean request."""
    power = block_power(samples)
    return float(np.flatnonzero(power >= power.max() * 10 ** (-TRUTH_DB / 10))[-1] + 1) * BLOCK / RATE_HZ


def longest_pause_s(samples: Samples) -> float:
    """The longest stretch without a loud block inside a request."""
    power = block_power(samples)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-TRUTH_DB / 10))
    return float(np.diff(loud).max(initial=1) - 1) * BLOCK / RATE_HZ


Noise = Callable[[int, np.random.Generator], npt.NDArray[np.float32]]


def _unit(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    return np.asarray(samples / max(np.sqrt(np.mean(np.square(samples))), 1e-9), np.float32)


def lasting(paths: Sequence[str]) -> Noise:
    """Noise out of recordings, one after the other."""

    def make(size: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        parts, have = [], 0
        while have < size:
            part = clip(paths[int(rng.integers(len(paths)))])
            at = int(rng.integers(max(part.size - size, 1)))
            parts.append(part[at : at + size])
            have += parts[-1].size
        return _unit(np.concatenate(parts)[:size])

    return make


def events(paths: Sequence[str]) -> Noise:
    """About one short sound in a second; the loudest quarter of a second has an RMS of 1."""

    def make(size: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        made = np.zeros(size, np.float32)
        for _ in range(max(1, rng.poisson(size / RATE_HZ))):
            part = clip(paths[int(rng.integers(len(paths)))])[:RATE_HZ]
            at = int(rng.integers(size))
            part = part[: size - at] / max(float(np.abs(part).max()), 1e-9)
            made[at : at + part.size] += part * np.float32(10 ** rng.uniform(-0.7, 0))
        window = np.ones(RATE_HZ // 4) / (RATE_HZ // 4)
        loudest = np.sqrt(np.convolve(np.square(made), window, "same").max())
        return np.asarray(made / max(loudest, 1e-9), np.float32)

    return make


def murmur(paths: Sequence[str]) -> Noise:
    """Five real people talking at once."""

    def make(size: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        talk = [spoken(clip(paths[int(i)])) for i in rng.integers(len(paths), size=12)]
        return _unit(noise.babble(talk, size, rng))

    return make


def noises(sounds: Path) -> dict[str, Noise]:
    """Every noise of the measurement that is to be had: two made ones, the others out of packages."""

    def found(folder: str, *patterns: str, but: Sequence[str] = ()) -> list[str]:
        paths = [path for pattern in patterns for path in (sounds / folder).glob(pattern)]
        return sorted(str(path) for path in paths if not any(word in path.name for word in but))

    wesnoth = next((str(p.relative_to(sounds)) for p in sounds.glob("games/wesnoth/*/data/core/sounds")), "none")
    murmuring = [path for speaker in _MURMURING for path in
                 found(f"asterisk/sounds/{speaker}", "*.wav")]  # fmt: skip
    real = {
        "music": (lasting, found("asterisk/moh", "*.wav")),
        "nature": (lasting, found(f"{wesnoth}/ambient", "*.ogg")),
        "blows": (events, found(wesnoth, "*.ogg", "*.wav", but=_VOICED)),
        "chimes": (events, found("sounds", "**/*.ogg", "**/*.oga")),
        "murmur": (murmur, [path for path in murmuring if soundfile.info(path).duration > 1]),
    }
    made: dict[str, Noise] = {
        "white": lambda size, rng: noise.noise("white", size, rng),
        "pink": lambda size, rng: noise.noise("pink", size, rng),
    }
    return made | {name: kind(paths) for name, (kind, paths) in real.items() if paths}


def make_case(
    said: str, who: str, word: Samples, request: Samples | None, kind: str, snr_db: float,
    make_noise: Noise | None, rng: np.random.Generator,
) -> Case:  # fmt: skip
    """Noise, the wake word, a pause of 0 to 2 s, the request, noise; in half of the cases in a room."""
    gaps_s = (0.0, rng.uniform(0.05, 0.6), rng.uniform(0.6, 2.0))
    gap_s = gaps_s[int(rng.choice(3, p=(0.2, 0.5, 0.3)))]
    if request is not None and request.size < 0.7 * RATE_HZ:
        gap_s = max(gap_s, 0.3)  # glued to the wake word a short answer sounds like its tail
    before = np.concatenate([_silence(LEAD_S), word])
    head = np.concatenate([before, _silence(gap_s)])
    body = [head, request, _silence(TAIL_S)] if request is not None else [head, _silence(NOBODY_S)]
    speech = np.concatenate(body).astype(np.float32)
    if rng.random() < 0.5:
        speech = noise.reverberate(speech, noise.impulse_response(rng.uniform(0.1, 0.5), rng.uniform(3, 12), rng))
    floor = noise.noise("pink", speech.size, rng) * np.float32(SPEECH_RMS * 10**-2.25)  # 45 dB below
    sound = speech + floor
    if make_noise:
        sound = sound + make_noise(speech.size, rng) * np.float32(SPEECH_RMS * 10 ** (-snr_db / 20))
    pcm = noise.to_pcm(sound * np.float32(10 ** rng.uniform(-1.0, 0.3)))
    wake_s = before.size / RATE_HZ + rng.uniform(-0.15, 0.3)
    end_s = head.size / RATE_HZ + end_of(request) if request is not None else None
    return Case(said, who, kind, snr_db, pcm, int(np.ceil((wake_s - 0.03) * 100)), end_s)


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * 100) * BLOCK, np.float32)


def conditions(kinds: Sequence[str], count: int, rng: np.random.Generator) -> list[tuple[str, float]]:
    """As many conditions in random order: an eighth without noise, the others of every kind at 20, 10, 5 and 0 dB."""
    every = [(kind, snr_db) for kind in kinds for snr_db in (20.0, 10.0, 5.0, 0.0)]
    noisy = count - count // 8
    chosen = [("quiet", 99.0)] * (count // 8) + [every[i % len(every)] for i in range(noisy)]
    return [chosen[int(i)] for i in rng.permutation(count)]


def spoken_by_voices(split: str, kinds: dict[str, Noise], count: int, seed: int) -> list[Case]:
    """Requests by text-to-speech voices of `split`; half of them with a pause of 0.2 to 0.5 s inside."""
    rng = np.random.default_rng([seed, 11])
    people = [voice for voice in speakers(split) if voice.name not in _TUNED_ON]
    natural = [voice for voice in people if voice.engine in _NATURAL]
    cases = []
    for number, (kind, snr_db) in enumerate(conditions(list(kinds), count, rng)):
        voice = (natural or people)[int(rng.integers(len(natural or people)))] if number % 2 else _any(people, rng)
        text = str(rng.choice([*SENTENCES[split], "Stop.", "Yes."], p=_weights(len(SENTENCES[split]))))
        words = text.split()
        if len(words) > 4 and rng.random() < 0.6:
            at = len(words) // 2
            pause = _silence(float(rng.uniform(0.2, 0.5)))
            request = np.concatenate([speak(" ".join(words[:at]) + ",", voice), pause,
                                      speak(" ".join(words[at:]), voice)])  # fmt: skip
        else:
            request = speak(text, voice)
        nobody = rng.random() < 0.15
        cases.append(
            make_case(text, voice.label, speak("Alexa", voice), None if nobody else request, kind, snr_db,
                      kinds.get(kind), rng)
        )  # fmt: skip
    return cases


def _any(people: Sequence[Voice], rng: np.random.Generator) -> Voice:
    return people[int(rng.integers(len(people)))]


def _weights(sentences: int) -> list[float]:
    return [0.9 / sentences] * sentences + [0.05, 0.05]


def spoken_by_people(
    sounds: Path, wakes: Sequence[str], kinds: dict[str, Noise], count: int, seed: int
) -> list[Case]:
    """Real voices: announcements in five languages and read sentences, behind wake words of twenty people.

    The noise of many voices would be made of the same speakers, and is left out.
    """
    rng = np.random.default_rng([seed, 12])
    kinds = {name: make for name, make in kinds.items() if name != "murmur"}
    announced = [
        str(p) for p in sounds.glob("asterisk/sounds/*_*/*.wav") if 1.2 < soundfile.info(str(p)).duration < 6
    ]
    read = [str(p) for p in sounds.glob("pocketsphinx/test/data/**/*.wav") if soundfile.info(str(p)).duration < 9]
    said = [path for path in sorted(announced) + sorted(read) * 10 if longest_pause_s(spoken(clip(path))) < 0.5]
    if not said or not wakes:
        return []
    cases = []
    for kind, snr_db in conditions(list(kinds), count, rng):
        path = said[int(rng.integers(len(said)))]
        word = spoken(clip(wakes[int(rng.integers(len(wakes)))]))
        request = None if rng.random() < 0.15 else spoken(clip(path))
        who = Path(path).parent.name
        cases.append(make_case(Path(path).stem, who, word, request, kind, snr_db, kinds.get(kind), rng))
    return cases
