"""Softmax, in viper: SOFTMAX and SOFTMAX16 (the conventions: kernels_viper.py)."""

import micropython


@micropython.viper
def softmax(x: ptr8, w: ptr8, record: int):
    """Rows of bytes to fractions of one: exponentials from a table, times the reciprocal of their sum."""
    p = ptr32(int(w) + record)
    row = int(x) + p[1]
    to = ptr8(int(x) + p[2])
    depth = p[4]
    item = p[5]
    exp = ptr32(int(w) + p[6])
    half = 1 << 15
    half <<= 15
    wide = half << 2  # 0 where an int has 32 bits: products are then made of 16-bit limbs
    high = 255
    if item == 2:
        high = 65535
    rows = p[3]
    while rows:
        x = ptr8(row)
        best = 0
        n = depth
        while n:
            if x[0] > best:
                best = x[0]
            x = ptr8(int(x) + 1)
            n -= 1
        x = ptr8(row)
        s = 0
        n = depth
        while n:
            s += ((exp[best - x[0]] >> 11) + 1) >> 1
            x = ptr8(int(x) + 1)
            n -= 1
        k = 41 - 8 * item
        while s < half:
            s <<= 1
            k -= 1
        # 2**60 / s by Newton and Raphson: a first guess, then three times two multiplications, as TFLite does it.
        guess = 23130
        guess = (guess << 16) + guess
        a = 0 - 1010580540
        m = s
        turn = 0
        while turn < 7:
            if wide:
                h = (a * m + half) >> 31
            else:
                a_high = a >> 16
                a &= 65535
                m_high = m >> 16
                m &= 65535
                q = a_high * m
                r = a * m_high
                t = (q & 65535) + (r & 65535) + (((a * m) >> 16) & 65535)
                h = ((a_high * m_high + (q >> 16) + (r >> 16) + (t >> 16)) << 1) + (((t & 65535) + 16384) >> 15)
            if turn & 1:
                a = (half >> 1) - h
                m = guess
            else:
                if turn:
                    h <<= 2
                guess += h
                a = guess
                m = s
            turn += 1
        if guess < half:
            guess <<= 1
        else:
            guess = half - 1 + half
        m_high = guess >> 16
        m_low = guess & 65535
        x = ptr8(row)
        n = depth
        while n:
            a = exp[best - x[0]]
            if a:
                if wide:
                    a = (a * guess + half) >> 31
                else:
                    a_high = a >> 16
                    a &= 65535
                    q = a_high * m_low
                    r = a * m_high
                    t = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
                    a = ((a_high * m_high + ((q >> 16) & 65535) + ((r >> 16) & 65535) + (t >> 16)) << 1) + (
                        ((t & 65535) + 16384) >> 15
                    )
                a = ((a >> k) + 1) >> 1
                if a > high:
                    a = high
            if item == 2:
                to[1] = (a >> 8) ^ 128
            to[0] = a
            to = ptr8(int(to) + item)
            x = ptr8(int(x) + 1)
            n -= 1
        row += depth
        rows -= 1


@micropython.viper
def softmax16(arena: ptr8, blob: ptr8, record: int):
    """Rows of int16 to fractions of one: both curves by interpolation. The output holds the exponentials at first."""
    p = ptr32(int(blob) + record)
    row = int(arena) + p[1]
    out = int(arena) + p[2]
    depth = p[4]
    m_high = p[5] >> 16
    m_low = p[5] & 65535
    shift = p[6]
    exp = int(blob) + p[7]
    reciprocal = int(blob) + p[8]
    half = 1 << 15
    half <<= 15
    rows = p[3]
    while rows:
        x = ptr16(row)
        best = 0
        n = depth
        while n:
            a = x[0] ^ 32768
            if a > best:
                best = a
            x = ptr16(int(x) + 2)
            n -= 1
        x = ptr16(row)
        to = ptr16(out)
        s = 0
        n = depth
        while n:
            a = (x[0] ^ 32768) - best
            k = shift
            if k > 31:  # a multiplier above 1: to the left first
                a <<= k - 32
                k = 0
            a_high = a >> 16
            a &= 65535
            q = a_high * m_low
            r = a * m_high
            t = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
            a = ((a_high * m_high + (q >> 16) + (r >> 16) + (t >> 16)) << 1) + (((t & 65535) + 16384) >> 15)
            if k:
                if a < 0:  # ties go away from zero
                    a -= 1
                a = ((a >> (k - 1)) + 1) >> 1
            a += 65535
            if a < 0:
                a = 0
            if a > 65535:
                a = 65535
            curve = ptr16(exp + ((a >> 7) << 1))
            a = curve[0] + (((curve[1] - curve[0]) * (a & 127) + 64) >> 7)
            s += a
            to[0] = a
            x = ptr16(int(x) + 2)
            to = ptr16(int(to) + 2)
            n -= 1
        k = 30
        while k > 1 and s < half:
            s <<= 1
            k -= 1
        a = (((s >> 13) + 1) >> 1) - 65536
        if a < 0:
            a = 0
        if a > 65535:
            a = 65535
        curve = ptr16(reciprocal + ((a >> 7) << 1))
        factor = curve[0] + (((curve[1] - curve[0]) * (a & 127) + 64) >> 7)
        up = 1 << (k - 1)
        to = ptr16(out)
        n = depth
        while n:
            a = (to[0] * factor + up) >> k
            if a > 32767:
                a = 32767
            to[0] = a
            to = ptr16(int(to) + 2)
            n -= 1
        row += depth << 1
        out += depth << 1
        rows -= 1


KERNELS = (softmax, softmax16)
