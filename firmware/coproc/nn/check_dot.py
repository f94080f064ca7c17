"""Checks CONV and DEPTHWISE (firmware/PLAN.md)."""

from coproc.nn.check import refuse


def _padded(checker, channels):
    # Channels as the weights hold them: in blocks of 4, in packing 1 of 8.
    return (channels + 7) & -8 if checker.packing == 1 else (channels + 3) & -4


def _conv(checker, p, at):
    checker.counts(p[3], p[4], p[7], p[9], p[11], p[13], p[14])
    positions = p[3] * p[4]
    pieces = p[7] * p[9]
    depth = p[13]
    if depth & 3 or not pieces * p[11] <= depth < pieces * p[11] + 4:
        refuse("a window of %d in rows of %d" % (pieces * p[11], depth))
    reach = (p[3] - 1) * p[5] + (p[4] - 1) * p[6]
    if pieces > 1:
        checker.arena(p[1], reach + (p[7] - 1) * p[8] + (p[9] - 1) * p[10] + p[11])
        checker.arena(p[12], depth)
    else:  # read in place, padding included
        checker.arena(p[1], reach + depth)
    checker.arena(p[12], 0)
    checker.arena(p[2], (p[3] - 1) * p[15] + (p[4] - 1) * p[16] + p[14])
    rows = p[14] if checker.packing == 1 or p[14] == 1 else _padded(checker, p[14])
    checker.plan(p[17], depth * rows, 4)
    checker.table(p[18], p[19], p[14])
    if p[20] > 255 or p[21] >> 24:
        refuse("a zero point is no byte")
    checker.effort(positions * depth * (rows + 1))


def _depthwise(checker, p, at):
    checker.counts(p[3], p[4], p[7], p[9], p[11])
    taps = p[7] * p[9]
    padded = _padded(checker, p[11])
    reach = (p[3] - 1) * p[5] + (p[4] - 1) * p[6] + (p[7] - 1) * p[8] + (p[9] - 1) * p[10]
    checker.arena(p[1], reach + padded)
    checker.arena(p[2], (p[3] - 1) * p[12] + (p[4] - 1) * p[13] + (p[11] - 1) * p[14] + 1)
    checker.arena(p[15], 32, 4)
    checker.plan(p[16], taps * padded, 4)
    checker.table(p[17], p[18], p[11])
    if p[19] >> 24:
        refuse("a zero point is no byte")
    checker.effort(p[3] * p[4] * taps * padded)


CHECKS = ((22, _conv), (20, _depthwise))
