"""Windows of images, in viper: AVERAGE, MAX, POOL16 (the conventions: kernels_viper.py).

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


KERNELS = (average, maximum, pool16)
