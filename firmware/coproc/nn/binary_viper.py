"""Two tensors element by element, in viper: ADD, MUL and their int16 forms (the conventions: kernels_viper.py)."""

import micropython


@micropython.viper
def add(x: ptr8, y: ptr8, record: int):
    """Bytes: the entries of two tables, summed and rescaled."""
    base = int(x)
    p = ptr32(int(y) + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: the product is then made of 16-bit limbs
    table_a = ptr32(int(y) + p[20])
    table_b = ptr32(int(y) + p[21])
    bias = 1 << 28
    m = p[22]
    m_high = m >> 16
    m_low = m & 65535
    right = p[23]  # the factors of a sum are below 1
    zero = p[24]
    low = (zero >> 8) & 255
    high = (zero >> 16) & 255
    zero &= 255
    to_0 = base + p[1]
    a_0 = base + p[2]
    b_0 = base + p[3]
    to_step = p[11]
    a_step = p[15]
    b_step = p[19]
    i = p[4]
    while i:
        to_1 = to_0
        a_1 = a_0
        b_1 = b_0
        j = p[5]
        while j:
            to_2 = to_1
            a_2 = a_1
            b_2 = b_1
            k = p[6]
            while k:
                to = ptr8(to_2)
                x = ptr8(a_2)
                y = ptr8(b_2)
                n = p[7]
                while n:
                    a = table_a[x[0]] + table_b[y[0]] - bias
                    if wide:
                        h = (a * m + half) >> 31
                    else:
                        a_high = a >> 16
                        a &= 65535
                        q = a_high * m_low
                        r = a * m_high
                        s = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
                        h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (
                            ((s & 65535) + 16384) >> 15
                        )
                    if right:
                        if h < 0:  # ties go away from zero
                            h -= 1
                        h = ((h >> (right - 1)) + 1) >> 1
                    h += zero
                    if h < low:
                        h = low
                    if h > high:
                        h = high
                    to[0] = h
                    to = ptr8(int(to) + to_step)
                    x = ptr8(int(x) + a_step)
                    y = ptr8(int(y) + b_step)
                    n -= 1
                to_2 += p[10]
                a_2 += p[14]
                b_2 += p[18]
                k -= 1
            to_1 += p[9]
            a_1 += p[13]
            b_1 += p[17]
            j -= 1
        to_0 += p[8]
        a_0 += p[12]
        b_0 += p[16]
        i -= 1


@micropython.viper
def multiply(x: ptr8, y: ptr8, record: int):
    """Bytes: the product of the distances from the zero points, rescaled."""
    base = int(x)
    p = ptr32(int(y) + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: the product is then made of 16-bit limbs
    zero_a = p[20]
    zero_b = p[21]
    m = p[22]
    m_high = m >> 16
    m_low = m & 65535
    right = p[23]
    left = 0
    if right > 31:  # a multiplier above 1: to the left first
        left = right - 32
        right = 0
    zero = p[24]
    low = (zero >> 8) & 255
    high = (zero >> 16) & 255
    zero &= 255
    to_0 = base + p[1]
    a_0 = base + p[2]
    b_0 = base + p[3]
    to_step = p[11]
    a_step = p[15]
    b_step = p[19]
    i = p[4]
    while i:
        to_1 = to_0
        a_1 = a_0
        b_1 = b_0
        j = p[5]
        while j:
            to_2 = to_1
            a_2 = a_1
            b_2 = b_1
            k = p[6]
            while k:
                to = ptr8(to_2)
                x = ptr8(a_2)
                y = ptr8(b_2)
                n = p[7]
                while n:
                    a = ((x[0] - zero_a) * (y[0] - zero_b)) << left
                    if wide:
                        h = (a * m + half) >> 31
                    else:
                        a_high = a >> 16
                        a &= 65535
                        q = a_high * m_low
                        r = a * m_high
                        s = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
                        h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (
                            ((s & 65535) + 16384) >> 15
                        )
                    if right:
                        if h < 0:  # ties go away from zero
                            h -= 1
                        h = ((h >> (right - 1)) + 1) >> 1
                    h += zero
                    if h < low:
                        h = low
                    if h > high:
                        h = high
                    to[0] = h
                    to = ptr8(int(to) + to_step)
                    x = ptr8(int(x) + a_step)
                    y = ptr8(int(y) + b_step)
                    n -= 1
                to_2 += p[10]
                a_2 += p[14]
                b_2 += p[18]
                k -= 1
            to_1 += p[9]
            a_1 += p[13]
            b_1 += p[17]
            j -= 1
        to_0 += p[8]
        a_0 += p[12]
        b_0 += p[16]
        i -= 1


@micropython.viper
def add_wide(x: ptr16, y: ptr16, record: int):
    """int16: half the first and the second by its multiplier, in 15 more bits, each negated or not; rescaled."""
    base = int(x)
    p = ptr32(int(y) + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: the product is then made of 16-bit limbs
    zero_a = (p[20] ^ sign) - sign
    zero_b = (p[21] ^ sign) - sign
    m_b = p[22]
    mb_high = m_b >> 16
    mb_low = m_b & 65535
    m = p[23]
    m_high = m >> 16
    m_low = m & 65535
    right_b = (p[24] >> 8) & 255
    right = p[24] & 255
    minus_a = (p[24] >> 16) & 255
    minus_b = (p[24] >> 24) & 255
    zero = (p[25] ^ sign) - sign
    low = (p[26] ^ sign) - sign
    high = (p[27] ^ sign) - sign
    to_0 = base + p[1]
    a_0 = base + p[2]
    b_0 = base + p[3]
    to_step = p[11]
    a_step = p[15]
    b_step = p[19]
    i = p[4]
    while i:
        to_1 = to_0
        a_1 = a_0
        b_1 = b_0
        j = p[5]
        while j:
            to_2 = to_1
            a_2 = a_1
            b_2 = b_1
            k = p[6]
            while k:
                to = ptr16(to_2)
                x = ptr16(a_2)
                y = ptr16(b_2)
                n = p[7]
                while n:
                    a = (((y[0] ^ 32768) - 32768) - zero_b) << 15
                    if wide:
                        h = (a * m_b + half) >> 31
                    else:
                        a_high = a >> 16
                        a &= 65535
                        q = a_high * mb_low
                        r = a * mb_high
                        s = (q & 65535) + (r & 65535) + (((a * mb_low) >> 16) & 65535)
                        h = ((a_high * mb_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (
                            ((s & 65535) + 16384) >> 15
                        )
                    if right_b:
                        if h < 0:  # ties go away from zero
                            h -= 1
                        h = ((h >> (right_b - 1)) + 1) >> 1
                    if minus_b:
                        h = 0 - h
                    a = (((x[0] ^ 32768) - 32768) - zero_a) << 14
                    if minus_a:
                        a = h - a
                    else:
                        a += h
                    if wide:
                        h = (a * m + half) >> 31
                    else:
                        a_high = a >> 16
                        a &= 65535
                        q = a_high * m_low
                        r = a * m_high
                        s = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
                        h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (
                            ((s & 65535) + 16384) >> 15
                        )
                    if right:
                        if h < 0:  # ties go away from zero
                            h -= 1
                        h = ((h >> (right - 1)) + 1) >> 1
                    h += zero
                    if h < low:
                        h = low
                    if h > high:
                        h = high
                    to[0] = h
                    to = ptr16(int(to) + to_step)
                    x = ptr16(int(x) + a_step)
                    y = ptr16(int(y) + b_step)
                    n -= 1
                to_2 += p[10]
                a_2 += p[14]
                b_2 += p[18]
                k -= 1
            to_1 += p[9]
            a_1 += p[13]
            b_1 += p[17]
            j -= 1
        to_0 += p[8]
        a_0 += p[12]
        b_0 += p[16]
        i -= 1


@micropython.viper
def multiply_wide(x: ptr16, y: ptr16, record: int):
    """int16: the product, rescaled."""
    base = int(x)
    p = ptr32(int(y) + record)
    sign = 1
    sign <<= 31
    half = 1 << 15
    half <<= 15
    wide = sign << 1  # 0 where an int has 32 bits: the product is then made of 16-bit limbs
    m = p[20]
    m_high = m >> 16
    m_low = m & 65535
    right = p[21]
    left = 0
    if right > 31:  # a multiplier above 1: to the left first
        left = right - 32
        right = 0
    low = (p[22] ^ sign) - sign
    high = (p[23] ^ sign) - sign
    to_0 = base + p[1]
    a_0 = base + p[2]
    b_0 = base + p[3]
    to_step = p[11]
    a_step = p[15]
    b_step = p[19]
    i = p[4]
    while i:
        to_1 = to_0
        a_1 = a_0
        b_1 = b_0
        j = p[5]
        while j:
            to_2 = to_1
            a_2 = a_1
            b_2 = b_1
            k = p[6]
            while k:
                to = ptr16(to_2)
                x = ptr16(a_2)
                y = ptr16(b_2)
                n = p[7]
                while n:
                    a = (((x[0] ^ 32768) - 32768) * ((y[0] ^ 32768) - 32768)) << left
                    if wide:
                        h = (a * m + half) >> 31
                    else:
                        a_high = a >> 16
                        a &= 65535
                        q = a_high * m_low
                        r = a * m_high
                        s = (q & 65535) + (r & 65535) + (((a * m_low) >> 16) & 65535)
                        h = ((a_high * m_high + (q >> 16) + (r >> 16) + (s >> 16)) << 1) + (
                            ((s & 65535) + 16384) >> 15
                        )
                    if right:
                        if h < 0:  # ties go away from zero
                            h -= 1
                        h = ((h >> (right - 1)) + 1) >> 1
                    if h < low:
                        h = low
                    if h > high:
                        h = high
                    to[0] = h
                    to = ptr16(int(to) + to_step)
                    x = ptr16(int(x) + a_step)
                    y = ptr16(int(y) + b_step)
                    n -= 1
                to_2 += p[10]
                a_2 += p[14]
                b_2 += p[18]
                k -= 1
            to_1 += p[9]
            a_1 += p[13]
            b_1 += p[17]
            j -= 1
        to_0 += p[8]
        a_0 += p[12]
        b_0 += p[16]
        i -= 1


KERNELS = (add, multiply, add_wide, multiply_wide)
