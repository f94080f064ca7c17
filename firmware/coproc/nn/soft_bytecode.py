"""Softmax: SOFTMAX and SOFTMAX16 (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import scale, word


def _high(a, b):
    # The high half of the doubled product, rounded.
    return (a * b + (1 << 30)) >> 31


def _reciprocal(s):
    # 2**61 / s for s from 2**30 to 2**31 - 1, nearly: TFLite's three Newton-Raphson steps towards 2**60 / s, doubled.
    x = 1515870810 + _high(-1010580540, s)
    for _ in range(3):
        x += _high((1 << 29) - _high(x, s), x) << 2
    return 0x7FFFFFFF if x >> 30 else x << 1


def softmax(arena, blob, record):
    """Rows of bytes to fractions of one: exponentials from a table, times the reciprocal of their sum."""
    x = word(blob, record + 4)
    to = word(blob, record + 8)
    depth = word(blob, record + 16)
    item = word(blob, record + 20)
    table = word(blob, record + 24)
    high = 65535 if item == 2 else 255
    for _ in range(word(blob, record + 12)):
        best = total = 0
        for i in range(x, x + depth):
            if arena[i] > best:
                best = arena[i]
        for i in range(x, x + depth):
            total += ((word(blob, table + 4 * (best - arena[i])) >> 11) + 1) >> 1
        exponent = 42 - 8 * item
        while not total >> 30:
            total <<= 1
            exponent -= 1
        factor = _reciprocal(total)
        for i in range(x, x + depth):
            value = _high(word(blob, table + 4 * (best - arena[i])), factor)
            value = ((value >> (exponent - 1)) + 1) >> 1
            if value > high:
                value = high
            if item == 2:
                arena[to + 1] = (value >> 8) ^ 128
            arena[to] = value & 255
            to += item
        x += depth


def _half(data, at):
    return data[at] | data[at + 1] << 8


def _interpolated(blob, curve, at):
    # `at` from 0 to 65535 along 513 places.
    at = 0 if at < 0 else 65535 if at > 65535 else at
    curve += (at >> 7) << 1
    base = _half(blob, curve)
    return base + (((_half(blob, curve + 2) - base) * (at & 127) + 64) >> 7)


def softmax16(arena, blob, record):
    """Rows of int16 to fractions of one: both curves by interpolation. The output holds the exponentials at first."""
    x = word(blob, record + 4)
    to = word(blob, record + 8)
    size = 2 * word(blob, record + 16)
    multiplier = word(blob, record + 20)
    shift = word(blob, record + 24)
    exp = word(blob, record + 28)
    reciprocal = word(blob, record + 32)
    for _ in range(word(blob, record + 12)):
        best = total = 0
        for i in range(x, x + size, 2):
            value = _half(arena, i) ^ 32768
            if value > best:
                best = value
        for i in range(0, size, 2):
            below = (_half(arena, x + i) ^ 32768) - best
            value = _interpolated(blob, exp, scale(below, multiplier, shift) + 65535)
            total += value
            arena[to + i] = value & 255
            arena[to + i + 1] = value >> 8 & 255
        bits = 30
        while bits > 1 and not total >> 30:
            total <<= 1
            bits -= 1
        factor = _interpolated(blob, reciprocal, (((total >> 13) + 1) >> 1) - 65536)
        for i in range(to, to + size, 2):
            value = (_half(arena, i) * factor + (1 << (bits - 1))) >> bits
            value = 32767 if value > 32767 else value
            arena[i] = value & 255
            arena[i + 1] = value >> 8 & 255
        x += size
        to += size


KERNELS = (softmax, softmax16)
