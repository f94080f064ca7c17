"""Two tensors element by element: ADD, MUL and their int16 forms (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import requantise, scale, signed, word

SUM_BIAS = 1 << 28  # of both terms together


def _half(arena, at):
    return arena[at] | ((arena[at + 1] ^ 128) - 128) << 8


def _walk(arena, blob, record, function):
    # Calls function(arena, blob, record, to, a, b) for every element.
    at = [word(blob, record + 4 * i) for i in range(20)]
    to_0, a_0, b_0 = at[1:4]
    for _ in range(at[4]):
        to_1, a_1, b_1 = to_0, a_0, b_0
        for _ in range(at[5]):
            to_2, a_2, b_2 = to_1, a_1, b_1
            for _ in range(at[6]):
                to, a, b = to_2, a_2, b_2
                for _ in range(at[7]):
                    function(arena, blob, record, to, a, b)
                    to += at[11]
                    a += at[15]
                    b += at[19]
                to_2 += at[10]
                a_2 += at[14]
                b_2 += at[18]
            to_1 += at[9]
            a_1 += at[13]
            b_1 += at[17]
        to_0 += at[8]
        a_0 += at[12]
        b_0 += at[16]


def _finish(arena, blob, record, to, total):
    arena[to] = requantise(
        total, word(blob, record + 88), blob[record + 92], blob[record + 96], blob[record + 97], blob[record + 98]
    )


def _store(arena, blob, limits, to, value):
    low = signed(blob, limits)
    high = signed(blob, limits + 4)
    value = low if value < low else high if value > high else value
    arena[to] = value & 255
    arena[to + 1] = value >> 8 & 255


def _add(arena, blob, record, to, a, b):
    total = word(blob, word(blob, record + 80) + 4 * arena[a]) + word(blob, word(blob, record + 84) + 4 * arena[b])
    _finish(arena, blob, record, to, total - SUM_BIAS)


def _multiply(arena, blob, record, to, a, b):
    _finish(arena, blob, record, to, (arena[a] - blob[record + 80]) * (arena[b] - blob[record + 84]))


def _add_wide(arena, blob, record, to, a, b):
    first = (_half(arena, a) - signed(blob, record + 80)) << 14
    second = (_half(arena, b) - signed(blob, record + 84)) << 15
    second = scale(second, word(blob, record + 88), blob[record + 97])
    if blob[record + 98]:
        first = -first
    if blob[record + 99]:
        second = -second
    value = scale(first + second, word(blob, record + 92), blob[record + 96]) + signed(blob, record + 100)
    _store(arena, blob, record + 104, to, value)


def _multiply_wide(arena, blob, record, to, a, b):
    value = scale(_half(arena, a) * _half(arena, b), word(blob, record + 80), blob[record + 84])
    _store(arena, blob, record + 88, to, value)


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
