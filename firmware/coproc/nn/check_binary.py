"""Checks ADD, MUL and their int16 forms (firmware/PLAN.md)."""

from coproc.nn.check import refuse

TABLE_BYTES = 1024


def _views(checker, p, item, cost):
    # p: to, a, b, four counts, then four steps of each.
    counts = p[4:8]
    checker.counts(*counts)
    total = 1
    for count in counts:
        total *= count
        checker.counts(total)
    for i in range(3):
        reach = 0
        for j in range(4):
            step = p[8 + 4 * i + j]
            if step & (item - 1):
                refuse("a step that is not aligned")
            reach += (counts[j] - 1) * step
        checker.arena(p[1 + i], reach + item, item)
    checker.effort(cost * total)


def _below_one(checker, multiplier, shift):
    # Kernels of sums know no shift to the left.
    checker.multiplier(multiplier, shift)
    if shift > 31:
        refuse("a sum's factor above 1")


def _clamps(clamps):
    if clamps >> 24:
        refuse("a zero point is no byte")


def _add(checker, p, at):
    _views(checker, p, 1, 2)
    checker.plan(p[20], TABLE_BYTES, 4)
    checker.plan(p[21], TABLE_BYTES, 4)
    _below_one(checker, p[22], p[23])
    _clamps(p[24])


def _multiply(checker, p, at):
    _views(checker, p, 1, 2)
    if p[20] > 255 or p[21] > 255:
        refuse("a zero point is no byte")
    checker.multiplier(p[22], p[23])
    _clamps(p[24])


def _add_wide(checker, p, at):
    _views(checker, p, 2, 4)
    _below_one(checker, p[22], p[24] >> 8 & 255)
    _below_one(checker, p[23], p[24] & 255)


def _multiply_wide(checker, p, at):
    _views(checker, p, 2, 2)
    checker.multiplier(p[20], p[21])


CHECKS = ((25, _add), (25, _multiply), (28, _add_wide), (24, _multiply_wide))
