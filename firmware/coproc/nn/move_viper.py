"""Moving bytes, in viper: COPY, SHIFT, FILL, CONSTANT, LOOKUP, GATHER (the conventions: kernels_viper.py)."""

import micropython


@micropython.viper
def copy(arena: ptr8, blob: ptr8, record: int):
    """Three nested counts of runs, from one place of the arena to another, each byte XORed.

    Single elements of 1, 2 and 4 bytes, as a transpose has them, have loops of their own.
    """
    p = ptr32(int(blob) + record)
    base = int(arena)
    flip = p[13]
    flips = (flip << 8) | flip
    flips = (flips << 16) | flips
    sign = 1
    sign <<= 31
    to_step_0 = (p[7] ^ sign) - sign
    to_step_1 = (p[8] ^ sign) - sign
    to_step = (p[9] ^ sign) - sign
    from_step_0 = (p[10] ^ sign) - sign
    from_step_1 = (p[11] ^ sign) - sign
    from_step = (p[12] ^ sign) - sign
    run = p[6]
    ragged = (base + p[1]) | (base + p[2]) | run | p[7] | p[8] | p[9] | p[10] | p[11] | p[12]
    to_0 = base + p[1]
    from_0 = base + p[2]
    i = p[3]
    while i:
        to_1 = to_0
        from_1 = from_0
        j = p[4]
        while j:
            arena = ptr8(to_1)
            blob = ptr8(from_1)
            record = p[5]
            if run == 1:
                while record:
                    arena[0] = blob[0] ^ flip
                    arena = ptr8(int(arena) + to_step)
                    blob = ptr8(int(blob) + from_step)
                    record -= 1
            elif run == 2 and not ragged & 1:
                while record:
                    ptr16(arena)[0] = ptr16(blob)[0] ^ flips
                    arena = ptr8(int(arena) + to_step)
                    blob = ptr8(int(blob) + from_step)
                    record -= 1
            elif run == 4 and not ragged & 3:
                while record:
                    ptr32(arena)[0] = ptr32(blob)[0] ^ flips
                    arena = ptr8(int(arena) + to_step)
                    blob = ptr8(int(blob) + from_step)
                    record -= 1
            elif ragged & 3:
                to = to_1
                frm = from_1
                k = record
                while k:
                    arena = ptr8(to)
                    blob = ptr8(frm)
                    record = run
                    while record >= 4:
                        arena[0] = blob[0] ^ flip
                        arena[1] = blob[1] ^ flip
                        arena[2] = blob[2] ^ flip
                        arena[3] = blob[3] ^ flip
                        arena = ptr8(int(arena) + 4)
                        blob = ptr8(int(blob) + 4)
                        record -= 4
                    while record:
                        arena[0] = blob[0] ^ flip
                        arena = ptr8(int(arena) + 1)
                        blob = ptr8(int(blob) + 1)
                        record -= 1
                    to += to_step
                    frm += from_step
                    k -= 1
            else:
                to = to_1
                frm = from_1
                k = record
                while k:
                    to_word = ptr32(to)
                    from_word = ptr32(frm)
                    record = run
                    while record:
                        to_word[0] = from_word[0] ^ flips
                        to_word = ptr32(int(to_word) + 4)
                        from_word = ptr32(int(from_word) + 4)
                        record -= 4
                    to += to_step
                    frm += from_step
                    k -= 1
            to_1 += to_step_1
            from_1 += from_step_1
            j -= 1
        to_0 += to_step_0
        from_0 += from_step_0
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


@micropython.viper
def gather(arena: ptr8, blob: ptr8, record: int):
    """Copy the slices that int32 indices pick; an index that leads outside is clamped."""
    p = ptr32(int(blob) + record)
    base = int(arena)
    arena = ptr8(base + p[1])
    frm = base + p[2]
    indices = base + p[3]
    sign = 1
    sign <<= 31
    count = p[6]
    last = p[7] - 1
    inner = p[8]
    batches = p[4]
    while batches:
        outers = p[5]
        while outers:
            picks = ptr32(indices)
            left = count
            while left:
                index = (picks[0] ^ sign) - sign
                if index < 0:
                    index = 0
                if index > last:
                    index = last
                blob = ptr8(frm + index * inner)
                record = inner
                while record:
                    arena[0] = blob[0]
                    arena = ptr8(int(arena) + 1)
                    blob = ptr8(int(blob) + 1)
                    record -= 1
                picks = ptr32(int(picks) + 4)
                left -= 1
            frm += (last + 1) * inner
            outers -= 1
        indices += count << 2
        batches -= 1


KERNELS = (None, copy, shift, fill, constant, lookup, gather)
