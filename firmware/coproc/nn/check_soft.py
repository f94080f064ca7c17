"""Checks SOFTMAX and SOFTMAX16 (firmware/PLAN.md)."""

from coproc.nn.check import refuse

# The largest exponential is 1, a sum of fewer than these stays in range.
_DEPTH_MAX = (0, 511, 4095)
_DEPTH16_MAX = 32767


def _softmax(checker, p, at):
    item = p[5]
    checker.counts(p[3], p[4])
    if not 1 <= item <= 2 or p[4] > _DEPTH_MAX[item]:
        refuse("a softmax over %d to %d bytes each" % (p[4], item))
    size = p[3] * p[4]
    checker.arena(p[1], size)
    checker.arena(p[2], size * item, item)
    # A byte that were written into a row above its largest would lead outside the table.
    if p[1] < p[2] + size * item and p[2] < p[1] + size:
        refuse("a softmax that reads what it writes")
    table = checker.words(p[6], 256)
    if table[0] != 0x7FFFFFFF or max(table) >> 31:
        refuse("a softmax whose exponentials are none")
    checker.effort(2 * size + 64 * p[3] + 256)


def _softmax16(checker, p, at):
    checker.counts(p[3], p[4])
    if p[4] > _DEPTH16_MAX:
        refuse("a softmax over %d" % p[4])
    size = p[3] * p[4]
    checker.arena(p[1], 2 * size, 2)
    checker.arena(p[2], 2 * size, 2)
    checker.multiplier(p[5], p[6])
    checker.plan(p[7], 2 * 513, 2)
    checker.plan(p[8], 2 * 513, 2)
    checker.effort(3 * size + 64 * p[3])


CHECKS = ((7, _softmax), (9, _softmax16))
