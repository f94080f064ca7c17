"""Sums of products of int16 and int8, in viper: CONV16 (dense layers too) and DEPTHWISE16 (kernels_viper.py).

A kernel makes the sums of one window, then requantises them: a call each, with the arena itself, so that no address
becomes an object. Sums are kept as 48 bits: (upper 32, signed; lower 16).
"""

import micropython


@micropython.viper
def _requantise(x: ptr8, w: ptr8, record: int, out: int):
    # The sums of all channels become int16 from `out` on.
    blob = int(w)
    p = ptr32(blob + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: products are then made of 16-bit limbs
    sums = ptr32(int(x) + p[15])
    to = ptr16(int(x) + out)
    table = ptr32(blob + p[17])
    shifts = ptr8(blob + p[18])
    twice = p[19]
    low = ((p[20] & 65535) ^ 32768) - 32768
    high = (((p[20] >> 16) & 65535) ^ 32768) - 32768
    n = p[11]
    while n:
        low_half = sums[1] + table[1]
        a = ((sums[0] ^ sign) - sign) + ((table[0] ^ sign) - sign) + (low_half >> 16)
        low_half &= 65535
        m = table[2]
        k = shifts[0]
        if twice:  # the sum has 32 bits: TFLite's double rounding
            a = (a << 16) + low_half
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
                if h < 0:  # ties go away from zero
                    h -= 1
                h = ((h >> (k - 1)) + 1) >> 1
        elif wide:
            h = (((((a << 16) + low_half) * m) >> k) + 1) >> 1
        else:
            r = low_half * m
            q = (a & 65535) * m
            s = (r >> 16) + (q & 65535)
            h = (a >> 16) * m + (q >> 16) + (s >> 16)
            s &= 65535
            if k > 31:
                h >>= k - 32
            elif k > 15:
                h = (h << (32 - k)) + (s >> (k - 16))
            else:
                h = (h << (32 - k)) + (s << (16 - k)) + ((r & 65535) >> k)
            h = (h + 1) >> 1
        if h < low:
            h = low
        if h > high:
            h = high
        to[0] = h
        to = ptr16(int(to) + p[14])
        sums = ptr32(int(sums) + 8)
        table = ptr32(int(table) + 12)
        shifts = ptr8(int(shifts) + 1)
        n -= 1


@micropython.viper
def _conv_sums(x: ptr16, w: ptr8, record: int, window: int):
    # The window is gathered, each element plus 32768, then multiplied: sum x*w - wz*sum x.
    base = int(x)
    blob = int(w)
    p = ptr32(blob + record)
    sign = 1
    sign <<= 31
    wide = sign << 1
    most = 16  # 128 products of 24 bits fit 31
    if wide:
        most <<= 16
    to = ptr16(base + p[22])
    total = 0
    row = base + window
    i = p[7]
    while i:
        frm = row
        j = p[9]
        while j:
            x = ptr16(frm)
            n = p[21]
            while n:
                v = x[0] ^ 32768
                to[0] = v
                total += v
                x = ptr16(int(x) + 2)
                to = ptr16(int(to) + 2)
                n -= 1
            frm += p[10]
            j -= 1
        row += p[8]
        i -= 1
    n = p[23] - p[7] * p[9] * p[21]
    while n:
        to[0] = 0
        to = ptr16(int(to) + 2)
        n -= 1
    w_zero = p[24]
    total_low = (total & 65535) * w_zero
    total_high = (total >> 16) * w_zero
    gathered = base + p[22]
    eights = p[23] >> 3
    sums = ptr32(base + p[15])
    w = ptr8(blob + p[16])
    channels = p[11]
    while channels:
        x = ptr16(gathered)
        low = 0 - total_low
        high = 0 - total_high
        left = eights
        while left:
            n = left
            if n > most:
                n = most
            left -= n
            a = 0
            while n:
                a = w[0] * x[0] + a
                a = w[1] * x[1] + a
                a = w[2] * x[2] + a
                a = w[3] * x[3] + a
                a = w[4] * x[4] + a
                a = w[5] * x[5] + a
                a = w[6] * x[6] + a
                a = w[7] * x[7] + a
                x = ptr16(int(x) + 16)
                w = ptr8(int(w) + 8)
                n -= 1
            low += a & 65535
            high += a >> 16
        sums[0] = high + (low >> 16)
        sums[1] = low & 65535
        sums = ptr32(int(sums) + 8)
        channels -= 1


@micropython.viper
def _depthwise_sums(x: ptr16, w: ptr8, record: int, window: int):
    # Eight channels at a time; each element plus 32768.
    base = int(x)
    p = ptr32(int(w) + record)
    tap_step = p[10]
    row_step = p[8] - p[9] * tap_step
    sums = ptr32(base + p[15])
    w = ptr8(int(w) + p[16])
    start = base + window
    n = p[11] + 7 >> 3
    while n:
        x = ptr16(start)
        s0 = 0
        s1 = 0
        s2 = 0
        s3 = 0
        s4 = 0
        s5 = 0
        s6 = 0
        s7 = 0
        i = p[7]
        while i:
            j = p[9]
            while j:
                s0 = (w[0] - 128) * (x[0] ^ 32768) + s0
                s1 = (w[1] - 128) * (x[1] ^ 32768) + s1
                s2 = (w[2] - 128) * (x[2] ^ 32768) + s2
                s3 = (w[3] - 128) * (x[3] ^ 32768) + s3
                s4 = (w[4] - 128) * (x[4] ^ 32768) + s4
                s5 = (w[5] - 128) * (x[5] ^ 32768) + s5
                s6 = (w[6] - 128) * (x[6] ^ 32768) + s6
                s7 = (w[7] - 128) * (x[7] ^ 32768) + s7
                x = ptr16(int(x) + tap_step)
                w = ptr8(int(w) + 8)
                j -= 1
            x = ptr16(int(x) + row_step)
            i -= 1
        sums[0] = s0 >> 16
        sums[1] = s0 & 65535
        sums[2] = s1 >> 16
        sums[3] = s1 & 65535
        sums[4] = s2 >> 16
        sums[5] = s2 & 65535
        sums[6] = s3 >> 16
        sums[7] = s3 & 65535
        sums[8] = s4 >> 16
        sums[9] = s4 & 65535
        sums[10] = s5 >> 16
        sums[11] = s5 & 65535
        sums[12] = s6 >> 16
        sums[13] = s6 & 65535
        sums[14] = s7 >> 16
        sums[15] = s7 & 65535
        sums = ptr32(int(sums) + 64)
        start += 16
        n -= 1


@micropython.viper
def conv16(arena, blob, record: int):
    """Convolution of int16 by int8, one window after the other; a dense layer is a 1 x n one."""
    p = ptr32(int(ptr8(blob)) + record)
    window_y = p[1]
    out_y = p[2]
    y = p[3]
    while y:
        window = window_y
        out = out_y
        column = p[4]
        while column:
            _conv_sums(arena, blob, record, window)
            _requantise(arena, blob, record, out)
            window += p[6]
            out += p[13]
            column -= 1
        window_y += p[5]
        out_y += p[12]
        y -= 1


@micropython.viper
def depthwise16(arena, blob, record: int):
    """Depthwise convolution of int16 by int8, one window after the other."""
    p = ptr32(int(ptr8(blob)) + record)
    window_y = p[1]
    out_y = p[2]
    y = p[3]
    while y:
        window = window_y
        out = out_y
        column = p[4]
        while column:
            _depthwise_sums(arena, blob, record, window)
            _requantise(arena, blob, record, out)
            window += p[6]
            out += p[13]
            column -= 1
        window_y += p[5]
        out_y += p[12]
        y -= 1


KERNELS = (conv16, depthwise16)
