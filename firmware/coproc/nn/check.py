"""Checks every byte of a plan that could lead a kernel astray; families check their own records (check_*.py).

Kernels check nothing: these files are the only guard, and they read a hostile plan as data.
"""

import struct

FAMILIES = ("move", "dot", "wide", "unary", "binary", "pool", "soft", "recurrent", "reduce", "lstm")
ARENA_BYTES_MAX = 1 << 24
COUNT_MAX = 1 << 24
MACS_MAX = 1 << 28  # an inference that would take minutes is no use and looks like a hang


class PlanError(ValueError):
    """The plan cannot be used; the text says why."""


def refuse(why):
    raise PlanError("bad plan: " + why)


def part(module, name):
    """`name` of a module beside this one, imported on first use: a plan pays only for the families that it needs."""
    return getattr(__import__("coproc.nn." + module, None, None, (name,)), name)


class Checker:
    """Walks the records of one plan. A family's CHECKS hold (words or 0 where that varies, check(checker, p, at))."""

    def __init__(self, blob, arena_bytes, packing):
        self.blob = blob
        self.size = len(blob)
        self.arena_bytes = arena_bytes
        self.packing = packing
        self.work = 0  # bytes touched and products made, an upper bound

    def word(self, at):
        if at & 3 or at < 0 or at + 4 > self.size:
            refuse("an offset points outside it")
        return struct.unpack_from("<I", self.blob, at)[0]

    def words(self, at, count):
        if at & 3 or at < 0 or at + 4 * count > self.size:
            refuse("a record reaches beyond its end")
        return struct.unpack_from("<%dI" % count, self.blob, at)

    def arena(self, start, length, alignment=1):
        """`length` bytes from `start` lie in the arena; a start that is no multiple of `alignment` is refused."""
        if start + length > self.arena_bytes or start & (alignment - 1):
            refuse("a record reaches outside the arena")

    def plan(self, start, length, alignment=1):
        """`length` bytes from `start` lie in the plan."""
        if start + length > self.size or start & (alignment - 1):
            refuse("a record points outside the plan")

    def counts(self, *values):
        for value in values:
            if not 1 <= value <= COUNT_MAX:
                refuse("a count of %d" % value)

    def effort(self, amount):
        self.work += amount
        if self.work > MACS_MAX:
            refuse("one inference would take more than %d steps" % MACS_MAX)

    def multiplier(self, multiplier, shift):
        if multiplier >> 31:
            refuse("a negative multiplier")
        if shift > 62:
            refuse("a shift of %d" % shift)

    def table(self, table, shifts, channels):
        """Biases and multipliers at `table`, shift bytes at `shifts`."""
        self.effort(64 * channels)  # this loop counts too
        self.plan(table, 8 * channels, 4)
        self.plan(shifts, channels)
        blob = self.blob
        for i in range(channels):
            if blob[table + 8 * i + 7] > 127:
                refuse("a negative multiplier")
            if blob[shifts + i] > 62:
                refuse("a shift of %d" % blob[shifts + i])

    def record(self, at):
        """Check the record at `at`; returns its kind and length in bytes."""
        head = self.word(at)
        kind = head & 0xFFFF
        words = head >> 16
        try:
            expected, check = part("check_" + FAMILIES[kind >> 4], "CHECKS")[kind & 15]
        except (ImportError, IndexError, TypeError):
            refuse("operation %d is not known" % kind)
        if words < 2 or (expected and words != expected):
            refuse("operation %d has %d words" % (kind, words))
        check(self, self.words(at, words), at)
        return kind, 4 * words
