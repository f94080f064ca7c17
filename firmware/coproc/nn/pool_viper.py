"""Windows and reductions, in viper: AVERAGE, MAX, POOL16, SUM, SUM16, LARGEST, ARG_MAX (see kernels_viper.py).

int16 values are taken plus 32768, as bytes are held plus 128: then sums and comparisons know no sign.
"""

import micropython


@micropython.viper
def average(x: ptr8, w: ptr8, record: int):
    """The mean of each window, eight channels at a time: their sums, then the divisions."""
    base = int(x)
    p = ptr32(int(w) + record)
    source = base + p[1]
    w = ptr8(base + p[2])
    row_step = p[13]
    column_step = p[14]
    channels = p[15]
    low = p[16]
    high = p[17]
    sums = ptr32(base + p[18])
    top = 0 - p[7]
    y = p[3]
    while y:
        first = top
        if first < 0:
            first = 0
        taps_y = top + p[9]
        if taps_y > p[11]:
            taps_y = p[11]
        taps_y -= first
        row = source + first * row_step
        left = 0 - p[8]
        column = p[4]
        while column:
            first = left
            if first < 0:
                first = 0
            taps_x = left + p[10]
            if taps_x > p[12]:
                taps_x = p[12]
            taps_x -= first
            window = row + first * column_step
            back = row_step - taps_x * column_step
            count = taps_y * taps_x
            middle = count << 7  # what is held as 0, so often
            up = count >> 1
            down = count - 1 - up
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
                i = taps_y
                while i:
                    j = taps_x
                    while j:
                        s0 += x[0]
                        s1 += x[1]
                        s2 += x[2]
                        s3 += x[3]
                        s4 += x[4]
                        s5 += x[5]
                        s6 += x[6]
                        s7 += x[7]
                        x = ptr8(int(x) + column_step)
                        j -= 1
                    x = ptr8(int(x) + back)
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
                    a = sums[i]
                    if a > middle:  # ties go away from zero
                        a += up
                    else:
                        a += down
                    a = a // count
                    if a < low:
                        a = low
                    if a > high:
                        a = high
                    w[0] = a
                    w = ptr8(int(w) + 1)
                    i += 1
                c += 8
            left += p[6]
            column -= 1
        top += p[5]
        y -= 1


@micropython.viper
def maximum(x: ptr8, w: ptr8, record: int):
    """The largest byte of each window, eight channels at a time."""
    base = int(x)
    p = ptr32(int(w) + record)
    source = base + p[1]
    to = ptr8(base + p[2])
    row_step = p[13]
    column_step = p[14]
    channels = p[15]
    low = p[16]
    high = p[17]
    best = ptr8(base + p[18])
    top = 0 - p[7]
    y = p[3]
    while y:
        first = top
        if first < 0:
            first = 0
        taps_y = top + p[9]
        if taps_y > p[11]:
            taps_y = p[11]
        taps_y -= first
        row = source + first * row_step
        left = 0 - p[8]
        column = p[4]
        while column:
            first = left
            if first < 0:
                first = 0
            taps_x = left + p[10]
            if taps_x > p[12]:
                taps_x = p[12]
            taps_x -= first
            window = row + first * column_step
            back = row_step - taps_x * column_step
            c = 0
            while c < channels:
                x = ptr8(window + c)
                m0 = low
                m1 = low
                m2 = low
                m3 = low
                m4 = low
                m5 = low
                m6 = low
                m7 = low
                i = taps_y
                while i:
                    j = taps_x
                    while j:
                        if x[0] > m0:
                            m0 = x[0]
                        if x[1] > m1:
                            m1 = x[1]
                        if x[2] > m2:
                            m2 = x[2]
                        if x[3] > m3:
                            m3 = x[3]
                        if x[4] > m4:
                            m4 = x[4]
                        if x[5] > m5:
                            m5 = x[5]
                        if x[6] > m6:
                            m6 = x[6]
                        if x[7] > m7:
                            m7 = x[7]
                        x = ptr8(int(x) + column_step)
                        j -= 1
                    x = ptr8(int(x) + back)
                    i -= 1
                best[0] = m0
                best[1] = m1
                best[2] = m2
                best[3] = m3
                best[4] = m4
                best[5] = m5
                best[6] = m6
                best[7] = m7
                n = channels - c
                if n > 8:
                    n = 8
                i = 0
                while i < n:
                    a = best[i]
                    if a > high:
                        a = high
                    to[0] = a
                    to = ptr8(int(to) + 1)
                    i += 1
                c += 8
            left += p[6]
            column -= 1
        top += p[5]
        y -= 1


@micropython.viper
def pool16(arena: ptr8, blob: ptr8, record: int):
    """The mean or the largest of each window of int16, one channel at a time."""
    base = int(arena)
    p = ptr32(int(blob) + record)
    source = base + p[1]
    to = ptr16(base + p[2])
    row_step = p[13]
    column_step = p[14]
    top = 0 - p[7]
    y = p[3]
    while y:
        first = top
        if first < 0:
            first = 0
        taps_y = top + p[9]
        if taps_y > p[11]:
            taps_y = p[11]
        taps_y -= first
        row = source + first * row_step
        left = 0 - p[8]
        column = p[4]
        while column:
            first = left
            if first < 0:
                first = 0
            taps_x = left + p[10]
            if taps_x > p[12]:
                taps_x = p[12]
            taps_x -= first
            window = row + first * column_step
            back = row_step - taps_x * column_step
            count = taps_y * taps_x
            half = count >> 1
            c = p[15]
            while c:
                x = ptr16(window)
                total = 0
                best = 0
                i = taps_y
                while i:
                    j = taps_x
                    while j:
                        a = x[0] ^ 32768
                        total += a
                        if a > best:
                            best = a
                        x = ptr16(int(x) + column_step)
                        j -= 1
                    x = ptr16(int(x) + back)
                    i -= 1
                if not p[18]:
                    if total > count << 15:  # ties go away from zero
                        total += half
                    else:
                        total += count - 1 - half
                    best = total // count
                if best < p[16]:
                    best = p[16]
                if best > p[17]:
                    best = p[17]
                to[0] = best ^ 32768
                to = ptr16(int(to) + 2)
                window += 2
                c -= 1
            left += p[6]
            column -= 1
        top += p[5]
        y -= 1


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


KERNELS = (average, maximum, pool16, sum8, sum16, largest, arg_max)
