"""Words beyond `texts.py`, from pocketsphinx's dictionary and language model, apart for each split.

The everyday ones by how common they are, and those that sound almost like a command: the nearest things to it that a
person may say.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

COMMON = 4000  # words, of which phrases are made
NEAR_COMMON = 15000  # sound-alikes are no rarer than this
PER_COMMAND = 45  # sound-alikes of each command, over all splits

_STRESSES = str.maketrans("", "", "012")
_SHARES = (("train", 70), ("validation", 85), ("test", 100))


@lru_cache(maxsize=1)
def _dictionary() -> list[tuple[str, tuple[str, ...]]]:
    """Words and their phonemes, the most common first."""
    import pocketsphinx

    folder = Path(pocketsphinx.get_model_path()) / "en-us"
    language = pocketsphinx.NGramModel(
        pocketsphinx.Config(loglevel="FATAL"), pocketsphinx.LogMath(), str(folder / "en-us.lm.bin")
    )
    found = []
    for entry in (folder / "cmudict-en-us.dict").read_text().splitlines():
        word, *sounds = entry.split()
        if word.isalpha():
            found.append((-language.prob([word]), word, tuple(sound.translate(_STRESSES) for sound in sounds)))
    return [(word, sounds) for _, word, sounds in sorted(found)]


def split_of(word: str) -> str:
    """The split that a word belongs to, by its checksum."""
    part = zlib.crc32(word.encode()) % 100
    return next(split for split, below in _SHARES if part < below)


def _differ(one: tuple[str, ...], other: tuple[str, ...], allowed: int) -> bool:
    """Whether more phonemes differ than `allowed`, told quickly: by length or by phonemes that only one has."""
    return abs(len(one) - len(other)) > allowed or len(set(one) - set(other)) > allowed


def _distance(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many phonemes must be inserted, left out or exchanged."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one):
        last, row[0] = row[0], i + 1
        for j, b in enumerate(other):
            last, row[j + 1] = row[j + 1], min(row[j] + 1, row[j + 1] + 1, last + (a != b))
    return row[-1]


def near(commands: tuple[str, ...], split: str) -> tuple[str, ...]:
    """Words of `split` that sound almost like one of `commands`, but neither the same nor the same with an ending."""
    return tuple(word for word in _alike(commands) if split_of(word) == split and word not in commands)


@lru_cache(maxsize=1)
def _alike(commands: tuple[str, ...]) -> tuple[str, ...]:
    known = dict(reversed(_dictionary()))
    words: dict[str, None] = {}
    for command in commands:
        sounds, found = known[command], []
        allowed = 2 if len(sounds) > 3 else 1
        for place, (word, other) in enumerate(_dictionary()[:NEAR_COMMON]):
            if _differ(sounds, other, allowed):
                continue
            far = _distance(sounds, other)
            inflected = other[: len(sounds)] == sounds and len(other) <= len(sounds) + 1
            if 0 < far <= allowed and not inflected:
                found.append((far, place, word))
        words.update(dict.fromkeys(word for _, _, word in sorted(found)[:PER_COMMAND]))
    return tuple(words)


@lru_cache(maxsize=4)
def common(commands: tuple[str, ...], split: str) -> tuple[str, ...]:
    """The most common words of `split` that are no commands and do not sound like one."""
    known = dict(reversed(_dictionary()))
    sounding = {known[command] for command in commands}
    return tuple(w for w, sounds in _dictionary()[:COMMON] if split_of(w) == split and sounds not in sounding)


def phrases(commands: tuple[str, ...], split: str, count: int, seed: int) -> list[str]:
    """`count` sentences without sense, of two to eight common words; in a third a command that others follow."""
    rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
    words, made = common(commands, split), []
    for _ in range(count):
        said = [str(word) for word in rng.choice(words, int(rng.integers(2, 9)))]
        if rng.random() < 1 / 3:
            said.insert(int(rng.integers(len(said))), str(rng.choice(commands)))
        made.append(" ".join(said).capitalize() + str(rng.choice([".", ".", "!", "?"])))
    return made
