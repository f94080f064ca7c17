"""Windows of images: AVERAGE, MAX, POOL16 (the conventions: kernels_bytecode.py).

int16 values are taken plus 32768, as bytes are held plus 128: then sums and comparisons know no sign.
"""

from coproc.nn.elements import get_byte, get_half, put_byte, put_half
from coproc.nn.words import word


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
    _pool(arena, blob, record, 1, False, get_byte, put_byte)


def maximum(arena, blob, record):
    """The largest byte of each window."""
    _pool(arena, blob, record, 1, True, get_byte, put_byte)


def pool16(arena, blob, record):
    """The mean or the largest of each window of int16."""
    _pool(arena, blob, record, 2, word(blob, record + 72), get_half, put_half)


KERNELS = (average, maximum, pool16)
