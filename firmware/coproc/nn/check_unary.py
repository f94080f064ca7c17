"""Checks WIDE LOOKUP, RESCALE, CURVE, FROM FLOAT, TO FLOAT (firmware/PLAN.md)."""

from coproc.nn.check import refuse

CURVE_POINTS = 256


def _ends(checker, p, item, source_item):
    # p: to, from, elements.
    checker.counts(p[3])
    if item not in (1, 2, 4):
        refuse("elements of %d bytes" % item)
    checker.arena(p[1], p[3] * item, item)
    checker.arena(p[2], p[3] * source_item, source_item)


def _wide_lookup(checker, p, at):
    _ends(checker, p, p[5], 1)
    if p[5] == 1:
        refuse("a wide table of bytes")
    checker.plan(p[4], 256 * p[5], 4)
    checker.effort(p[3])


def _rescale(checker, p, at):
    _ends(checker, p, p[7] >> 24, 2)
    checker.multiplier(p[5], p[7] & 255)
    checker.multiplier(p[6], p[7] >> 8 & 255)
    checker.effort(4 * p[3])


def _curve(checker, p, at):
    _ends(checker, p, 2, 2)
    checker.plan(p[4], 2 * CURVE_POINTS, 4)
    if p[5] > 32767 or p[6] > 31 or not 8 <= p[7] <= 9 or p[11] > 15:
        refuse("a curve's shifts")
    checker.effort(4 * p[3])


def _scale(significand, exponent):
    if significand >> 23 != 1 or not 3 <= exponent <= 236:
        refuse("a scale that is no usual number")


def _from_float(checker, p, at):
    _ends(checker, p, p[9], 4)
    if p[9] == 4:
        refuse("floats to 4 bytes")
    _scale(p[4], p[5])
    checker.effort(20 * p[3])


def _to_float(checker, p, at):
    _ends(checker, p, 4, 2)
    _scale(p[5], p[6])
    checker.effort(20 * p[3])


CHECKS = ((6, _wide_lookup), (11, _rescale), (12, _curve), (10, _from_float), (7, _to_float))
