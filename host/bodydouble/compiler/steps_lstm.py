"""Steps of family 9: a loop, and what an LSTM's steps are made of beside steps of other families."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.quantise import Multiplier
from bodydouble.compiler.steps import Step
from bodydouble.compiler.steps_dot import Requantisation
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bodydouble.compiler.pack import Packer

_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Loop(Step):
    """Runs `steps` `times` times; `counter` holds how often they have run already."""

    times: int
    counter: Storage
    steps: tuple[Step, ...]
    kind = "loop"
    code = 0x90

    def storages(self) -> Iterator[Storage]:
        yield self.counter
        for step in self.steps:
            yield from step.storages()

    def overreach(self) -> int:
        return max(step.overreach() for step in self.steps)

    @property
    def macs(self) -> int:
        return self.times * sum(step.macs for step in self.steps)

    @property
    def weight_bytes(self) -> int:
        return sum(step.weight_bytes for step in self.steps)

    def records(self, packer: Packer) -> list[list[int]]:
        inside = [
            word
            for step in self.steps
            for words in step.records(packer)
            for word in (step.code | (len(words) + 1) << 16, *words)
        ]
        return [[self.times, self.counter.offset, *inside]]


@dataclass(frozen=True)
class Move(Step):
    """In a loop: copies `size` bytes from `source` to `target`, both moving on by their steps each time."""

    target: View
    target_step: int
    source: View
    source_step: int
    size: int
    counter: Storage
    times: int
    kind = "move"
    code = 0x91

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        return [[
            self.target.address, self.target_step, self.source.address, self.source_step, self.size,
            self.counter.offset, self.times,
        ]]  # fmt: skip


@dataclass(frozen=True)
class DenseWide(Step):
    """Dot products of bytes with `weights` [channels, depth], made int16; the weights' zero point is 0."""

    target: View
    source: View
    weights: NDArray[np.uint8]
    requantisation: Requantisation
    kind = "dense"
    code = 0x92

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def overreach(self) -> int:
        return self.source.address + int(self.weights.shape[1])

    @property
    def macs(self) -> int:
        return int(self.weights.shape[0]) * self.source.size

    @property
    def weight_bytes(self) -> int:
        return int(self.weights.size)

    def records(self, packer: Packer) -> list[list[int]]:
        channels, depth = self.weights.shape
        return [[
            self.source.address, self.target.address, int(depth), int(channels),
            packer.put(self.weights.tobytes()), *self.requantisation.put(packer),
        ]]  # fmt: skip


@dataclass(frozen=True)
class Pairwise(Step):
    """Two int16 tensors element by element, clipped."""

    target: View
    first: View
    second: View
    low: int
    high: int

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.first.storage
        yield self.second.storage

    def _head(self) -> list[int]:
        return [self.target.address, self.first.address, self.second.address, self.first.size]


@dataclass(frozen=True)
class AddClipped(Pairwise):
    """Their sum."""

    kind = "add"
    code = 0x93

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        return [[*self._head(), self.low & _WORD, self.high & _WORD]]


@dataclass(frozen=True)
class MultiplyWide(Pairwise):
    """Their product, rescaled; int16, or int8 as the arena holds it."""

    multiplier: Multiplier
    zero: int
    kind = "multiply"
    code = 0x94

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        return [[
            *self._head(), self.multiplier.multiplier, self.multiplier.shift_byte,
            self.zero & _WORD, self.low & _WORD, self.high & _WORD, self.target.item,
        ]]  # fmt: skip
