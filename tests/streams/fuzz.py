"""Mutates small recordings and plays them: `python fuzz.py SEED COUNT FOLDER`, a JSON object of outcomes on stdout.

A process of its own, so that a crash of libsndfile is a finding and no end of the tests, and so that what libraries
print on standard error can be seen. The file that was being played is left in FOLDER.
"""

from __future__ import annotations

import collections
import json
import random
import sys
from pathlib import Path

from bodydouble.errors import InputError
from bodydouble.streams import open_source
from streams.making import KINDS, speechlike, write

SHAPES = ((16_000, 1), (8_000, 1), (48_000, 2))
EXTRA = (
    *(("wav", subtype) for subtype in ("FLOAT", "PCM_24", "MS_ADPCM", "IMA_ADPCM", "GSM610", "ULAW")),
    *(("flac", "PCM_24"), ("aiff", "FLOAT"), ("caf", "ALAC_16"), ("caf", "FLOAT")),
)
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds(folder: Path) -> list[bytes]:
    """Small valid recordings of all kinds."""
    found = []
    for kind, subtype in (*KINDS.items(), *EXTRA):
        for rate_hz, channels in SHAPES:
            if subtype == "GSM610" and channels > 1:
                continue
            path = write(folder / "seed", speechlike(3_000, rate_hz, channels), rate_hz, kind, subtype)
            found.append(path.read_bytes())
    return found


def mutate(raw: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to four changes, most of them near the beginning, where headers are."""
    data = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        reach = len(data) if chance.random() < 0.3 else min(len(data), 120)
        at = chance.randrange(max(1, reach))
        match chance.randrange(8):
            case 0 | 1:
                data[at : at + 1] = bytes((chance.randrange(256),))
            case 2:
                data[at : at + 1] = bytes(((data[at] if at < len(data) else 0) ^ 1 << chance.randrange(8),))
            case 3:
                width = chance.choice((2, 4))
                value = chance.choice(EDGES) & (1 << 8 * width) - 1
                data[at : at + width] = value.to_bytes(width, chance.choice(("little", "big")))
            case 4:
                del data[chance.randrange(len(data) + 1) :]
            case 5:
                del data[at : at + chance.randint(1, 40)]
            case 6:
                data[at:at] = chance.randbytes(chance.randint(1, 40))
            case 7:
                other = chance.choice(others)
                cut = chance.randrange(len(other))
                data[at:at] = other[cut : cut + chance.randint(1, 600)]
    return bytes(data)


def main(seed: int, count: int, folder: Path) -> dict[str, int]:
    """Play `count` mutated recordings; counts outcomes, lets anything but an InputError out."""
    chance = random.Random(seed)
    originals = seeds(folder)
    outcomes: collections.Counter[str] = collections.Counter()
    path = folder / f"fuzzed-{seed}"
    for _ in range(count):
        path.write_bytes(mutate(chance.choice(originals), originals, chance))
        try:
            with open_source(path) as source:
                heard = sum(len(chunk) for chunk in source)
                if not heard or source.samples not in (None, heard):
                    raise AssertionError(f"{heard} of {source.samples} samples")
                outcomes["played"] += 1
        except InputError as error:
            if not str(error).isprintable() or not error.hint:
                raise AssertionError(repr(error)) from error
            outcomes[type(error).__name__] += 1
    path.unlink()
    return dict(outcomes)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
