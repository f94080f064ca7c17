"""Moving bytes: COPY, SHIFT, FILL, CONSTANT, LOOKUP, GATHER (the conventions: kernels_bytecode.py)."""

from coproc.nn.words import signed, word


def copy(arena, blob, record):
    """Three nested counts of runs, from one place of the arena to another, each byte XORed."""
    to_0 = word(blob, record + 4)
    from_0 = word(blob, record + 8)
    count = word(blob, record + 24)
    flip = blob[record + 52]
    for _ in range(word(blob, record + 12)):
        to_1 = to_0
        from_1 = from_0
        for _ in range(word(blob, record + 16)):
            to_2 = to_1
            from_2 = from_1
            for _ in range(word(blob, record + 20)):
                for i in range(count):
                    arena[to_2 + i] = arena[from_2 + i] ^ flip
                to_2 += signed(blob, record + 36)
                from_2 += signed(blob, record + 48)
            to_1 += signed(blob, record + 32)
            from_1 += signed(blob, record + 44)
        to_0 += signed(blob, record + 28)
        from_0 += signed(blob, record + 40)


def shift(arena, blob, record):
    """Move the rows of each streaming buffer towards its start; the places overlap, so this goes upwards."""
    for entry in range(word(blob, record + 4)):
        at = record + 8 + 12 * entry
        to = word(blob, at)
        gap = word(blob, at + 4) - to
        for i in range(to, to + word(blob, at + 8)):
            arena[i] = arena[i + gap]


def fill(arena, blob, record):
    """Set a stretch of the arena to one value."""
    to = word(blob, record + 4)
    value = blob[record + 12]
    for i in range(to, to + word(blob, record + 8)):
        arena[i] = value


def constant(arena, blob, record):
    """Copy a stretch of the plan into the arena."""
    to = word(blob, record + 4)
    frm = word(blob, record + 8)
    for i in range(word(blob, record + 12)):
        arena[to + i] = blob[frm + i]


def lookup(arena, blob, record):
    """Map every byte through a table of 256."""
    to = word(blob, record + 4)
    frm = word(blob, record + 8)
    table = word(blob, record + 16)
    for i in range(word(blob, record + 12)):
        arena[to + i] = blob[table + arena[frm + i]]


def gather(arena, blob, record):
    """Copy the slices that int32 indices pick; an index that leads outside is clamped."""
    to = word(blob, record + 4)
    frm = word(blob, record + 8)
    indices = word(blob, record + 12)
    count = word(blob, record + 24)
    size = word(blob, record + 28)
    inner = word(blob, record + 32)
    for _ in range(word(blob, record + 16)):
        for _ in range(word(blob, record + 20)):
            for i in range(count):
                index = min(max(signed(arena, indices + 4 * i), 0), size - 1)
                at = frm + index * inner
                for j in range(inner):
                    arena[to + j] = arena[at + j]
                to += inner
            frm += size * inner
        indices += 4 * count


KERNELS = (None, copy, shift, fill, constant, lookup, gather)
