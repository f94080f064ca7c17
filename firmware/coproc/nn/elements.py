"""Elements as the bytecode kernels of windows and reductions take them: counted from their type's lowest value."""


def get_byte(arena, at):
    return arena[at]


def get_half(arena, at):
    return arena[at] | (arena[at + 1] ^ 128) << 8


def put_byte(arena, at, value):
    arena[at] = value


def put_half(arena, at, value):
    arena[at] = value & 255
    arena[at + 1] = (value >> 8) ^ 128
