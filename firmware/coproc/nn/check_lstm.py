"""Checks LOOP and what an LSTM's steps are made of: MOVE, DENSE WIDE, ADD CLIPPED, MUL WIDE (firmware/PLAN.md)."""

from coproc.nn.check import refuse

LOOP = 0x90
_INSIDE_MAX = 64  # records in a loop
_CALL = 64  # steps that calling a kernel takes the time of, at least


def _loop(checker, p, at):
    checker.counts(p[1])
    checker.arena(p[2], 4, 4)
    before = checker.work
    end = at + 4 * len(p)
    at += 12
    inside = 0
    while at < end:
        if checker.word(at) & 0xFFFF == LOOP:
            refuse("a loop in a loop")
        at += checker.record(at)[1]
        inside += 1
    if at != end or not 0 < inside <= _INSIDE_MAX:
        refuse("a loop of %d records" % inside)
    checker.effort((p[1] - 1) * (checker.work - before + _CALL * inside))


def _move(checker, p, at):
    checker.counts(p[5], p[7])
    checker.arena(p[1], (p[7] - 1) * p[2] + p[5])
    checker.arena(p[3], (p[7] - 1) * p[4] + p[5])
    checker.arena(p[6], 4, 4)
    checker.effort(p[5])


def _dense(checker, p, at):
    checker.counts(p[3], p[4])
    if p[3] & 3:
        refuse("a window of %d" % p[3])
    checker.arena(p[1], p[3])
    checker.arena(p[2], 2 * p[4], 2)
    checker.plan(p[5], p[3] * p[4])
    checker.table(p[6], p[7], p[4])
    checker.effort(p[3] * (p[4] + 1))


def _elements(checker, p):
    checker.counts(p[4])
    for start in p[2:4]:
        checker.arena(start, 2 * p[4], 2)
    checker.effort(4 * p[4])


def _add(checker, p, at):
    _elements(checker, p)
    checker.arena(p[1], 2 * p[4], 2)


def _multiply(checker, p, at):
    _elements(checker, p)
    checker.multiplier(p[5], p[6])
    if p[10] not in (1, 2):
        refuse("elements of %d bytes" % p[10])
    checker.arena(p[1], p[10] * p[4], p[10])


CHECKS = ((0, _loop), (8, _move), (8, _dense), (7, _add), (11, _multiply))
