"""Two tensors element by element: ADD, MUL and their int16 forms (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import half, requantise, scale, signed, store, word

SUM_BIAS = 1 << 28  # of both terms together


def _walk(arena, blob, record, function):
    # Calls function(arena, blob, record, to, a, b) for every element.
    to_0 = word(blob, record + 4)
    a_0 = word(blob, record + 8)
    b_0 = word(blob, record + 12)
    count = word(blob, record + 28)
    to_step = word(blob, record + 44)
    a_step = word(blob, record + 60)
    b_step = word(blob, record + 76)
    for _ in range(word(blob, record + 16)):
        to_1 = to_0
        a_1 = a_0
        b_1 = b_0
        for _ in range(word(blob, record + 20)):
            to_2 = to_1
            a_2 = a_1
            b_2 = b_1
            for _ in range(word(blob, record + 24)):
                to = to_2
                a = a_2
                b = b_2
                for _ in range(count):
                    function(arena, blob, record, to, a, b)
                    to += to_step
                    a += a_step
                    b += b_step
                to_2 += word(blob, record + 40)
                a_2 += word(blob, record + 56)
                b_2 += word(blob, record + 72)
            to_1 += word(blob, record + 36)
            a_1 += word(blob, record + 52)
            b_1 += word(blob, record + 68)
        to_0 += word(blob, record + 32)
        a_0 += word(blob, record + 48)
        b_0 += word(blob, record + 64)


def _finish(arena, blob, record, to, total):
    arena[to] = requantise(
        total, word(blob, record + 88), blob[record + 92], blob[record + 96], blob[record + 97], blob[record + 98]
    )


def _clamp(arena, blob, limits, to, value):
    low = signed(blob, limits)
    high = signed(blob, limits + 4)
    value = low if value < low else high if value > high else value
    store(arena, to, 2, value)


def _add(arena, blob, record, to, a, b):
    total = word(blob, word(blob, record + 80) + 4 * arena[a]) + word(blob, word(blob, record + 84) + 4 * arena[b])
    _finish(arena, blob, record, to, total - SUM_BIAS)


def _multiply(arena, blob, record, to, a, b):
    _finish(arena, blob, record, to, (arena[a] - blob[record + 80]) * (arena[b] - blob[record + 84]))


def _add_wide(arena, blob, record, to, a, b):
    first = (half(arena, a) - signed(blob, record + 80)) << 14
    second = (half(arena, b) - signed(blob, record + 84)) << 15
    second = scale(second, word(blob, record + 88), blob[record + 97])
    if blob[record + 98]:
        first = -first
    if blob[record + 99]:
        second = -second
    value = scale(first + second, word(blob, record + 92), blob[record + 96]) + signed(blob, record + 100)
    _clamp(arena, blob, record + 104, to, value)


def _multiply_wide(arena, blob, record, to, a, b):
    value = scale(half(arena, a) * half(arena, b), word(blob, record + 80), blob[record + 84])
    _clamp(arena, blob, record + 88, to, value)


def add(arena, blob, record):
    """Bytes: the entries of two tables, summed and rescaled."""
    _walk(arena, blob, record, _add)


def multiply(arena, blob, record):
    """Bytes: the product of the distances from the zero points, rescaled."""
    _walk(arena, blob, record, _multiply)


def add_wide(arena, blob, record):
    """int16: half the first and the second by its multiplier, in 15 more bits, each negated or not; rescaled."""
    _walk(arena, blob, record, _add_wide)


def multiply_wide(arena, blob, record):
    """int16: the product, rescaled."""
    _walk(arena, blob, record, _multiply_wide)


KERNELS = (add, multiply, add_wide, multiply_wide)
