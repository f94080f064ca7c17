"""Sums of products: CONV (dense layers too) and DEPTHWISE (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import requantise, signed, word


def conv(arena, blob, record):
    """Convolution as dot products: sum x*w - wz*sum x + bias, then requantisation. A dense layer is a 1 x n one."""
    window_y = word(blob, record + 4)
    out_y = word(blob, record + 8)
    columns = word(blob, record + 16)
    step_y = word(blob, record + 20)
    step_x = word(blob, record + 24)
    pieces_y = word(blob, record + 28)
    piece_step_y = word(blob, record + 32)
    pieces_x = word(blob, record + 36)
    piece_step_x = word(blob, record + 40)
    piece = word(blob, record + 44)
    gather = word(blob, record + 48)
    depth = word(blob, record + 52)
    channels = word(blob, record + 56)
    out_step_y = word(blob, record + 60)
    out_step_x = word(blob, record + 64)
    weights = word(blob, record + 68)
    table_0 = word(blob, record + 72)
    shifts = word(blob, record + 76)
    w_zero = word(blob, record + 80)
    zero = blob[record + 84]
    low = blob[record + 85]
    high = blob[record + 86]
    for _ in range(word(blob, record + 12)):
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
                a = signed(blob, table) - total
                for k in range(depth):
                    a += blob[w + k] * arena[x + k]
                arena[out + o] = requantise(a, word(blob, table + 4), blob[shifts + o], zero, low, high)
                w += depth
                table += 8
            window += step_x
            out += out_step_x
        window_y += step_y
        out_y += out_step_y


def depthwise(arena, blob, record):
    """Depthwise convolution; the weights lie in blocks of eight channels, tap by tap."""
    window_y = word(blob, record + 4)
    out_y = word(blob, record + 8)
    columns = word(blob, record + 16)
    step_y = word(blob, record + 20)
    step_x = word(blob, record + 24)
    taps_y = word(blob, record + 28)
    tap_step_y = word(blob, record + 32)
    taps_x = word(blob, record + 36)
    tap_step_x = word(blob, record + 40)
    channels = word(blob, record + 44)
    out_step_y = word(blob, record + 48)
    out_step_x = word(blob, record + 52)
    out_step = word(blob, record + 56)
    weights = word(blob, record + 64)
    table = word(blob, record + 68)
    shifts = word(blob, record + 72)
    zero = blob[record + 76]
    low = blob[record + 77]
    high = blob[record + 78]
    block = taps_y * taps_x * 8
    for _ in range(word(blob, record + 12)):
        window = window_y
        out = out_y
        for _ in range(columns):
            for c in range(channels):
                a = signed(blob, table + 8 * c)
                w = weights + (c >> 3) * block + (c & 7)
                x_0 = window + c
                for _ in range(taps_y):
                    x = x_0
                    for _ in range(taps_x):
                        a += (blob[w] - 128) * arena[x]
                        x += tap_step_x
                        w += 8
                    x_0 += tap_step_y
                arena[out + c * out_step] = requantise(
                    a, word(blob, table + 8 * c + 4), blob[shifts + c], zero, low, high
                )
            window += step_x
            out += out_step_x
        window_y += step_y
        out_y += out_step_y


KERNELS = (conv, depthwise)
