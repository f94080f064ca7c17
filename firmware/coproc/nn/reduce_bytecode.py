"""Whole dimensions become one: SUM, SUM16, LARGEST, ARG_MAX (the conventions: kernels_bytecode.py)."""

from coproc.nn.elements import get_byte, get_half, put_byte, put_half
from coproc.nn.words import requantise, signed, word


def _reduce(arena, blob, record, item, requantised, get, put):
    # Sums or the largest, one after the other, each of three nested counts.
    to = word(blob, record + 8)
    counts_2 = word(blob, record + 44)
    step_2 = word(blob, record + 56)
    high = 65535 if item == 2 else 255
    first_0 = word(blob, record + 4)
    for _ in range(word(blob, record + 12)):
        first_1 = first_0
        for _ in range(word(blob, record + 16)):
            first_2 = first_1
            for _ in range(word(blob, record + 20)):
                best = total = 0
                at_0 = first_2
                for _ in range(word(blob, record + 36)):
                    at_1 = at_0
                    for _ in range(word(blob, record + 40)):
                        at = at_1
                        for _ in range(counts_2):
                            value = get(arena, at)
                            total += value
                            if value > best:
                                best = value
                            at += step_2
                        at_1 += word(blob, record + 52)
                    at_0 += word(blob, record + 48)
                if requantised:
                    total += signed(blob, record + 60)
                    best = requantise(
                        total, word(blob, record + 64), blob[record + 68], word(blob, record + 72), 0, high
                    )
                put(arena, to, best)
                to += item
                first_2 += word(blob, record + 32)
            first_1 += word(blob, record + 28)
        first_0 += word(blob, record + 24)


def sum8(arena, blob, record):
    """Sums of bytes along some dimensions, requantised."""
    _reduce(arena, blob, record, 1, True, get_byte, put_byte)


def sum16(arena, blob, record):
    """Sums of int16 along some dimensions, requantised."""
    _reduce(arena, blob, record, 2, True, get_half, put_half)


def largest(arena, blob, record):
    """The largest bytes along some dimensions."""
    _reduce(arena, blob, record, 1, False, get_byte, put_byte)


def arg_max(arena, blob, record):
    """Where the first of the largest bytes along the middle of three dimensions lies, as int32."""
    first = word(blob, record + 4)
    to = word(blob, record + 8)
    along = word(blob, record + 16)
    inner = word(blob, record + 20)
    for _ in range(word(blob, record + 12)):
        for i in range(first, first + inner):
            best = 0
            for j in range(1, along):
                if arena[i + j * inner] > arena[i + best * inner]:
                    best = j
            for k in range(4):
                arena[to + k] = best >> 8 * k & 255
            to += 4
        first += along * inner


KERNELS = (sum8, sum16, largest, arg_max)
