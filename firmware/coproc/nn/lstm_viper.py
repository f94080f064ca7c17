"""An LSTM's steps, in viper: MOVE, DENSE WIDE, ADD CLIPPED, MUL WIDE (the conventions: kernels_viper.py)."""

import micropython


@micropython.viper
def move(arena: ptr8, blob: ptr8, record: int):
    """Copy bytes whose place depends on how often the loop has run."""
    p = ptr32(int(blob) + record)
    base = int(arena)
    counter = ptr8(base + p[6])
    at = counter[0] | (counter[1] << 8) | (counter[2] << 16)
    if at >= p[7]:  # other records may have written there
        at = 0
    arena = ptr8(base + p[1] + at * p[2])
    blob = ptr8(base + p[3] + at * p[4])
    n = p[5]
    while n:
        arena[0] = blob[0]
        arena = ptr8(int(arena) + 1)
        blob = ptr8(int(blob) + 1)
        n -= 1


@micropython.viper
def dense(x: ptr8, w: ptr8, record: int):
    """Dot products of bytes, made int16."""
    blob = int(w)
    p = ptr32(blob + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: the product is then made of 16-bit limbs
    start = int(x) + p[1]
    to = ptr16(int(x) + p[2])
    depth = p[3]
    channels = p[4]
    table = ptr32(blob + p[6])
    shifts = ptr8(blob + p[7])
    x = ptr8(start)
    total = 0
    n = depth
    while n:
        total += x[0] + x[1] + x[2] + x[3]
        x = ptr8(int(x) + 4)
        n -= 4
    total <<= 7
    w = ptr8(blob + p[5])
    o = 0
    while o < channels:
        x = ptr8(start)
        a = 0
        n = depth
        while n:
            a = w[0] * x[0] + a
            a = w[1] * x[1] + a
            a = w[2] * x[2] + a
            a = w[3] * x[3] + a
            x = ptr8(int(x) + 4)
            w = ptr8(int(w) + 4)
            n -= 4
        a += ((table[0] ^ sign) - sign) - total
        k = shifts[o]
        if k > 31:  # a multiplier above 1: to the left first
            a <<= k - 32
            k = 0
        m = table[1]
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
        if h < -32768:
            h = -32768
        if h > 32767:
            h = 32767
        to[o] = h
        table = ptr32(int(table) + 8)
        o += 1


@micropython.viper
def add(x: ptr16, y: ptr16, record: int):
    """The sums of int16, clipped."""
    p = ptr32(int(y) + record)
    sign = 1
    sign <<= 31
    to = ptr16(int(x) + p[1])
    y = ptr16(int(x) + p[3])
    x = ptr16(int(x) + p[2])
    n = p[4]
    low = (p[5] ^ sign) - sign
    high = (p[6] ^ sign) - sign
    i = 0
    while i < n:
        a = ((x[i] ^ 32768) - 32768) + ((y[i] ^ 32768) - 32768)
        if a < low:
            a = low
        if a > high:
            a = high
        to[i] = a
        i += 1


@micropython.viper
def multiply(x: ptr16, y: ptr16, record: int):
    """The products of int16, made int16, or bytes."""
    p = ptr32(int(y) + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1
    to = int(x) + p[1]
    y = ptr16(int(x) + p[3])
    x = ptr16(int(x) + p[2])
    n = p[4]
    m = p[5]
    m_high = m >> 16
    m_low = m & 65535
    right = p[6]
    left = 0
    if right > 31:
        left = right - 32
        right = 0
    zero = (p[7] ^ sign) - sign
    low = (p[8] ^ sign) - sign
    high = (p[9] ^ sign) - sign
    item = p[10]
    i = 0
    while i < n:
        a = (((x[i] ^ 32768) - 32768) * ((y[i] ^ 32768) - 32768)) << left
        if wide:
            h = (a * m + half) >> 31
        else:
            a_high = a >> 16
            a &= 65535
            q = a_high * m_low
            r = a * m_high
            s = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
            h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (((s & 65535) + 16384) >> 15)
        if right:
            if h < 0:  # ties go away from zero
                h -= 1
            h = ((h >> (right - 1)) + 1) >> 1
        h += zero
        if h < low:
            h = low
        if h > high:
            h = high
        if item == 1:
            byte = ptr8(to + i)
            byte[0] = h
        else:
            word = ptr16(to)
            word[i] = h
        i += 1


KERNELS = (None, move, dense, add, multiply)
