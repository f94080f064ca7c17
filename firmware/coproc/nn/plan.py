"""Loads a plan: checks every byte that could lead a kernel astray, then runs it (format: firmware/PLAN.md).

A plan is refused unless its length, version and sha256 are right and every record's reads and writes stay inside the
plan and the arena. Kernels check nothing: this file is the only guard, and it reads a hostile plan as data.
"""

import hashlib
import struct

import uctypes

MAGIC = b"BDPL"
VERSION = 1
HEADER_BYTES = 96
HASHED_FROM = 48
NAME_BYTES_MAX = 64
TENSOR_BYTES = 48
RECORDS_MAX = 4096
ARENA_BYTES_MAX = 1 << 24
COUNT_MAX = 1 << 24
MACS_MAX = 1 << 28  # an inference that would take minutes is no use and looks like a hang

COPY, SHIFT, FILL, CONSTANT, LOOKUP, CONV, DEPTHWISE = range(1, 8)
_WORDS = (0, 14, 0, 4, 4, 5, 22, 20)  # per kind; a SHIFT's depends on its entries
INT8, UINT8 = 0, 1


class PlanError(ValueError):
    """The plan cannot be used; the text says why."""


def _refuse(why):
    raise PlanError("bad plan: " + why)


class _Checker:
    # Walks the records of one plan.

    def __init__(self, blob, arena_bytes):
        self.blob = blob
        self.size = len(blob)
        self.arena_bytes = arena_bytes
        self.work = 0  # bytes touched and products made, an upper bound

    def word(self, at):
        if at & 3 or at < 0 or at + 4 > self.size:
            _refuse("an offset points outside it")
        return struct.unpack_from("<I", self.blob, at)[0]

    def words(self, at, count):
        if at & 3 or at < 0 or at + 4 * count > self.size:
            _refuse("a record reaches beyond its end")
        return struct.unpack_from("<%dI" % count, self.blob, at)

    def arena(self, start, length, aligned=False):
        if start + length > self.arena_bytes or (aligned and start & 3):
            _refuse("a record reaches outside the arena")

    def plan(self, start, length, aligned=False):
        if start + length > self.size or (aligned and start & 3):
            _refuse("a record points outside the plan")

    def counts(self, *values):
        for value in values:
            if not 1 <= value <= COUNT_MAX:
                _refuse("a count of %d" % value)

    def effort(self, amount):
        self.work += amount
        if self.work > MACS_MAX:
            _refuse("one inference would take more than %d steps" % MACS_MAX)

    def table(self, table, shifts, channels):
        self.effort(64 * channels)  # this loop counts too
        self.plan(table, 8 * channels, True)
        self.plan(shifts, channels)
        blob = self.blob
        for i in range(channels):
            if blob[table + 8 * i + 7] > 127:
                _refuse("a negative multiplier")
            if blob[shifts + i] > 62:
                _refuse("a shift of %d" % blob[shifts + i])

    def record(self, at):
        # Checks the record at `at`; returns its kind and length in bytes.
        head = self.word(at)
        kind = head & 0xFFFF
        words = head >> 16
        if not COPY <= kind <= DEPTHWISE:
            _refuse("operation %d is not known" % kind)
        if words < 2 or (words != _WORDS[kind] and kind != SHIFT):
            _refuse("operation %d has %d words" % (kind, words))
        p = self.words(at, words)
        if kind == COPY:
            self._copy(p)
        elif kind == SHIFT:
            self._shift(p, words)
        elif kind == FILL:
            self.counts(p[2])
            self.arena(p[1], p[2])
            self.effort(p[2])
        elif kind == CONSTANT:
            self.counts(p[3])
            self.arena(p[1], p[3])
            self.plan(p[2], p[3])
            self.effort(p[3])
        elif kind == LOOKUP:
            self.counts(p[3])
            self.arena(p[1], p[3])
            self.arena(p[2], p[3])
            self.plan(p[4], 256)
            self.effort(p[3])
        elif kind == CONV:
            self._conv(p)
        else:
            self._depthwise(p)
        return kind, 4 * words

    def _copy(self, p):
        self.counts(p[3], p[4], p[5], p[6])
        for first in (7, 10):
            reach = (p[3] - 1) * p[first] + (p[4] - 1) * p[first + 1] + (p[5] - 1) * p[first + 2]
            self.arena(p[1] if first == 7 else p[2], reach + p[6])
        self.effort(p[3] * p[4] * p[5] * p[6])
        if p[13] > 255:
            _refuse("a copy's XOR is no byte")

    def _shift(self, p, words):
        if words != 2 + 3 * p[1]:
            _refuse("a shift of %d entries in %d words" % (p[1], words))
        for i in range(2, words, 3):
            self.counts(p[i + 2])
            self.arena(p[i], p[i + 2])
            self.arena(p[i + 1], p[i + 2])
            self.effort(p[i + 2])

    def _conv(self, p):
        self.counts(p[3], p[4], p[7], p[9], p[11], p[13], p[14])
        positions = p[3] * p[4]
        pieces = p[7] * p[9]
        depth = p[13]
        if depth & 3 or not pieces * p[11] <= depth < pieces * p[11] + 4:
            _refuse("a window of %d in rows of %d" % (pieces * p[11], depth))
        reach = (p[3] - 1) * p[5] + (p[4] - 1) * p[6]
        if pieces > 1:
            self.arena(p[1], reach + (p[7] - 1) * p[8] + (p[9] - 1) * p[10] + p[11])
            self.arena(p[12], depth)
        else:  # read in place, padding included
            self.arena(p[1], reach + depth)
        self.arena(p[12], 0)
        self.arena(p[2], (p[3] - 1) * p[15] + (p[4] - 1) * p[16] + p[14])
        self.plan(p[17], depth * p[14])
        self.table(p[18], p[19], p[14])
        if p[20] > 255 or p[21] >> 24:
            _refuse("a zero point is no byte")
        self.effort(positions * depth * (p[14] + 1))

    def _depthwise(self, p):
        self.counts(p[3], p[4], p[7], p[9], p[11])
        taps = p[7] * p[9]
        padded = (p[11] + 7) & -8
        reach = (p[3] - 1) * p[5] + (p[4] - 1) * p[6] + (p[7] - 1) * p[8] + (p[9] - 1) * p[10]
        self.arena(p[1], reach + padded)
        self.arena(p[2], (p[3] - 1) * p[12] + (p[4] - 1) * p[13] + (p[11] - 1) * p[14] + 1)
        self.arena(p[15], 32, True)
        self.plan(p[16], taps * padded)
        self.table(p[17], p[18], p[11])
        if p[19] >> 24:
            _refuse("a zero point is no byte")
        self.effort(p[3] * p[4] * taps * padded)


class Tensor:
    """An input or output: where it lies in the arena, its type, shape and quantisation."""

    def __init__(self, checker, at):
        p = checker.words(at, TENSOR_BYTES // 4)
        self.offset, self.bytes, self.type, rank = p[:4]
        if rank > 6 or self.type > UINT8:
            _refuse("an input or output of rank %d, type %d" % (rank, self.type))
        self.shape = p[4 : 4 + rank]
        size = 1
        for count in self.shape:
            checker.counts(count)
            size *= count
        if size != self.bytes:
            _refuse("an input or output of %d bytes, shape %r" % (self.bytes, self.shape))
        checker.arena(self.offset, size)
        self.scale, self.zero_point = struct.unpack_from("<fi", checker.blob, at + 40)


class Model:
    """A loaded plan. `invoke` allocates nothing; build one with `load`."""

    def __init__(self, blob, kernels, name, arena_bytes, setup, ops, tensors, inputs, macs):
        self.name = name
        self.macs = macs
        self.arena_bytes = arena_bytes
        self.arena = arena = bytearray(arena_bytes)
        if uctypes.addressof(arena) & 3:
            _refuse("the arena is not aligned")
        self._blob = blob
        self._setup = setup
        self.op_count = len(ops)
        self._kernels = tuple([kernels.KERNELS[kind] for kind, _ in ops])
        self._records = tuple([at for _, at in ops])
        self._setup_kernels = tuple([kernels.KERNELS[kind] for kind, _ in setup])
        self.inputs = tensors[:inputs]
        self.outputs = tensors[inputs:]
        view = memoryview(arena)
        first = self.inputs[0]
        self.input = view[first.offset : first.offset + first.bytes]
        self.input_bytes = first.bytes
        self.stride = first.shape[-2] if len(first.shape) > 1 else 1
        last = self.outputs[0]
        self.output_view = view[last.offset : last.offset + last.bytes]
        self._output_at = last.offset
        self._output_flip = 128 if last.type == INT8 else 0
        self.reset()

    def reset(self):
        """Set the state variables to their first values; equal to a fresh load."""
        for i in range(len(self._setup)):
            self._setup_kernels[i](self.arena, self._blob, self._setup[i][1])

    def invoke(self):
        """Run one inference on what `input` holds."""
        arena = self.arena
        blob = self._blob
        kernels = self._kernels
        records = self._records
        for i in range(self.op_count):
            kernels[i](arena, blob, records[i])

    def run_op(self, index):
        """Run one operation, to look at what lies between."""
        self._kernels[index](self.arena, self._blob, self._records[index])

    def output(self):
        """The first element of the first output: -128..127 of an int8 tensor, 0..255 of a uint8 one."""
        flip = self._output_flip
        return (self.arena[self._output_at] ^ flip) - flip


def _records(checker, at, count):
    found = []
    for _ in range(count):
        kind, size = checker.record(at)
        found.append((kind, at))
        at += size
    return found


def load(blob, kernels):
    """Check `blob` (a bytearray that holds a whole plan) and make a Model of it; raises PlanError."""
    size = len(blob)
    if size < HEADER_BYTES or bytes(blob[:4]) != MAGIC:
        _refuse("it does not start as one")
    version, header, total, reserved = struct.unpack_from("<HHII", blob, 4)
    if version != VERSION:
        _refuse("version %d, this firmware reads %d" % (version, VERSION))
    if header != HEADER_BYTES or total != size or reserved or size & 3:
        _refuse("%d bytes of %d" % (size, total))
    if uctypes.addressof(blob) & 3:
        _refuse("it is not aligned in memory")
    if hashlib.sha256(memoryview(blob)[HASHED_FROM:]).digest() != bytes(blob[16:HASHED_FROM]):
        _refuse("its sha256 is not the one it names")
    (
        packing,
        arena_bytes,
        name_at,
        name_bytes,
        ops_at,
        op_count,
        tensors_at,
        inputs,
        outputs,
        setup_at,
        setup_count,
        macs,
    ) = struct.unpack_from("<12I", blob, HASHED_FROM)
    if packing not in kernels.PACKINGS:
        _refuse("packed for other kernels (%d)" % packing)
    if not 0 < arena_bytes <= ARENA_BYTES_MAX:
        _refuse("an arena of %d bytes" % arena_bytes)
    if name_bytes > NAME_BYTES_MAX or op_count + setup_count > RECORDS_MAX:
        _refuse("too many records or too long a name")
    if not 1 <= inputs <= 8 or not 1 <= outputs <= 8:
        _refuse("%d inputs, %d outputs" % (inputs, outputs))
    checker = _Checker(blob, arena_bytes)
    checker.plan(name_at, name_bytes)
    try:
        name = str(bytes(blob[name_at : name_at + name_bytes]), "utf-8")
    except UnicodeError:
        _refuse("its name is not text")
    setup = _records(checker, setup_at, setup_count)
    ops = _records(checker, ops_at, op_count)
    tensors = [Tensor(checker, tensors_at + TENSOR_BYTES * i) for i in range(inputs + outputs)]
    return Model(blob, kernels, name, arena_bytes, setup, ops, tensors, inputs, macs)
