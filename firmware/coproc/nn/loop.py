"""LOOP: records that run again and again, counted in the arena where they read how often already."""

HEAD_BYTES = 12  # the head, how often, where the count lies


def loop(find, checker, at):
    """The kernel of the LOOP record at `at`; `find(kind, at)` gives those of the records in it."""
    words = checker.word(at) >> 16
    times = checker.word(at + 4)
    counter = checker.word(at + 8)
    end = at + 4 * words
    at += HEAD_BYTES
    kernels = []
    records = []
    while at < end:
        head = checker.word(at)
        kernels.append(find(head & 0xFFFF, at))
        records.append(at)
        at += 4 * (head >> 16)

    def run(arena, blob, record):
        for i in range(times):
            arena[counter] = i & 255
            arena[counter + 1] = i >> 8 & 255
            arena[counter + 2] = i >> 16
            for k in range(len(kernels)):
                kernels[k](arena, blob, records[k])

    return run
