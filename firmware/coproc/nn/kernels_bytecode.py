"""The integer kernels as plain MicroPython: the readable reference of the faster tiers, bit for bit the same.

Every kernel is `kernel(arena, blob, record)`: the bytearray that holds all tensors, the plan, and the record's offset
in the plan (firmware/PLAN.md). int8 tensors are held as value + 128. plan.py has checked every offset on loading.
"""

TIER = "bytecode"
PACKINGS = (1,)


def _word(blob, at):
    return blob[at] | blob[at + 1] << 8 | blob[at + 2] << 16 | blob[at + 3] << 24


def _signed(blob, at):
    return blob[at] | blob[at + 1] << 8 | blob[at + 2] << 16 | ((blob[at + 3] ^ 128) - 128) << 24


def _requantise(total, blob, table, shift, zero, low, high):
    # TFLite's double rounding: the doubled product's high half, rounded; then a rounding shift, ties away from 0.
    if shift > 31:  # a multiplier above 1: to the left first
        total <<= shift - 32
        shift = 0
    value = (total * _word(blob, table + 4) + (1 << 30)) >> 31
    if shift:
        if value < 0:
            value -= 1
        value = (value + (1 << (shift - 1))) >> shift
    value += zero
    return low if value < low else high if value > high else value


def copy(arena, blob, record):
    """Three nested counts of runs, from one place of the arena to another, each byte XORed."""
    to_0 = _word(blob, record + 4)
    from_0 = _word(blob, record + 8)
    count = _word(blob, record + 24)
    flip = blob[record + 52]
    for _ in range(_word(blob, record + 12)):
        to_1 = to_0
        from_1 = from_0
        for _ in range(_word(blob, record + 16)):
            to_2 = to_1
            from_2 = from_1
            for _ in range(_word(blob, record + 20)):
                for i in range(count):
                    arena[to_2 + i] = arena[from_2 + i] ^ flip
                to_2 += _word(blob, record + 36)
                from_2 += _word(blob, record + 48)
            to_1 += _word(blob, record + 32)
            from_1 += _word(blob, record + 44)
        to_0 += _word(blob, record + 28)
        from_0 += _word(blob, record + 40)


def shift(arena, blob, record):
    """Move the rows of each streaming buffer towards its start; the places overlap, so this goes upwards."""
    for entry in range(_word(blob, record + 4)):
        at = record + 8 + 12 * entry
        to = _word(blob, at)
        gap = _word(blob, at + 4) - to
        for i in range(to, to + _word(blob, at + 8)):
            arena[i] = arena[i + gap]


def fill(arena, blob, record):
    """Set a stretch of the arena to one value."""
    to = _word(blob, record + 4)
    value = blob[record + 12]
    for i in range(to, to + _word(blob, record + 8)):
        arena[i] = value


def constant(arena, blob, record):
    """Copy a stretch of the plan into the arena."""
    to = _word(blob, record + 4)
    frm = _word(blob, record + 8)
    for i in range(_word(blob, record + 12)):
        arena[to + i] = blob[frm + i]


def lookup(arena, blob, record):
    """Map every byte through a table of 256."""
    to = _word(blob, record + 4)
    frm = _word(blob, record + 8)
    table = _word(blob, record + 16)
    for i in range(_word(blob, record + 12)):
        arena[to + i] = blob[table + arena[frm + i]]


def conv(arena, blob, record):
    """Convolution as dot products: sum x*w - wz*sum x + bias, then requantisation. A dense layer is a 1 x n one."""
    window_y = _word(blob, record + 4)
    out_y = _word(blob, record + 8)
    columns = _word(blob, record + 16)
    step_y = _word(blob, record + 20)
    step_x = _word(blob, record + 24)
    pieces_y = _word(blob, record + 28)
    piece_step_y = _word(blob, record + 32)
    pieces_x = _word(blob, record + 36)
    piece_step_x = _word(blob, record + 40)
    piece = _word(blob, record + 44)
    gather = _word(blob, record + 48)
    depth = _word(blob, record + 52)
    channels = _word(blob, record + 56)
    out_step_y = _word(blob, record + 60)
    out_step_x = _word(blob, record + 64)
    weights = _word(blob, record + 68)
    table_0 = _word(blob, record + 72)
    shifts = _word(blob, record + 76)
    w_zero = _word(blob, record + 80)
    zero = blob[record + 84]
    low = blob[record + 85]
    high = blob[record + 86]
    for _ in range(_word(blob, record + 12)):
        window = window_y
        out = out_y
        for _ in range(columns):
            x = window
            if pieces_y * pieces_x > 1:
                to = x = gather
                for i in range(pieces_y):
                    for j in range(pieces_x):
                        frm = window + i * piece_step_y + j * piece_step_x
                        for k in range(piece):
                            arena[to + k] = arena[frm + k]
                        to += piece
            total = 0
            for k in range(x, x + depth):
                total += arena[k]
            total *= w_zero
            w = weights
            table = table_0
            for o in range(channels):
                a = _signed(blob, table) - total
                for k in range(depth):
                    a += blob[w + k] * arena[x + k]
                arena[out + o] = _requantise(a, blob, table, blob[shifts + o], zero, low, high)
                w += depth
                table += 8
            window += step_x
            out += out_step_x
        window_y += step_y
        out_y += out_step_y


def depthwise(arena, blob, record):
    """Depthwise convolution; the weights lie in blocks of eight channels, tap by tap."""
    window_y = _word(blob, record + 4)
    out_y = _word(blob, record + 8)
    columns = _word(blob, record + 16)
    step_y = _word(blob, record + 20)
    step_x = _word(blob, record + 24)
    taps_y = _word(blob, record + 28)
    tap_step_y = _word(blob, record + 32)
    taps_x = _word(blob, record + 36)
    tap_step_x = _word(blob, record + 40)
    channels = _word(blob, record + 44)
    out_step_y = _word(blob, record + 48)
    out_step_x = _word(blob, record + 52)
    out_step = _word(blob, record + 56)
    weights = _word(blob, record + 64)
    table = _word(blob, record + 68)
    shifts = _word(blob, record + 72)
    zero = blob[record + 76]
    low = blob[record + 77]
    high = blob[record + 78]
    block = taps_y * taps_x * 8
    for _ in range(_word(blob, record + 12)):
        window = window_y
        out = out_y
        for _ in range(columns):
            for c in range(channels):
                a = _signed(blob, table + 8 * c)
                w = weights + (c >> 3) * block + (c & 7)
                x_0 = window + c
                for _ in range(taps_y):
                    x = x_0
                    for _ in range(taps_x):
                        a += (blob[w] - 128) * arena[x]
                        x += tap_step_x
                        w += 8
                    x_0 += tap_step_y
                arena[out + c * out_step] = _requantise(a, blob, table + 8 * c, blob[shifts + c], zero, low, high)
            window += step_x
            out += out_step_x
        window_y += step_y
        out_y += out_step_y


# By the record's kind; 0 is no operation.
KERNELS = (None, copy, shift, fill, constant, lookup, conv, depthwise)
