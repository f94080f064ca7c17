"""Windows and reductions: AVERAGE, MAX, POOL16, SUM, SUM16, LARGEST, ARG_MAX (the conventions: kernels_bytecode.py).

int16 values are taken plus 32768, as bytes are held plus 128: then sums and comparisons know no sign.
"""

from coproc.nn.words import requantise, signed, word


def _byte(arena, at):
    return arena[at]


def _half(arena, at):
    return arena[at] | (arena[at + 1] ^ 128) << 8


def _put_byte(arena, at, value):
    arena[at] = value


def _put_half(arena, at, value):
    arena[at] = value & 255
    arena[at + 1] = (value >> 8) ^ 128


def _mean(total, count, middle):
    # Rounded away from 0 where it ties; 0 is held as `middle`.
    half = count >> 1 if total > middle * count else count - 1 - (count >> 1)
    return (total + half) // count


def _pool(arena, blob, record, item, largest, get, put):
    source = word(blob, record + 4)
    to = word(blob, record + 8)
    columns = word(blob, record + 16)
    stride_y = word(blob, record + 20)
    stride_x = word(blob, record + 24)
    filter_y = word(blob, record + 36)
    filter_x = word(blob, record + 40)
    height = word(blob, record + 44)
    width = word(blob, record + 48)
    row_step = word(blob, record + 52)
    column_step = word(blob, record + 56)
    channels = word(blob, record + 60)
    low = word(blob, record + 64)
    high = word(blob, record + 68)
    middle = 32768 if item == 2 else 128
    top = -word(blob, record + 28)
    for _ in range(word(blob, record + 12)):
        left = -word(blob, record + 32)
        first_y = top if top > 0 else 0
        last_y = min(top + filter_y, height)
        for _ in range(columns):
            first_x = left if left > 0 else 0
            last_x = min(left + filter_x, width)
            count = (last_y - first_y) * (last_x - first_x)
            for c in range(channels):
                best = total = 0
                for y in range(first_y, last_y):
                    for x in range(first_x, last_x):
                        value = get(arena, source + y * row_step + x * column_step + c * item)
                        total += value
                        if value > best:
                            best = value
                if not largest:
                    best = _mean(total, count, middle)
                put(arena, to, low if best < low else high if best > high else best)
                to += item
            left += stride_x
        top += stride_y


def average(arena, blob, record):
    """The mean of each window of bytes, channel by channel; windows are cut off at the input's edges."""
    _pool(arena, blob, record, 1, False, _byte, _put_byte)


def maximum(arena, blob, record):
    """The largest byte of each window."""
    _pool(arena, blob, record, 1, True, _byte, _put_byte)


def pool16(arena, blob, record):
    """The mean or the largest of each window of int16."""
    _pool(arena, blob, record, 2, word(blob, record + 72), _half, _put_half)


def _reduce(arena, blob, record, item, requantised, get, put):
    # Sums or the largest, one after the other, each of three nested counts.
    to = word(blob, record + 8)
    counts_2 = word(blob, record + 44)
    step_2 = word(blob, record + 56)
    high = 65535 if item == 2 else 255
    first_0 = word(blob, record + 4)
    for _ in range(word(blob, record + 12)):
        first_1 = first_0
        for _ in range(word(blob, record + 16)):
            first_2 = first_1
            for _ in range(word(blob, record + 20)):
                best = total = 0
                at_0 = first_2
                for _ in range(word(blob, record + 36)):
                    at_1 = at_0
                    for _ in range(word(blob, record + 40)):
                        at = at_1
                        for _ in range(counts_2):
                            value = get(arena, at)
                            total += value
                            if value > best:
                                best = value
                            at += step_2
                        at_1 += word(blob, record + 52)
                    at_0 += word(blob, record + 48)
                if requantised:
                    total += signed(blob, record + 60)
                    best = requantise(
                        total, word(blob, record + 64), blob[record + 68], word(blob, record + 72), 0, high
                    )
                put(arena, to, best)
                to += item
                first_2 += word(blob, record + 32)
            first_1 += word(blob, record + 28)
        first_0 += word(blob, record + 24)


def sum8(arena, blob, record):
    """Sums of bytes along some dimensions, requantised."""
    _reduce(arena, blob, record, 1, True, _byte, _put_byte)


def sum16(arena, blob, record):
    """Sums of int16 along some dimensions, requantised."""
    _reduce(arena, blob, record, 2, True, _half, _put_half)


def largest(arena, blob, record):
    """The largest bytes along some dimensions."""
    _reduce(arena, blob, record, 1, False, _byte, _put_byte)


def arg_max(arena, blob, record):
    """Where the first of the largest bytes along the middle of three dimensions lies, as int32."""
    first = word(blob, record + 4)
    to = word(blob, record + 8)
    along = word(blob, record + 16)
    inner = word(blob, record + 20)
    for _ in range(word(blob, record + 12)):
        for i in range(first, first + inner):
            best = 0
            for j in range(1, along):
                if arena[i + j * inner] > arena[i + best * inner]:
                    best = j
            for k in range(4):
                arena[to + k] = best >> 8 * k & 255
            to += 4
        first += along * inner


KERNELS = (average, maximum, pool16, sum8, sum16, largest, arg_max)
