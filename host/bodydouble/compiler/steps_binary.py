"""Steps of family 4: two tensors joined element by element, each repeated where its stride is 0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.quantise import Multiplier
from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    from bodydouble.compiler.pack import Packer

LOOPS = 4
_WORD = 0xFFFFFFFF
SUM_BIAS = 1 << 27  # on each term of a sum of bytes, so that no table holds a number below 0

# One nested count: how often, bytes between targets, bytes between elements of either source.
_Loop = tuple[int, int, int, int]


@dataclass(frozen=True)
class Binary(Step):
    """Views of one shape. `low` and `high` clamp the result; they and `zero` are as the target holds its numbers."""

    target: View
    a: View
    b: View
    factor: Multiplier
    zero: int
    low: int
    high: int

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.a.storage
        yield self.b.storage

    def in_place(self) -> tuple[View, View] | None:
        if self.a.storage is self.b.storage:
            return None
        repeated = any(n > 1 and stride == 0 for n, stride in zip(self.a.shape, self.a.strides, strict=True))
        return (self.target, self.b if repeated else self.a)

    @property
    def count(self) -> int:
        return records_needed(self.target, self.a, self.b)

    def _parameters(self, packer: Packer) -> list[int]:
        raise NotImplementedError

    def records(self, packer: Packer) -> list[list[int]]:
        loops = _merged(self.target, self.a, self.b)
        starts = [(self.target.address, self.a.address, self.b.address)]
        while len(loops) > LOOPS:  # more dimensions than a record holds: one record per outermost index
            count, *steps = loops.pop(0)
            starts = [
                (t + i * steps[0], a + i * steps[1], b + i * steps[2]) for t, a, b in starts for i in range(count)
            ]
        loops = [(1, 0, 0, 0)] * (LOOPS - len(loops)) + loops
        columns = [number for column in zip(*loops, strict=True) for number in column]
        return [[*start, *columns, *self._parameters(packer)] for start in starts]


def _merged(target: View, a: View, b: View) -> list[_Loop]:
    # Dimensions from the outermost; neighbours that step evenly everywhere become one.
    loops: list[_Loop] = []
    for count, to, i, j in zip(target.shape, target.strides, a.strides, b.strides, strict=True):
        if count == 1:
            continue
        if loops and loops[-1][1:] == (to * count, i * count, j * count):
            loops[-1] = (loops[-1][0] * count, to, i, j)
        else:
            loops.append((count, to, i, j))
    return loops


def records_needed(target: View, a: View, b: View) -> int:
    """How many records a step on these views becomes."""
    needed = 1
    for count, *_ in _merged(target, a, b)[:-LOOPS]:
        needed *= count
    return needed


@dataclass(frozen=True)
class Add(Binary):
    """Bytes: the sum of an entry of either table, at most SUM_BIAS away from 0, rescaled."""

    table_a: tuple[int, ...]
    table_b: tuple[int, ...]
    kind = "add"
    code = 0x40

    def _parameters(self, packer: Packer) -> list[int]:
        tables = [
            packer.put(b"".join((value + SUM_BIAS).to_bytes(4, "little") for value in table))
            for table in (self.table_a, self.table_b)
        ]
        return [*tables, self.factor.multiplier, self.factor.shift_byte, _clamps(self)]


@dataclass(frozen=True)
class Multiply(Binary):
    """Bytes: the product of the distances from either zero point, rescaled."""

    zero_a: int
    zero_b: int
    kind = "mul"
    code = 0x41

    def _parameters(self, packer: Packer) -> list[int]:  # noqa: ARG002
        return [self.zero_a, self.zero_b, self.factor.multiplier, self.factor.shift_byte, _clamps(self)]


@dataclass(frozen=True)
class AddWide(Binary):
    """int16: (a - zero_a) / 2 and (b - zero_b) * factor_b in 15 more bits, each negated or not; the sum rescaled."""

    zero_a: int
    zero_b: int
    factor_b: Multiplier
    minus_a: bool
    minus_b: bool
    kind = "add"
    code = 0x42

    def _parameters(self, packer: Packer) -> list[int]:  # noqa: ARG002
        shifts = self.factor.shift_byte | self.factor_b.shift_byte << 8 | self.minus_a << 16 | self.minus_b << 24
        return [
            self.zero_a & _WORD, self.zero_b & _WORD, self.factor_b.multiplier, self.factor.multiplier, shifts,
            self.zero & _WORD, self.low & _WORD, self.high & _WORD,
        ]  # fmt: skip


@dataclass(frozen=True)
class MultiplyWide(Binary):
    """int16 without zero points: the product, rescaled."""

    kind = "mul"
    code = 0x43

    def _parameters(self, packer: Packer) -> list[int]:  # noqa: ARG002
        return [self.factor.multiplier, self.factor.shift_byte, self.low & _WORD, self.high & _WORD]


def _clamps(step: Binary) -> int:
    return step.zero | step.low << 8 | step.high << 16
