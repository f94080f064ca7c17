"""Steps of family 8: whole dimensions become their sum or largest value, or where that lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    from bodydouble.compiler.pack import Packer

REDUCE_LOOPS = 3

# One nested count of a reduction: how often, and bytes between its elements.
Loop = tuple[int, int]


@dataclass(frozen=True)
class _Reduction(Step):
    """For each element of the `kept` loops, in order, those of the `reduced` loops become one."""

    target: View
    source: View
    kept: tuple[Loop, ...]
    reduced: tuple[Loop, ...]

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def _words(self) -> list[int]:
        words = [self.source.address, self.target.address]
        for loops in (self.kept, self.reduced):
            nested = [(1, 0)] * (REDUCE_LOOPS - len(loops)) + list(loops)
            words += [count for count, _ in nested] + [step for _, step in nested]
        return words

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        return [self._words()]


@dataclass(frozen=True)
class Sum(_Reduction):
    """The sum, all values counted from the type's lowest, plus `bias`, requantised."""

    bias: int
    multiplier: int
    shift: int
    zero: int
    kind = "sum"

    @property
    def code(self) -> int:  # type: ignore[override]
        """By the elements' width."""
        return 0x81 if self.source.item == 2 else 0x80

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        return [[*self._words(), self.bias & 0xFFFFFFFF, self.multiplier, self.shift, self.zero]]


@dataclass(frozen=True)
class Largest(_Reduction):
    """The largest byte."""

    kind = "largest"
    code = 0x82


@dataclass(frozen=True)
class ArgMax(Step):
    """Where the first of the largest bytes along the middle of [outer, along, inner] lies, as int32."""

    target: View
    source: View
    outer: int
    along: int
    inner: int
    kind = "arg max"
    code = 0x83

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        return [[self.source.address, self.target.address, self.outer, self.along, self.inner]]
