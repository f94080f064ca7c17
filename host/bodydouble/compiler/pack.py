"""Writes the plan: header, records, tables, weights. The format is specified in firmware/PLAN.md."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from bodydouble.compiler.steps import (
    Constant,
    Conv,
    Copy,
    Depthwise,
    Fill,
    Lookup,
    Port,
    Program,
    Requantisation,
    Shift,
    Step,
    View,
)

MAGIC = b"BDPL"
VERSION = 1
HEADER_BYTES = 96
HASHED_FROM = 48
NAME_BYTES_MAX = 64
PACKING = 1  # rows padded to 4 with the zero point, depthwise weights in blocks of 8 channels
KINDS = {"copy": 1, "shift": 2, "fill": 3, "constant": 4, "lookup": 5, "conv": 6, "depthwise": 7}
TYPES = {"INT8": 0, "UINT8": 1}
COPY_LOOPS = 3

# One nested count of a copy: how often, bytes between targets, bytes between sources.
_Loop = tuple[int, int, int]


class Packer:
    """Collects records, then what they point at; equal data is stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._known: dict[tuple[bytes, int], int] = {}
        self.base = 0  # where `data` will lie in the plan

    def put(self, data: bytes, alignment: int = 4) -> int:
        """Store `data`; returns its offset in the plan."""
        known = self._known.get((data, alignment))
        if known is None:
            self.data += bytes(-len(self.data) % alignment)
            known = self._known[(data, alignment)] = len(self.data)
            self.data += data
        return self.base + known

    def records(self, step: Step) -> list[list[int]]:
        """The step's records as words, without their head."""
        if isinstance(step, Copy):
            return _copies(step)
        if isinstance(step, Shift):
            moves = [(s.offset + to, s.offset + frm, size) for s, to, frm, size in step.moves]
            return [[len(moves), *(word for move in moves for word in move)]]
        if isinstance(step, Fill):
            return [[step.storage.offset + step.offset, step.size, step.value]]
        if isinstance(step, Constant):
            return [[step.storage.offset + step.offset, self.put(step.data), len(step.data)]]
        if isinstance(step, Lookup):
            return [[step.target.address, step.source.address, step.source.size, self.put(step.table)]]
        if isinstance(step, Conv):
            return [self._conv(step)]
        if isinstance(step, Depthwise):
            return [self._depthwise(step)]
        raise TypeError(f"no record for a {step.kind} step")

    def _requantisation(self, rq: Requantisation) -> tuple[int, int, int]:
        table = b"".join(struct.pack("<iI", *pair) for pair in zip(rq.biases, rq.multipliers, strict=True))
        return self.put(table), self.put(bytes(rq.shifts), 1), rq.zero | rq.low << 8 | rq.high << 16

    def _conv(self, step: Conv) -> list[int]:
        w = step.window
        table, shifts, clamps = self._requantisation(step.requantisation)
        return [
            step.source.address, step.target.address, w.rows, w.columns, w.row_step, w.column_step,
            w.taps_y, w.tap_step_y, w.taps_x, w.tap_step_x, step.piece, step.gather.offset if step.gather else 0,
            step.depth, int(step.weights.shape[0]), step.out_row_step, step.out_column_step,
            self.put(step.weights.tobytes()), table, shifts, step.weight_zero, clamps,
        ]  # fmt: skip

    def _depthwise(self, step: Depthwise) -> list[int]:
        w = step.window
        table, shifts, clamps = self._requantisation(step.requantisation)
        return [
            step.source.address, step.target.address, w.rows, w.columns, w.row_step, w.column_step,
            w.taps_y, w.tap_step_y, w.taps_x, w.tap_step_x, step.channels,
            step.out_row_step, step.out_column_step, step.out_channel_step, step.scratch.offset,
            self.put(step.weights.tobytes()), table, shifts, clamps,
        ]  # fmt: skip


def _merged(target: View, source: View) -> list[_Loop]:
    # Dimensions from the outermost; neighbours that step evenly on both sides become one.
    loops: list[_Loop] = []
    for count, to, frm in zip(target.shape, target.strides, source.strides, strict=True):
        if count == 1:
            continue
        if loops and loops[-1][1] == to * count and loops[-1][2] == frm * count:
            loops[-1] = (loops[-1][0] * count, to, frm)
        else:
            loops.append((count, to, frm))
    return loops


def _copies(step: Copy) -> list[list[int]]:
    loops = _merged(step.target, step.source)
    run = 1
    if loops and loops[-1][1] == loops[-1][2] == 1:
        run = loops.pop()[0]
    loops = [(1, 0, 0)] * (COPY_LOOPS - len(loops)) + loops
    starts = [(step.target.address, step.source.address)]
    while len(loops) > COPY_LOOPS:  # more dimensions than a record holds: one record per outermost index
        count, to, frm = loops.pop(0)
        starts = [(a + i * to, b + i * frm) for a, b in starts for i in range(count)]
    counts, targets, sources = (list(column) for column in zip(*loops, strict=True))
    return [[a, b, *counts, run, *targets, *sources, step.flip] for a, b in starts]


def _record(kind: str, words: list[int]) -> bytes:
    return struct.pack(f"<{len(words) + 1}I", KINDS[kind] | (len(words) + 1) << 16, *words)


def _port(port: Port) -> bytes:
    shape = port.view.shape
    dims = [*shape, *[0] * (6 - len(shape))]
    head = struct.pack("<10I", port.view.address, port.view.size, TYPES[port.type], len(shape), *dims)
    return head + struct.pack("<fi", port.scale, port.zero_point)


def pack(program: Program, name: str, arena_bytes: int) -> tuple[bytes, list[int]]:
    """The whole plan, and for each step how many records it became."""
    # Two rounds: the first finds how long the records are, the second knows where their data lies.
    counts: list[int] = []
    setup_count = 0

    def records(packer: Packer, steps: Sequence[Step]) -> list[bytes]:
        counts.clear()
        written = []
        for step in steps:
            mine = packer.records(step)
            counts.append(len(mine))
            written += [_record(step.kind, words) for words in mine]
        return written

    packer = Packer()
    for _ in range(2):
        base = packer.base
        packer = Packer()
        packer.base = base
        setup = records(packer, program.setup)
        setup_count = len(setup)
        ops = records(packer, program.steps)
        ports = b"".join(_port(port) for port in (*program.inputs, *program.outputs))
        setup_at = HEADER_BYTES
        ops_at = setup_at + sum(map(len, setup))
        ports_at = ops_at + sum(map(len, ops))
        packer.base = ports_at + len(ports)
    raw_name = name.encode()[:NAME_BYTES_MAX].decode("utf-8", "ignore").encode()
    name_at = packer.put(raw_name, 1)
    packer.data += bytes(-len(packer.data) % 4)
    total = packer.base + len(packer.data)
    macs = sum(step.macs for step in program.steps)
    fields = struct.pack(
        "<12I", PACKING, arena_bytes, name_at, len(raw_name), ops_at, len(ops), ports_at,
        len(program.inputs), len(program.outputs), setup_at, setup_count, macs,
    )  # fmt: skip
    body = fields + b"".join(setup) + b"".join(ops) + ports + bytes(packer.data)
    head = MAGIC + struct.pack("<HHII", VERSION, HEADER_BYTES, total, 0)
    return head + hashlib.sha256(body).digest() + body, counts
