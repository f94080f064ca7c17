"""One number at a time: WIDE LOOKUP, RESCALE, CURVE, FROM FLOAT, TO FLOAT (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import half, scale, signed, store, word


def wide_lookup(arena, blob, record):
    """Map every byte through a table of 256 elements of 2 or 4 bytes."""
    to = word(blob, record + 4)
    frm = word(blob, record + 8)
    table = word(blob, record + 16)
    item = blob[record + 20]
    for i in range(word(blob, record + 12)):
        at = table + item * arena[frm + i]
        for j in range(item):
            arena[to + j] = blob[at + j]
        to += item


def rescale(arena, blob, record):
    """int16 less a zero point, times one multiplier above 0 and another below, clamped."""
    to = word(blob, record + 4)
    frm = word(blob, record + 8)
    zero_in = signed(blob, record + 16)
    above = word(blob, record + 20)
    below = word(blob, record + 24)
    item = blob[record + 31]
    zero = signed(blob, record + 32)
    low = signed(blob, record + 36)
    high = signed(blob, record + 40)
    for _ in range(word(blob, record + 12)):
        value = half(arena, frm) - zero_in
        if value >= 0:
            value = scale(value, above, blob[record + 28])
        else:
            value = scale(value, below, blob[record + 29])
            if blob[record + 30]:
                value = -value
        value += zero
        store(arena, to, item, low if value < low else high if value > high else value)
        frm += 2
        to += item


def curve(arena, blob, record):
    """Interpolate the sigmoid's table at |x|, then mirror it for x below 0."""
    to = word(blob, record + 4)
    frm = word(blob, record + 8)
    table = word(blob, record + 16)
    multiplier = word(blob, record + 20)
    shift = blob[record + 24]
    bits = blob[record + 28]
    saturated = word(blob, record + 32)
    above = signed(blob, record + 36)
    below = signed(blob, record + 40)
    final = blob[record + 44]
    nudge = 1 << shift >> 1
    mask = (1 << bits) - 1
    for _ in range(word(blob, record + 12)):
        x = (half(arena, frm) * multiplier + nudge) >> shift
        size = abs(x)
        at = size >> bits
        if at >= 255:
            y = saturated
        else:
            at = table + 2 * at
            first = blob[at] | blob[at + 1] << 8
            second = blob[at + 2] | blob[at + 3] << 8
            y = (first << bits) + (size & mask) * (second - first)
        y = y + above if x >= 0 else below - y
        store(arena, to, 2, y >> final)
        frm += 2
        to += 2


def from_float(arena, blob, record):
    """round(x / scale) as float32 arithmetic gives it, ties away from zero, by long division of the significands."""
    to = word(blob, record + 4)
    frm = word(blob, record + 8)
    divisor = word(blob, record + 16)
    exponent = word(blob, record + 20)
    zero = signed(blob, record + 24)
    low = signed(blob, record + 28)
    high = signed(blob, record + 32)
    item = blob[record + 36]
    for _ in range(word(blob, record + 12)):
        bits = arena[frm] | arena[frm + 1] << 8 | (arena[frm + 2] & 127) << 16
        power = (arena[frm + 3] & 127) << 1 | arena[frm + 2] >> 7
        steps = power - exponent + 1
        if power == 255 and bits:  # not a number
            quotient = 0
        elif steps > 18:
            quotient = 1 << 18
        elif steps < 0:
            quotient = 0
        else:
            # Twice the quotient, rounded down, and the remainder.
            rest = bits | 1 << 23
            quotient = 0
            size = steps
            if rest >= divisor:
                rest -= divisor
                quotient = 1
                size += 1
            for _ in range(steps):
                rest <<= 1
                quotient <<= 1
                if rest >= divisor:
                    rest -= divisor
                    quotient |= 1
            # Division in 24 bits rounds up to the tie what lies within half a bit below it.
            if quotient & 1 or divisor - rest <= divisor >> (25 - size):
                quotient += 2
            quotient >>= 1
        value = zero - quotient if arena[frm + 3] & 128 else zero + quotient
        store(arena, to, item, low if value < low else high if value > high else value)
        frm += 4
        to += item


def to_float(arena, blob, record):
    """scale * (x - zero) as float32, rounded to the nearest, ties to even."""
    to = word(blob, record + 4)
    frm = word(blob, record + 8)
    zero = signed(blob, record + 16)
    significand = word(blob, record + 20)
    exponent = word(blob, record + 24)
    for _ in range(word(blob, record + 12)):
        value = half(arena, frm) - zero
        bits = 0
        if value:
            product = abs(value) * significand
            shift = 0
            while product >> shift >= 1 << 24:
                shift += 1
            bits = product >> shift
            rest = (product - (bits << shift)) << 1
            tie = 1 << shift
            if rest > tie or (rest == tie and bits & 1):
                bits += 1
            # The leading bit of the significand adds the 1 that the exponent lacks.
            bits += (shift + exponent - 1) << 23
            if value < 0:
                bits |= 1 << 31
        store(arena, to, 4, bits)
        frm += 2
        to += 4


KERNELS = (wide_lookup, rescale, curve, from_float, to_float)
