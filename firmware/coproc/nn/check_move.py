"""Checks COPY, SHIFT, FILL, CONSTANT, LOOKUP (firmware/PLAN.md)."""

from coproc.nn.check import refuse


def _copy(checker, p, at):
    checker.counts(p[3], p[4], p[5], p[6])
    for first in (7, 10):
        reach = (p[3] - 1) * p[first] + (p[4] - 1) * p[first + 1] + (p[5] - 1) * p[first + 2]
        checker.arena(p[1] if first == 7 else p[2], reach + p[6])
    checker.effort(p[3] * p[4] * p[5] * p[6])
    if p[13] > 255:
        refuse("a copy's XOR is no byte")


def _shift(checker, p, at):
    if len(p) != 2 + 3 * p[1]:
        refuse("a shift of %d entries in %d words" % (p[1], len(p)))
    for i in range(2, len(p), 3):
        checker.counts(p[i + 2])
        checker.arena(p[i], p[i + 2])
        checker.arena(p[i + 1], p[i + 2])
        checker.effort(p[i + 2])


def _fill(checker, p, at):
    checker.counts(p[2])
    checker.arena(p[1], p[2])
    checker.effort(p[2])


def _constant(checker, p, at):
    checker.counts(p[3])
    checker.arena(p[1], p[3])
    checker.plan(p[2], p[3])
    checker.effort(p[3])


def _lookup(checker, p, at):
    checker.counts(p[3])
    checker.arena(p[1], p[3])
    checker.arena(p[2], p[3])
    checker.plan(p[4], 256)
    checker.effort(p[3])


CHECKS = (None, (14, _copy), (0, _shift), (4, _fill), (4, _constant), (5, _lookup))
