"""One number at a time, in viper: WIDE LOOKUP, RESCALE, CURVE, FROM FLOAT, TO FLOAT (see kernels_viper.py)."""

import micropython


@micropython.viper
def wide_lookup(x: ptr8, blob: ptr8, record: int):
    """Map every byte through a table of 256 elements of 2 or 4 bytes."""
    p = ptr32(int(blob) + record)
    to = int(x) + p[1]
    x = ptr8(int(x) + p[2])
    n = p[3]
    table = int(blob) + p[4]
    i = 0
    if p[5] == 2:
        half = ptr16(to)
        halves = ptr16(table)
        while i < n:
            half[i] = halves[x[i]]
            i += 1
    else:
        full = ptr32(to)
        words = ptr32(table)
        while i < n:
            full[i] = words[x[i]]
            i += 1


@micropython.viper
def rescale(x: ptr16, to: ptr8, record: int):
    """int16 less a zero point, times one multiplier above 0 and another below, clamped."""
    p = ptr32(int(to) + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: the product is then made of 16-bit limbs
    to = ptr8(int(x) + p[1])
    x = ptr16(int(x) + p[2])
    n = p[3]
    zero_in = (p[4] ^ sign) - sign
    zero = (p[8] ^ sign) - sign
    low = (p[9] ^ sign) - sign
    high = (p[10] ^ sign) - sign
    shifts = p[7]
    item = (shifts >> 24) & 7
    while n:
        a = ((x[0] ^ 32768) - 32768) - zero_in
        x = ptr16(int(x) + 2)
        negate = 0
        m = p[5]
        k = shifts & 255
        if a < 0:
            m = p[6]
            k = (shifts >> 8) & 255
            negate = shifts & 65536
        if k > 31:  # a multiplier above 1: to the left first
            a <<= k - 32
            k = 0
        if wide:
            h = (a * m + half) >> 31
        else:
            a_high = a >> 16
            a &= 65535
            m_high = m >> 16
            m &= 65535
            q = a_high * m
            r = a * m_high
            s = (q & 65535) + (r & 65535) + (((a * m) >> 16) & 65535)
            h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (((s & 65535) + 16384) >> 15)
        if k:
            if h < 0:  # ties go away from zero
                h -= 1
            h = ((h >> (k - 1)) + 1) >> 1
        if negate:
            h = 0 - h
        h += zero
        if h < low:
            h = low
        if h > high:
            h = high
        if item == 1:
            to[0] = h
        elif item == 2:
            ptr16(to)[0] = h
        else:
            ptr32(to)[0] = h
        to = ptr8(int(to) + item)
        n -= 1


@micropython.viper
def curve(x: ptr16, to: ptr16, record: int):
    """Interpolate the sigmoid's table at |x|, then mirror it for x below 0."""
    p = ptr32(int(to) + record)
    sign = 1
    sign <<= 31
    table = ptr16(int(to) + p[4])
    to = ptr16(int(x) + p[1])
    x = ptr16(int(x) + p[2])
    n = p[3]
    multiplier = p[5]
    shift = p[6]
    bits = p[7]
    saturated = p[8]
    above = (p[9] ^ sign) - sign
    below = (p[10] ^ sign) - sign
    final = p[11]
    nudge = 0
    if shift:
        nudge = 1 << (shift - 1)
    mask = (1 << bits) - 1
    while n:
        a = (((x[0] ^ 32768) - 32768) * multiplier + nudge) >> shift
        size = a
        if a < 0:
            size = 0 - a
        i = size >> bits
        y = saturated
        if i < 255:
            first = table[i]
            y = (first << bits) + (size & mask) * (table[i + 1] - first)
        if a >= 0:
            y += above
        else:
            y = below - y
        to[0] = y >> final
        x = ptr16(int(x) + 2)
        to = ptr16(int(to) + 2)
        n -= 1


@micropython.viper
def from_float(x: ptr32, to: ptr8, record: int):
    """round(x / scale) as float32 arithmetic gives it, ties away from zero, by long division of the significands."""
    p = ptr32(int(to) + record)
    sign = 1
    sign <<= 31
    to = ptr8(int(x) + p[1])
    x = ptr32(int(x) + p[2])
    n = p[3]
    divisor = p[4]
    exponent = p[5]
    zero = (p[6] ^ sign) - sign
    low = (p[7] ^ sign) - sign
    high = (p[8] ^ sign) - sign
    item = p[9]
    while n:
        rest = x[0]
        power = (rest >> 23) & 255
        steps = power - exponent + 1
        quotient = 0
        if power == 255 and rest & 0x7FFFFF:  # not a number
            pass
        elif steps > 18:
            quotient = 1 << 18
        elif steps >= 0:
            # Twice the quotient, rounded down, and the remainder.
            rest = (rest & 0x7FFFFF) | 0x800000
            size = steps
            if rest >= divisor:
                rest -= divisor
                quotient = 1
                size += 1
            while steps:
                rest <<= 1
                quotient <<= 1
                if rest >= divisor:
                    rest -= divisor
                    quotient += 1
                steps -= 1
            # Division in 24 bits rounds up to the tie what lies within half a bit below it.
            if quotient & 1 or divisor - rest <= divisor >> (25 - size):
                quotient += 2
            quotient >>= 1
        if x[0] & sign:
            quotient = 0 - quotient
        quotient += zero
        if quotient < low:
            quotient = low
        if quotient > high:
            quotient = high
        if item == 1:
            to[0] = quotient
        else:
            ptr16(to)[0] = quotient
        x = ptr32(int(x) + 4)
        to = ptr8(int(to) + item)
        n -= 1


@micropython.viper
def to_float(x: ptr16, to: ptr32, record: int):
    """scale * (x - zero) as float32, rounded to the nearest, ties to even; the product is made of two halves."""
    p = ptr32(int(to) + record)
    sign = 1
    sign <<= 31
    to = ptr32(int(x) + p[1])
    x = ptr16(int(x) + p[2])
    n = p[3]
    zero = (p[4] ^ sign) - sign
    upper = p[5] >> 12
    lower = p[5] & 4095
    exponent = p[6] - 1
    while n:
        size = ((x[0] ^ 32768) - 32768) - zero
        bits = 0
        if size:
            minus = 0
            if size < 0:
                size = 0 - size
                minus = sign
            low = size * lower
            high = size * upper + (low >> 12)
            low &= 4095
            shift = 0
            while high >> shift > 65535:
                shift += 4
            while high >> shift > 4095:
                shift += 1
            # The product's upper 24 bits; what is below them, doubled, against the tie.
            if shift > 12:
                bits = high >> (shift - 12)
                low = ((high << 12) | low) & ((1 << shift) - 1)
            else:
                bits = (high << (12 - shift)) | (low >> shift)
                low &= (1 << shift) - 1
            low = (low << 1) + (bits & 1)
            if low > 1 << shift:
                bits += 1
            # The leading bit of the significand adds the 1 that the exponent lacks.
            bits = (bits + ((shift + exponent) << 23)) | minus
        to[0] = bits
        x = ptr16(int(x) + 2)
        to = ptr32(int(to) + 4)
        n -= 1


KERNELS = (wide_lookup, rescale, curve, from_float, to_float)
