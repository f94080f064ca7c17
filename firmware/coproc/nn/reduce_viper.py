"""Whole dimensions become one, in viper: SUM, SUM16, LARGEST, ARG_MAX (the conventions: kernels_viper.py).

int16 values are taken plus 32768, as bytes are held plus 128: then sums know no sign.
"""

import micropython


@micropython.viper
def sum8(x: ptr8, w: ptr8, record: int):
    """Sums of bytes along some dimensions, requantised."""
    base = int(x)
    p = ptr32(int(w) + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: the product is then made of 16-bit limbs
    w = ptr8(base + p[2])
    step = p[14]
    step_2 = step + step
    step_3 = step_2 + step
    step_4 = step_3 + step
    bias = (p[15] ^ sign) - sign
    m = p[16]
    shift = p[17]
    zero = p[18]
    first_0 = base + p[1]
    i0 = p[3]
    while i0:
        first_1 = first_0
        i1 = p[4]
        while i1:
            first_2 = first_1
            i2 = p[5]
            while i2:
                a = bias
                at_0 = first_2
                j0 = p[9]
                while j0:
                    at_1 = at_0
                    j1 = p[10]
                    while j1:
                        x = ptr8(at_1)
                        n = p[11]
                        while n >= 4:
                            a += x[0] + x[step] + x[step_2] + x[step_3]
                            x = ptr8(int(x) + step_4)
                            n -= 4
                        while n:
                            a += x[0]
                            x = ptr8(int(x) + step)
                            n -= 1
                        at_1 += p[13]
                        j1 -= 1
                    at_0 += p[12]
                    j0 -= 1
                k = shift
                if k > 31:  # a multiplier above 1: to the left first
                    a <<= k - 32
                    k = 0
                if wide:
                    h = (a * m + half) >> 31
                else:
                    a_high = a >> 16
                    a &= 65535
                    m_high = m >> 16
                    m_low = m & 65535
                    q = a_high * m_low
                    r = a * m_high
                    s = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
                    h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (((s & 65535) + 16384) >> 15)
                if k:
                    if h < 0:  # ties go away from zero
                        h -= 1
                    h = ((h >> (k - 1)) + 1) >> 1
                h += zero
                if h < 0:
                    h = 0
                if h > 255:
                    h = 255
                w[0] = h
                w = ptr8(int(w) + 1)
                first_2 += p[8]
                i2 -= 1
            first_1 += p[7]
            i1 -= 1
        first_0 += p[6]
        i0 -= 1


@micropython.viper
def sum16(arena: ptr8, blob: ptr8, record: int):
    """Sums of int16 along some dimensions, requantised."""
    base = int(arena)
    p = ptr32(int(blob) + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1
    to = ptr16(base + p[2])
    step = p[14]
    next_1 = step >> 1  # in elements
    next_2 = step
    next_3 = step + next_1
    step_4 = step << 2
    bias = (p[15] ^ sign) - sign
    m = p[16]
    first_0 = base + p[1]
    i0 = p[3]
    while i0:
        first_1 = first_0
        i1 = p[4]
        while i1:
            first_2 = first_1
            i2 = p[5]
            while i2:
                a = bias
                at_0 = first_2
                j0 = p[9]
                while j0:
                    at_1 = at_0
                    j1 = p[10]
                    while j1:
                        x = ptr16(at_1)
                        n = p[11]
                        while n >= 4:
                            a += (x[0] ^ 32768) + (x[next_1] ^ 32768) + (x[next_2] ^ 32768) + (x[next_3] ^ 32768)
                            x = ptr16(int(x) + step_4)
                            n -= 4
                        while n:
                            a += x[0] ^ 32768
                            x = ptr16(int(x) + step)
                            n -= 1
                        at_1 += p[13]
                        j1 -= 1
                    at_0 += p[12]
                    j0 -= 1
                k = p[17]
                if k > 31:  # a multiplier above 1: to the left first
                    a <<= k - 32
                    k = 0
                if wide:
                    h = (a * m + half) >> 31
                else:
                    a_high = a >> 16
                    a &= 65535
                    m_high = m >> 16
                    m_low = m & 65535
                    q = a_high * m_low
                    r = a * m_high
                    s = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
                    h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (((s & 65535) + 16384) >> 15)
                if k:
                    if h < 0:  # ties go away from zero
                        h -= 1
                    h = ((h >> (k - 1)) + 1) >> 1
                h += p[18]
                if h < 0:
                    h = 0
                if h > 65535:
                    h = 65535
                to[0] = h ^ 32768
                to = ptr16(int(to) + 2)
                first_2 += p[8]
                i2 -= 1
            first_1 += p[7]
            i1 -= 1
        first_0 += p[6]
        i0 -= 1


@micropython.viper
def largest(x: ptr8, w: ptr8, record: int):
    """The largest bytes along some dimensions."""
    base = int(x)
    p = ptr32(int(w) + record)
    w = ptr8(base + p[2])
    step = p[14]
    step_2 = step + step
    step_3 = step_2 + step
    step_4 = step_3 + step
    first_0 = base + p[1]
    i0 = p[3]
    while i0:
        first_1 = first_0
        i1 = p[4]
        while i1:
            first_2 = first_1
            i2 = p[5]
            while i2:
                best = 0
                at_0 = first_2
                j0 = p[9]
                while j0:
                    at_1 = at_0
                    j1 = p[10]
                    while j1:
                        x = ptr8(at_1)
                        n = p[11]
                        while n >= 4:
                            if x[0] > best:
                                best = x[0]
                            if x[step] > best:
                                best = x[step]
                            if x[step_2] > best:
                                best = x[step_2]
                            if x[step_3] > best:
                                best = x[step_3]
                            x = ptr8(int(x) + step_4)
                            n -= 4
                        while n:
                            if x[0] > best:
                                best = x[0]
                            x = ptr8(int(x) + step)
                            n -= 1
                        at_1 += p[13]
                        j1 -= 1
                    at_0 += p[12]
                    j0 -= 1
                w[0] = best
                w = ptr8(int(w) + 1)
                first_2 += p[8]
                i2 -= 1
            first_1 += p[7]
            i1 -= 1
        first_0 += p[6]
        i0 -= 1


@micropython.viper
def arg_max(x: ptr8, w: ptr8, record: int):
    """Where the first of the largest bytes along the middle of three dimensions lies, as int32."""
    base = int(x)
    p = ptr32(int(w) + record)
    to = ptr32(base + p[2])
    along = p[4]
    inner = p[5]
    first = base + p[1]
    outer = p[3]
    while outer:
        i = 0
        while i < inner:
            x = ptr8(first + i)
            best = x[0]
            at = 0
            j = 1
            while j < along:
                x = ptr8(int(x) + inner)
                if x[0] > best:
                    best = x[0]
                    at = j
                j += 1
            to[0] = at
            to = ptr32(int(to) + 4)
            i += 1
        first += along * inner
        outer -= 1


KERNELS = (sum8, sum16, largest, arg_max)
