"""Sums of products, in viper: CONV (dense layers too) and DEPTHWISE (the conventions: kernels_viper.py)."""

import micropython


@micropython.viper
def conv(x: ptr8, w: ptr8, record: int):
    """Convolution as dot products: sum x*w - wz*sum x + bias, then requantisation. A dense layer is a 1 x n one.

    A window that does not lie in one piece is gathered first; its sum is shared by all output channels.
    """
    base = int(x)
    blob = int(w)
    p = ptr32(blob + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: the product is then made of 16-bit limbs
    window_y = base + p[1]
    out_y = base + p[2]
    pieces = p[7] * p[9]
    piece = p[11]
    gather = base + p[12]
    eights = p[13] >> 3
    four = p[13] & 4
    channels = p[14]
    weights = blob + p[17]
    w_zero = p[20]
    zero = p[21]
    low = (zero >> 8) & 255
    high = (zero >> 16) & 255
    zero &= 255
    relu = 0
    if low >= zero:
        relu = 1
    ragged = (window_y | p[5] | p[6] | p[8] | p[10] | piece | gather) & 3
    y = p[3]
    while y:
        window = window_y
        out = ptr8(out_y)
        column = p[4]
        while column:
            start = window
            if pieces > 1:
                start = gather
                to = gather
                i = p[7]
                row = window
                while i:
                    j = p[9]
                    frm = row
                    while j:
                        n = piece
                        if ragged:
                            x = ptr8(frm)
                            w = ptr8(to)
                            while n:
                                w[0] = x[0]
                                x = ptr8(int(x) + 1)
                                w = ptr8(int(w) + 1)
                                n -= 1
                        else:
                            from_word = ptr32(frm)
                            to_word = ptr32(to)
                            while n:
                                to_word[0] = from_word[0]
                                from_word = ptr32(int(from_word) + 4)
                                to_word = ptr32(int(to_word) + 4)
                                n -= 4
                        to += piece
                        frm += p[10]
                        j -= 1
                    row += p[8]
                    i -= 1
            x = ptr8(start)
            total = 0
            n = eights
            while n:
                total += x[0] + x[1] + x[2] + x[3] + x[4] + x[5] + x[6] + x[7]
                x = ptr8(int(x) + 8)
                n -= 1
            if four:
                total += x[0] + x[1] + x[2] + x[3]
            total = total * w_zero
            w = ptr8(weights)
            table = ptr32(blob + p[18])
            shifts = ptr8(blob + p[19])
            o = 0
            while o < channels:
                x = ptr8(start)
                a = 0
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
                if four:
                    a = w[0] * x[0] + a
                    a = w[1] * x[1] + a
                    a = w[2] * x[2] + a
                    a = w[3] * x[3] + a
                    w = ptr8(int(w) + 4)
                a += ((table[0] ^ sign) - sign) - total
                h = 0
                if a > 0 or not relu:
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
                        h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (
                            ((s & 65535) + 16384) >> 15
                        )
                    if k:
                        if h < 0:  # ties go away from zero
                            h -= 1
                        h = ((h >> (k - 1)) + 1) >> 1
                h += zero
                if h < low:
                    h = low
                if h > high:
                    h = high
                out[o] = h
                table = ptr32(int(table) + 8)
                o += 1
            window += p[6]
            out = ptr8(int(out) + p[16])
            column -= 1
        window_y += p[5]
        out_y += p[15]
        y -= 1


@micropython.viper
def depthwise(x: ptr8, w: ptr8, record: int):
    """Depthwise convolution, eight channels at a time: their sums, then their requantisation."""
    base = int(x)
    blob = int(w)
    p = ptr32(blob + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1
    window_y = base + p[1]
    out_y = base + p[2]
    tap_step = p[10]
    row_step = p[8] - p[9] * tap_step
    channels = p[11]
    out_step = p[14]
    sums = ptr32(base + p[15])
    zero = p[19]
    low = (zero >> 8) & 255
    high = (zero >> 16) & 255
    zero &= 255
    relu = 0
    if low >= zero:
        relu = 1
    y = p[3]
    while y:
        window = window_y
        out_x = out_y
        column = p[4]
        while column:
            w = ptr8(blob + p[16])
            table = ptr32(blob + p[17])
            shifts = ptr8(blob + p[18])
            out = ptr8(out_x)
            c = 0
            while c < channels:
                x = ptr8(window + c)
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
                        s0 = (w[0] - 128) * x[0] + s0
                        s1 = (w[1] - 128) * x[1] + s1
                        s2 = (w[2] - 128) * x[2] + s2
                        s3 = (w[3] - 128) * x[3] + s3
                        s4 = (w[4] - 128) * x[4] + s4
                        s5 = (w[5] - 128) * x[5] + s5
                        s6 = (w[6] - 128) * x[6] + s6
                        s7 = (w[7] - 128) * x[7] + s7
                        x = ptr8(int(x) + tap_step)
                        w = ptr8(int(w) + 8)
                        j -= 1
                    x = ptr8(int(x) + row_step)
                    i -= 1
                sums[0] = s0
                sums[1] = s1
                sums[2] = s2
                sums[3] = s3
                sums[4] = s4
                sums[5] = s5
                sums[6] = s6
                sums[7] = s7
                n = channels - c
                if n > 8:
                    n = 8
                i = 0
                while i < n:
                    a = ((sums[i] ^ sign) - sign) + ((table[0] ^ sign) - sign)
                    h = 0
                    if a > 0 or not relu:
                        k = shifts[c + i]
                        if k > 31:
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
                            h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (
                                ((s & 65535) + 16384) >> 15
                            )
                        if k:
                            if h < 0:
                                h -= 1
                            h = ((h >> (k - 1)) + 1) >> 1
                    h += zero
                    if h < low:
                        h = low
                    if h > high:
                        h = high
                    out[0] = h
                    out = ptr8(int(out) + out_step)
                    table = ptr32(int(table) + 8)
                    i += 1
                c += 8
            window += p[6]
            out_x += p[13]
            column -= 1
        window_y += p[5]
        out_y += p[12]
        y -= 1


KERNELS = (conv, depthwise)
