"""Operations with a state of their own, in viper: SVDF (the conventions: kernels_viper.py)."""

import micropython


@micropython.viper
def svdf(x: ptr8, w: ptr8, record: int):
    """Dot products join those that each filter remembers; these are weighted by time, added up and requantised."""
    base = int(x)
    blob = int(w)
    p = ptr32(blob + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: products are then made of 16-bit limbs
    word = (sign << 1) - 1  # all bits of an int32
    source = base + p[1]
    out = ptr8(base + p[2])
    state = base + p[3]
    weights = blob + p[8]
    feature_bias = ptr32(blob + p[9])
    time = blob + p[13]
    bias = ptr32(blob + p[14])
    limit = p[12]
    lowest = 0 - 1 - limit
    last = p[6] - 1
    eights = p[7] >> 3
    ones = p[7] & 7
    x = ptr8(source)
    taken = 0
    n = p[7]
    while n:
        taken += x[0]
        x = ptr8(int(x) + 1)
        n -= 1
    taken <<= 7  # weights are held plus 128
    unit = 0
    while unit < p[4]:
        total = bias[unit]
        rank = p[5]
        while rank:
            x = ptr8(source)
            w = ptr8(weights)
            a = ((feature_bias[0] ^ sign) - sign) - taken
            n = eights
            while n:
                a = w[0] * x[0] + a
                a = w[1] * x[1] + a
                a = w[2] * x[2] + a
                a = w[3] * x[3] + a
                a = w[4] * x[4] + a
                a = w[5] * x[5] + a
                a = w[6] * x[6] + a
                a = w[7] * x[7] + a
                x = ptr8(int(x) + 8)
                w = ptr8(int(w) + 8)
                n -= 1
            n = ones
            while n:
                a = w[0] * x[0] + a
                x = ptr8(int(x) + 1)
                w = ptr8(int(w) + 1)
                n -= 1
            weights = int(w)
            feature_bias = ptr32(int(feature_bias) + 4)
            m = p[10]
            k = p[11]
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
            if h > limit:
                h = limit
            if h < lowest:
                h = lowest
            remembered = ptr16(state)
            weight = ptr16(time)
            n = last
            while n:
                a = remembered[1]
                remembered[0] = a
                total += ((weight[0] ^ 32768) - 32768) * ((a ^ 32768) - 32768)
                remembered = ptr16(int(remembered) + 2)
                weight = ptr16(int(weight) + 2)
                n -= 1
            remembered[0] = h
            total += ((weight[0] ^ 32768) - 32768) * h
            state = int(remembered) + 2
            time = int(weight) + 2
            rank -= 1
        a = ((total & word) ^ sign) - sign  # int32 wraps around
        m = p[15]
        k = p[16]
        if k > 31:
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
            if h < 0:
                h -= 1
            h = ((h >> (k - 1)) + 1) >> 1
        h += p[17]
        if h < 0:
            h = 0
        if h > 255:
            h = 255
        out[0] = h
        out = ptr8(int(out) + 1)
        unit += 1


KERNELS = (svdf,)
