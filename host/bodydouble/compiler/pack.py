"""Writes the plan: header, records, tables, weights. The format is specified in firmware/PLAN.md."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from bodydouble.compiler.effort import effort
from bodydouble.compiler.model import TYPE_CODES
from bodydouble.compiler.packing import ROWS
from bodydouble.compiler.steps import Port, Program, Step

MAGIC = b"BDPL"
VERSION = 2
HEADER_BYTES = 96
HASHED_FROM = 48
NAME_BYTES_MAX = 64


class Packer:
    """Collects records, then what they point at; equal data is stored once."""

    def __init__(self, packing: int) -> None:
        self.packing = packing
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


def _record(code: int, words: list[int]) -> bytes:
    return struct.pack(f"<{len(words) + 1}I", code | (len(words) + 1) << 16, *words)


def _port(port: Port) -> bytes:
    shape = port.view.shape
    dims = [*shape, *[0] * (6 - len(shape))]
    head = struct.pack("<10I", port.view.address, port.view.bytes, TYPE_CODES[port.type], len(shape), *dims)
    return head + struct.pack("<fi", port.scale, port.zero_point)


def pack(
    program: Program, name: str, arena_bytes: int, packing: int = ROWS
) -> tuple[bytes, list[int], list[tuple[Step, int]]]:
    """The whole plan, weights in that packing; for each step how many records it became; the effort of each step.

    Setup has no counts, but efforts.
    """
    # Two rounds: the first finds how long the records are, the second knows where their data lies.
    counts: list[int] = []
    efforts: list[tuple[Step, int]] = []
    setup_count = 0

    def records(packer: Packer, steps: Sequence[Step]) -> list[bytes]:
        counts.clear()
        written = []
        for step in steps:
            mine = step.records(packer)
            counts.append(len(mine))
            efforts.append((step, sum(effort([step.code, *words], packing) for words in mine)))
            written += [_record(step.code, words) for words in mine]
        return written

    packer = Packer(packing)
    for _ in range(2):
        base = packer.base
        packer = Packer(packing)
        packer.base = base
        efforts.clear()
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
        "<12I", packing, arena_bytes, name_at, len(raw_name), ops_at, len(ops), ports_at,
        len(program.inputs), len(program.outputs), setup_at, setup_count, macs,
    )  # fmt: skip
    body = fields + b"".join(setup) + b"".join(ops) + ports + bytes(packer.data)
    head = MAGIC + struct.pack("<HHII", VERSION, HEADER_BYTES, total, 0)
    return head + hashlib.sha256(body).digest() + body, counts, efforts
