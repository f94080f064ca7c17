"""Checks COPY, SHIFT, FILL, CONSTANT, LOOKUP, GATHER (firmware/PLAN.md)."""

from coproc.nn.check import refuse


def _signed(word):
    return word - (1 << 32) if word >> 31 else word


def _copy(checker, p, at):
    checker.counts(p[3], p[4], p[5], p[6])
    for start, first in ((p[1], 7), (p[2], 10)):
        end = start
        for i in range(3):
            reach = (p[3 + i] - 1) * _signed(p[first + i])
            if reach < 0:
                start += reach
            else:
                end += reach
        if start < 0:
            refuse("a copy goes back beyond the arena's start")
        checker.arena(start, end + p[6] - start)
    checker.effort(p[3] * p[4] * p[5] * p[6])
    if p[13] > 255:
        refuse("a copy's XOR is no byte")


def _shift(checker, p, at):
    checker.counts(p[1])
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


def _gather(checker, p, at):
    checker.counts(*p[4:])
    picked = p[4] * p[5] * p[6]
    checker.arena(p[1], picked * p[8])
    checker.arena(p[2], p[4] * p[5] * p[7] * p[8])
    checker.arena(p[3], 4 * p[4] * p[6], 4)
    checker.effort(picked * p[8])


CHECKS = (None, (14, _copy), (0, _shift), (4, _fill), (4, _constant), (5, _lookup), (9, _gather))
