"""Checks SUM, SUM16, LARGEST, ARG_MAX (firmware/PLAN.md)."""

from coproc.nn.check import refuse


def _reduce(checker, p, item):
    checker.counts(p[3], p[4], p[5], p[9], p[10], p[11])
    reach = work = 1
    for first in (3, 9):
        for i in range(first, first + 3):
            reach += (p[i] - 1) * p[i + 3]
            work *= p[i]
            if p[i + 3] & (item - 1):
                refuse("a step of half an element")
    checker.arena(p[1], reach - 1 + item, item)
    checker.arena(p[2], p[3] * p[4] * p[5] * item, item)
    checker.effort(work)


def _sum(checker, p, item):
    _reduce(checker, p, item)
    checker.multiplier(p[16], p[17])
    if p[18] >> 8 * item:
        refuse("a zero point outside its type")


def _sum8(checker, p, at):
    _sum(checker, p, 1)


def _sum16(checker, p, at):
    _sum(checker, p, 2)


def _largest(checker, p, at):
    _reduce(checker, p, 1)


def _arg_max(checker, p, at):
    checker.counts(p[3], p[4], p[5])
    checker.arena(p[1], p[3] * p[4] * p[5])
    checker.arena(p[2], p[3] * p[5] * 4, 4)
    checker.effort(p[3] * (p[4] + 1) * p[5])


CHECKS = ((19, _sum8), (19, _sum16), (15, _largest), (6, _arg_max))
