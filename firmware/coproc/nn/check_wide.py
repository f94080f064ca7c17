"""Checks CONV16 and DEPTHWISE16 (firmware/PLAN.md)."""

from coproc.nn.check import refuse

_DEPTH_MAX = 32760  # sums of a window's elements stay below 2^31


def _table(checker, p):
    # Biases and multipliers of 12 bytes, a shift byte each.
    channels = p[11]
    checker.effort(64 * channels)  # this loop counts too
    checker.plan(p[17], 12 * channels, 4)
    checker.plan(p[18], channels)
    twice = p[19]
    if twice > 1:
        refuse("rounding %d is not known" % twice)
    for i in range(channels):
        multiplier = checker.word(p[17] + 12 * i + 8)
        shift = checker.blob[p[18] + i]
        if twice:
            checker.multiplier(multiplier, shift)
        elif multiplier >> 15 or not 7 <= shift <= 45:
            refuse("a multiplier of %d, shifted by %d" % (multiplier, shift))


def _outputs(checker, p, sums):
    # What both records have: counts, steps, outputs; `sums` is how many are made of a window.
    checker.counts(p[3], p[4], p[7], p[9], p[11])
    if (p[1] | p[2] | p[5] | p[6] | p[8] | p[10] | p[12] | p[13] | p[14]) & 1:
        refuse("int16 at an odd address")
    checker.arena(p[2], (p[3] - 1) * p[12] + (p[4] - 1) * p[13] + (p[11] - 1) * p[14] + 2)
    checker.arena(p[15], 8 * sums, 4)
    _table(checker, p)


def _reach(p):
    return (p[3] - 1) * p[5] + (p[4] - 1) * p[6] + (p[7] - 1) * p[8] + (p[9] - 1) * p[10]


def _conv16(checker, p, at):
    _outputs(checker, p, p[11])
    checker.counts(p[21], p[23])
    depth = p[23]
    window = p[7] * p[9] * p[21]
    if depth & 7 or not window <= depth < window + 8 or depth > _DEPTH_MAX:
        refuse("a window of %d in rows of %d" % (window, depth))
    checker.arena(p[1], _reach(p) + 2 * p[21])
    checker.arena(p[22], 2 * depth, 2)
    checker.plan(p[16], depth * p[11])
    if p[24] > 255:
        refuse("a zero point is no byte")
    checker.effort(p[3] * p[4] * (depth + 8) * (p[11] + 1))


def _depthwise16(checker, p, at):
    padded = (p[11] + 7) & -8
    _outputs(checker, p, padded)
    taps = p[7] * p[9]
    checker.arena(p[1], _reach(p) + 2 * padded)
    checker.plan(p[16], taps * padded)
    checker.effort(p[3] * p[4] * (taps + 8) * padded)


CHECKS = ((25, _conv16), (21, _depthwise16))
