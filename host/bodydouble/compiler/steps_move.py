"""Steps of family 0: bytes are moved, set, or mapped through a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    from bodydouble.compiler.pack import Packer

COPY_LOOPS = 3

# One nested count of a copy: how often, bytes between targets, bytes between sources.
_Loop = tuple[int, int, int]


@dataclass(frozen=True)
class Copy(Step):
    """Copies `source` to `target` (same shape), each byte XORed with `flip`; a stride may be negative or 0."""

    target: View
    source: View
    flip: int = 0
    kind = "copy"
    code = 1

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def in_place(self) -> tuple[View, View] | None:
        return (self.target, self.source) if self.target.strides == self.source.strides else None

    @property
    def count(self) -> int:
        loops, _ = _loops(self)
        return math.prod(count for count, _, _ in loops[:-COPY_LOOPS])

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        return _copies(self)


@dataclass(frozen=True)
class Shift(Step):
    """Moves rows of streaming buffers: (storage, to, from, bytes) each."""

    moves: tuple[tuple[Storage, int, int, int], ...]
    kind = "shift"
    code = 2

    def storages(self) -> Iterator[Storage]:
        for storage, _, _, _ in self.moves:
            yield storage

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        moves = [(s.offset + to, s.offset + frm, size) for s, to, frm, size in self.moves]
        return [[len(moves), *(word for move in moves for word in move)]]


@dataclass(frozen=True)
class Fill(Step):
    """Sets `size` bytes of a storage to one value."""

    storage: Storage
    offset: int
    size: int
    value: int
    kind = "fill"
    code = 3

    def storages(self) -> Iterator[Storage]:
        yield self.storage

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        return [[self.storage.offset + self.offset, self.size, self.value]]


@dataclass(frozen=True)
class Constant(Step):
    """Copies bytes of the plan into a storage."""

    storage: Storage
    offset: int
    data: bytes
    kind = "constant"
    code = 4

    def storages(self) -> Iterator[Storage]:
        yield self.storage

    def records(self, packer: Packer) -> list[list[int]]:
        return [[self.storage.offset + self.offset, packer.put(self.data), len(self.data)]]


@dataclass(frozen=True)
class Lookup(Step):
    """Maps every byte through a table of 256."""

    target: View
    source: View
    table: bytes
    kind = "lookup"
    code = 5

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def in_place(self) -> tuple[View, View] | None:
        return self.target, self.source

    def records(self, packer: Packer) -> list[list[int]]:
        return [[self.target.address, self.source.address, self.source.size, packer.put(self.table)]]


@dataclass(frozen=True)
class Gather(Step):
    """Copies slices of `source` [batches, outers, size, inner] picked by int32 `indices` [batches, count], clamped.

    All three are dense; `inner` counts bytes.
    """

    target: View
    source: View
    indices: View
    batches: int
    outers: int
    size: int
    inner: int
    kind = "gather"
    code = 6

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage
        yield self.indices.storage

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        count = self.indices.size // self.batches
        addresses = [view.address for view in (self.target, self.source, self.indices)]
        return [[*addresses, self.batches, self.outers, count, self.size, self.inner]]


def _merged(target: View, source: View) -> list[_Loop]:
    # Dimensions from the outermost, an element's bytes last; neighbours that step evenly on both sides become one.
    loops: list[_Loop] = []
    for loop in (*zip(target.shape, target.strides, source.strides, strict=True), (target.item, 1, 1)):
        count, to, frm = loop
        if count == 1:
            continue
        if loops and loops[-1][1] == to * count and loops[-1][2] == frm * count:
            loops[-1] = (loops[-1][0] * count, to, frm)
        else:
            loops.append(loop)
    return loops


def _loops(step: Copy) -> tuple[list[_Loop], int]:
    # Counts from the shortest to the longest, where a turn costs least, and the bytes of a run.
    loops = _merged(step.target, step.source)
    run = 1
    if loops and loops[-1][1] == loops[-1][2] == 1:
        run = loops.pop()[0]
    return sorted(loops, key=lambda loop: loop[0]), run


def _copies(step: Copy) -> list[list[int]]:
    loops, run = _loops(step)
    starts = [(step.target.address, step.source.address)]
    while len(loops) > COPY_LOOPS:  # more dimensions than a record holds: one record per index of the shortest
        count, to, frm = loops.pop(0)
        starts = [(a + i * to, b + i * frm) for a, b in starts for i in range(count)]
    loops = [(1, 0, 0)] * (COPY_LOOPS - len(loops)) + loops
    counts, targets, sources = (list(column) for column in zip(*loops, strict=True))
    steps = [stride & 0xFFFFFFFF for stride in (*targets, *sources)]
    return [[a, b, *counts, run, *steps, step.flip] for a, b in starts]
