"""An LSTM's steps: MOVE, DENSE WIDE, ADD CLIPPED, MUL WIDE (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import half, requantise, signed, store, word


def move(arena, blob, record):
    """Copy bytes whose place depends on how often the loop has run."""
    counter = word(blob, record + 24)
    at = arena[counter] | arena[counter + 1] << 8 | arena[counter + 2] << 16
    if at >= word(blob, record + 28):  # other records may have written there
        at = 0
    to = word(blob, record + 4) + at * word(blob, record + 8)
    frm = word(blob, record + 12) + at * word(blob, record + 16)
    for i in range(word(blob, record + 20)):
        arena[to + i] = arena[frm + i]


def dense(arena, blob, record):
    """Dot products of bytes, made int16."""
    frm = word(blob, record + 4)
    to = word(blob, record + 8)
    depth = word(blob, record + 12)
    w = word(blob, record + 20)
    table = word(blob, record + 24)
    shifts = word(blob, record + 28)
    total = 0
    for k in range(depth):
        total += arena[frm + k]
    for o in range(word(blob, record + 16)):
        a = signed(blob, table) - 128 * total
        for k in range(depth):
            a += blob[w + k] * arena[frm + k]
        store(arena, to, 2, requantise(a, word(blob, table + 4), blob[shifts + o], 0, -32768, 32767))
        w += depth
        table += 8
        to += 2


def add(arena, blob, record):
    """The sums of int16, clipped."""
    to = word(blob, record + 4)
    a = word(blob, record + 8)
    b = word(blob, record + 12)
    low = signed(blob, record + 20)
    high = signed(blob, record + 24)
    for _ in range(word(blob, record + 16)):
        store(arena, to, 2, max(low, min(high, half(arena, a) + half(arena, b))))
        to += 2
        a += 2
        b += 2


def multiply(arena, blob, record):
    """The products of int16, made int16, or bytes."""
    to = word(blob, record + 4)
    a = word(blob, record + 8)
    b = word(blob, record + 12)
    multiplier = word(blob, record + 20)
    shift = word(blob, record + 24)
    zero = signed(blob, record + 28)
    low = signed(blob, record + 32)
    high = signed(blob, record + 36)
    item = blob[record + 40]
    for _ in range(word(blob, record + 16)):
        value = requantise(half(arena, a) * half(arena, b), multiplier, shift, zero, low, high)
        store(arena, to, item, value)
        to += item
        a += 2
        b += 2


KERNELS = (None, move, dense, add, multiply)
