"""Checks SVDF (firmware/PLAN.md)."""

from coproc.nn.check import refuse


def _svdf(checker, p, at):
    units, rank, memory, inputs = p[4:8]
    checker.counts(units, rank, memory, inputs)
    filters = units * rank
    checker.effort(filters * (inputs + memory + 16))
    checker.arena(p[1], inputs)
    checker.arena(p[2], units)
    checker.arena(p[3], 2 * filters * memory, 2)
    checker.plan(p[8], filters * inputs)
    checker.plan(p[9], 4 * filters, 4)
    checker.plan(p[13], 2 * filters * memory, 2)
    checker.plan(p[14], 4 * units, 4)
    checker.multiplier(p[10], p[11])
    checker.multiplier(p[15], p[16])
    if p[12] > 32767 or p[17] > 255:
        refuse("a limit or a zero point outside its type")


CHECKS = ((18, _svdf),)
