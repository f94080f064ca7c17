"""Checks AVERAGE, MAX, POOL16 (firmware/PLAN.md)."""

from coproc.nn.check import refuse


def _windows(checker, p, item):
    checker.counts(p[3], p[4], p[5], p[6], p[9], p[10], p[11], p[12], p[15])
    for i in (0, 1):
        # Then every window covers at least one element of the input.
        if p[7 + i] >= p[9 + i] or (p[3 + i] - 1) * p[5 + i] >= p[11 + i] + p[7 + i]:
            refuse("a window outside its input")
    channels = p[15] if item == 2 else (p[15] + 7) & -8
    if (p[13] | p[14]) & (item - 1):
        refuse("a step of half an element")
    checker.arena(p[1], (p[11] - 1) * p[13] + (p[12] - 1) * p[14] + channels * item, item)
    checker.arena(p[2], p[3] * p[4] * p[15] * item, item)
    if p[16] >> 8 * item or p[17] >> 8 * item:
        refuse("a clamp outside its type")
    window = min(p[9], p[11]) * min(p[10], p[12])
    checker.effort(p[3] * p[4] * (window + 1) * channels)


def _pool(checker, p, at):
    _windows(checker, p, 1)
    checker.arena(p[18], 32, 4)


def _pool16(checker, p, at):
    _windows(checker, p, 2)


CHECKS = ((19, _pool), (19, _pool), (19, _pool16))
