"""What the bytecode kernels share: words of a record, int16 of the arena, and TFLite's requantisation."""


def word(blob, at):
    return blob[at] | blob[at + 1] << 8 | blob[at + 2] << 16 | blob[at + 3] << 24


def signed(blob, at):
    return blob[at] | blob[at + 1] << 8 | blob[at + 2] << 16 | ((blob[at + 3] ^ 128) - 128) << 24


def half(data, at):
    return data[at] | ((data[at + 1] ^ 128) - 128) << 8


def store(arena, at, item, value):
    # The lower `item` bytes.
    for i in range(item):
        arena[at + i] = value >> 8 * i & 255


def scale(total, multiplier, shift):
    # TFLite's double rounding: the doubled product's high half, rounded; then a rounding shift, ties away from 0.
    if shift > 31:  # a multiplier above 1: to the left first
        total <<= shift - 32
        shift = 0
    value = (total * multiplier + (1 << 30)) >> 31
    if shift:
        if value < 0:
            value -= 1
        value = (value + (1 << (shift - 1))) >> shift
    return value


def requantise(total, multiplier, shift, zero, low, high):
    value = scale(total, multiplier, shift) + zero
    return low if value < low else high if value > high else value
