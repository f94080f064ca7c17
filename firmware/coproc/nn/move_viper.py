"""Moving bytes, in viper: COPY, SHIFT, FILL, CONSTANT, LOOKUP (the conventions: kernels_viper.py)."""

import micropython


@micropython.viper
def copy(arena: ptr8, blob: ptr8, record: int):
    """Three nested counts of runs, from one place of the arena to another, each byte XORed."""
    p = ptr32(int(blob) + record)
    base = int(arena)
    flip = p[13]
    flips = (flip << 8) | flip
    flips = (flips << 16) | flips
    count = p[6]
    ragged = ((base + p[1]) | (base + p[2]) | count | p[7] | p[8] | p[9] | p[10] | p[11] | p[12]) & 3
    to_0 = base + p[1]
    from_0 = base + p[2]
    i = p[3]
    while i:
        to_1 = to_0
        from_1 = from_0
        j = p[4]
        while j:
            to_2 = to_1
            from_2 = from_1
            k = p[5]
            while k:
                if ragged:
                    arena = ptr8(to_2)
                    blob = ptr8(from_2)
                    n = count
                    while n:
                        arena[0] = blob[0] ^ flip
                        arena = ptr8(int(arena) + 1)
                        blob = ptr8(int(blob) + 1)
                        n -= 1
                else:
                    to_word = ptr32(to_2)
                    from_word = ptr32(from_2)
                    n = count
                    while n:
                        to_word[0] = from_word[0] ^ flips
                        to_word = ptr32(int(to_word) + 4)
                        from_word = ptr32(int(from_word) + 4)
                        n -= 4
                to_2 += p[9]
                from_2 += p[12]
                k -= 1
            to_1 += p[8]
            from_1 += p[11]
            j -= 1
        to_0 += p[7]
        from_0 += p[10]
        i -= 1


@micropython.viper
def shift(arena: ptr8, blob: ptr8, record: int):
    """Move the rows of each streaming buffer towards its start; the places overlap, so this goes upwards."""
    p = ptr32(int(blob) + record)
    base = int(arena)
    entries = p[1]
    while entries:
        to = base + p[2]
        frm = base + p[3]
        n = p[4]
        if (to | frm | n) & 3:
            arena = ptr8(to)
            blob = ptr8(frm)
            while n:
                arena[0] = blob[0]
                arena = ptr8(int(arena) + 1)
                blob = ptr8(int(blob) + 1)
                n -= 1
        else:
            a = ptr32(to)
            b = ptr32(frm)
            while n >= 32:
                a[0] = b[0]
                a[1] = b[1]
                a[2] = b[2]
                a[3] = b[3]
                a[4] = b[4]
                a[5] = b[5]
                a[6] = b[6]
                a[7] = b[7]
                a = ptr32(int(a) + 32)
                b = ptr32(int(b) + 32)
                n -= 32
            while n:
                a[0] = b[0]
                a = ptr32(int(a) + 4)
                b = ptr32(int(b) + 4)
                n -= 4
        p = ptr32(int(p) + 12)
        entries -= 1


@micropython.viper
def fill(arena: ptr8, blob: ptr8, record: int):
    """Set a stretch of the arena to one value."""
    p = ptr32(int(blob) + record)
    arena = ptr8(int(arena) + p[1])
    n = p[2]
    value = p[3]
    while n:
        arena[0] = value
        arena = ptr8(int(arena) + 1)
        n -= 1


@micropython.viper
def constant(arena: ptr8, blob: ptr8, record: int):
    """Copy a stretch of the plan into the arena."""
    p = ptr32(int(blob) + record)
    arena = ptr8(int(arena) + p[1])
    blob = ptr8(int(blob) + p[2])
    n = p[3]
    while n:
        arena[0] = blob[0]
        arena = ptr8(int(arena) + 1)
        blob = ptr8(int(blob) + 1)
        n -= 1


@micropython.viper
def lookup(arena: ptr8, blob: ptr8, record: int):
    """Map every byte through a table of 256."""
    p = ptr32(int(blob) + record)
    to = ptr8(int(arena) + p[1])
    arena = ptr8(int(arena) + p[2])
    n = p[3]
    blob = ptr8(int(blob) + p[4])
    i = 0
    while i < n:
        to[i] = blob[arena[i]]
        i += 1


KERNELS = (None, copy, shift, fill, constant, lookup)
