"""Operations with a state of their own: SVDF (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import half, requantise, scale, signed, word


def svdf(arena, blob, record):
    """Dot products join those that each filter remembers; these are weighted by time, added up and requantised."""
    x = word(blob, record + 4)
    to = word(blob, record + 8)
    state = word(blob, record + 12)
    rank = word(blob, record + 20)
    last = word(blob, record + 24) - 1
    inputs = word(blob, record + 28)
    w = word(blob, record + 32)
    feature_bias = word(blob, record + 36)
    limit = word(blob, record + 48)
    time = word(blob, record + 52)
    bias = word(blob, record + 56)
    for _ in range(word(blob, record + 16)):
        total = signed(blob, bias)
        for _ in range(rank):
            a = signed(blob, feature_bias)
            for i in range(inputs):
                a += (blob[w + i] - 128) * arena[x + i]
            a = scale(a, word(blob, record + 40), blob[record + 44])
            a = -limit - 1 if a < -limit - 1 else limit if a > limit else a
            for _ in range(last):
                arena[state] = arena[state + 2]
                arena[state + 1] = arena[state + 3]
                total += half(blob, time) * half(arena, state)
                state += 2
                time += 2
            arena[state] = a & 255
            arena[state + 1] = a >> 8 & 255
            total += half(blob, time) * a
            state += 2
            time += 2
            w += inputs
            feature_bias += 4
        total = ((total + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)  # int32 wraps around
        arena[to] = requantise(total, word(blob, record + 60), blob[record + 64], blob[record + 68], 0, 255)
        to += 1
        bias += 4


KERNELS = (svdf,)
