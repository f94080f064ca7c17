"""Loads a plan and runs it (format: firmware/PLAN.md).

A plan is refused unless its length, version and sha256 are right and every record's reads and writes stay inside the
plan and the arena (check.py). A refusal raises PlanError.
"""

import hashlib
import struct

import uctypes

from coproc.nn import check
from coproc.nn.check import Checker, part, refuse

MAGIC = b"BDPL"
VERSION = 2
HEADER_BYTES = 96
HASHED_FROM = 48
NAME_BYTES_MAX = 64
TENSOR_BYTES = 48
RECORDS_MAX = 4096
LOOP = 0x90
# Of inputs and outputs, and the bytes of an element of each
INT8, UINT8, INT16, INT32, FLOAT32, INT64, BOOL = range(7)
ITEM_BYTES = (1, 1, 2, 4, 4, 8, 1)


class Tensor:
    """An input or output: where it lies in the arena, its type, shape and quantisation."""

    def __init__(self, checker, at):
        p = checker.words(at, TENSOR_BYTES // 4)
        self.offset, self.bytes, self.type, rank = p[:4]
        if rank > 6 or self.type >= len(ITEM_BYTES):
            refuse("an input or output of rank %d, type %d" % (rank, self.type))
        self.shape = p[4 : 4 + rank]
        size = ITEM_BYTES[self.type]
        for count in self.shape:
            checker.counts(count)
            size *= count
        if size != self.bytes:
            refuse("an input or output of %d bytes, shape %r" % (self.bytes, self.shape))
        checker.arena(self.offset, size)
        self.scale, self.zero_point = struct.unpack_from("<fi", checker.blob, at + 40)


class Model:
    """A loaded plan. `invoke` allocates nothing; build one with `load`."""

    def __init__(self, checker, blob, tables, name, arena_bytes, setup, ops, tensors, inputs, macs):
        self.name = name
        self.macs = macs
        self.arena_bytes = arena_bytes
        self.arena = arena = bytearray(arena_bytes)
        if uctypes.addressof(arena) & 3:
            refuse("the arena is not aligned")
        self._blob = blob
        self._setup = setup
        self.op_count = len(ops)
        self._kernels = tuple([_body(tables, kind, checker, at) for kind, at in ops])
        self._records = tuple([at for _, at in ops])
        self._setup_kernels = tuple([_body(tables, kind, checker, at) for kind, at in setup])
        self.inputs = tensors[:inputs]
        self.outputs = tensors[inputs:]
        view = memoryview(arena)
        first = self.inputs[0]
        self.input_views = tuple([view[t.offset : t.offset + t.bytes] for t in self.inputs])
        self.input = self.input_views[0]
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


def _body(tables, kind, checker, at):
    # The tier's kernel for the record at `at`: the first that one of its tables of modules leads to.
    if kind == LOOP:
        return part("loop", "loop")(lambda kind, at: _body(tables, kind, checker, at), checker, at)
    family = kind >> 4
    number = kind & 15
    for modules in tables:
        if family < len(modules):
            kernels = part(modules[family], "KERNELS")
            if number < len(kernels):
                return kernels[number]
    return refuse("operation %d has no kernel here" % kind)


def _records(checker, at, count):
    found = []
    for _ in range(count):
        kind, size = checker.record(at)
        found.append((kind, at))
        at += size
    return found


def warm(kernels):
    """Imports what every plan needs, while the heap is in one piece: later it would lie between large buffers."""
    for module in ("check_move", "check_dot"):
        part(module, "CHECKS")
    # Of the best packing's tables, as hosts choose it, the first for each family.
    tables = kernels.TABLES[max(kernels.TABLES)]
    for family in range(2):
        for modules in tables:
            if family < len(modules):
                part(modules[family], "KERNELS")
                break


def load(blob, kernels):
    """Check `blob` (a bytearray that holds a whole plan) and make a Model of it; raises PlanError."""
    size = len(blob)
    if size < HEADER_BYTES or bytes(blob[:4]) != MAGIC:
        refuse("it does not start as one")
    version, header, total, reserved = struct.unpack_from("<HHII", blob, 4)
    if version != VERSION:
        refuse("version %d, this firmware reads %d" % (version, VERSION))
    if header != HEADER_BYTES or total != size or reserved or size & 3:
        refuse("%d bytes of %d" % (size, total))
    if uctypes.addressof(blob) & 3:
        refuse("it is not aligned in memory")
    if hashlib.sha256(memoryview(blob)[HASHED_FROM:]).digest() != bytes(blob[16:HASHED_FROM]):
        refuse("its sha256 is not the one it names")
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
    if packing not in kernels.TABLES:
        refuse("packed for other kernels (%d)" % packing)
    if not 0 < arena_bytes <= check.ARENA_BYTES_MAX:
        refuse("an arena of %d bytes" % arena_bytes)
    if name_bytes > NAME_BYTES_MAX or op_count + setup_count > RECORDS_MAX:
        refuse("too many records or too long a name")
    if not 1 <= inputs <= 8 or not 1 <= outputs <= 8:
        refuse("%d inputs, %d outputs" % (inputs, outputs))
    checker = Checker(blob, arena_bytes, packing)
    checker.plan(name_at, name_bytes)
    try:
        name = str(bytes(blob[name_at : name_at + name_bytes]), "utf-8")
    except UnicodeError:
        refuse("its name is not text")
    setup = _records(checker, setup_at, setup_count)
    ops = _records(checker, ops_at, op_count)
    tensors = [Tensor(checker, tensors_at + TENSOR_BYTES * i) for i in range(inputs + outputs)]
    return Model(checker, blob, kernels.TABLES[packing], name, arena_bytes, setup, ops, tensors, inputs, macs)
