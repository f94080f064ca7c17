"""Sums of products of int16 and int8: CONV16 and DEPTHWISE16 (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import scale, signed, word


def _half(word):
    return (word & 65535 ^ 32768) - 32768


def _run(arena, blob, record, block, row_bytes, piece, weight_zero):
    # A channel's weights: `row_bytes` per channel, or blocks of eight channels, tap by tap.
    window_y = word(blob, record + 4)
    out_y = word(blob, record + 8)
    channels = word(blob, record + 44)
    weights = word(blob, record + 64)
    table = word(blob, record + 68)
    shifts = word(blob, record + 72)
    twice = word(blob, record + 76)
    low = _half(word(blob, record + 80))
    high = _half(word(blob, record + 80) >> 16)
    for _ in range(word(blob, record + 12)):
        window = window_y
        out_x = out_y
        for _ in range(word(blob, record + 16)):
            out = out_x
            for c in range(channels):
                t = table + 12 * c
                total = (signed(blob, t) << 16) + word(blob, t + 4)
                w = weights + (c * row_bytes if row_bytes else (c >> 3) * block + (c & 7))
                x_y = window if row_bytes else window + 2 * c
                for _ in range(word(blob, record + 28)):
                    x_x = x_y
                    for _ in range(word(blob, record + 36)):
                        for x in range(x_x, x_x + 2 * piece, 2):
                            total += (blob[w] - weight_zero) * (arena[x] | (arena[x + 1] ^ 128) << 8)
                            w += 1 if row_bytes else 8
                        x_x += word(blob, record + 40)
                    x_y += word(blob, record + 32)
                multiplier = word(blob, t + 8)
                if twice:
                    value = scale(total, multiplier, blob[shifts + c])
                else:
                    value = ((total * multiplier >> blob[shifts + c]) + 1) >> 1
                value = low if value < low else high if value > high else value
                arena[out] = value & 255
                arena[out + 1] = value >> 8 & 255
                out += word(blob, record + 56)
            window += word(blob, record + 24)
            out_x += word(blob, record + 52)
        window_y += word(blob, record + 20)
        out_y += word(blob, record + 48)


def conv16(arena, blob, record):
    """Convolution: bias + sum (w - wz) * (x + 32768), then requantisation. A dense layer is a 1 x n one."""
    _run(arena, blob, record, 0, word(blob, record + 92), word(blob, record + 84), word(blob, record + 96))


def depthwise16(arena, blob, record):
    """Depthwise convolution; the weights lie in blocks of eight channels, tap by tap."""
    taps = word(blob, record + 28) * word(blob, record + 36)
    _run(arena, blob, record, 8 * taps, 0, 1, 128)


KERNELS = (conv16, depthwise16)
