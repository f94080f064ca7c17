"""Steps of family 6: softmax."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    from bodydouble.compiler.pack import Packer


@dataclass(frozen=True)
class Softmax(Step):
    """Rows of `depth` bytes become fractions of one, in units of 2**-8 or 2**-16 by the target's width.

    `exp`: by how much a value is below the row's largest, in units of 2**-31.
    """

    target: View
    source: View
    depth: int
    exp: tuple[int, ...]
    kind = "softmax"
    code = 0x60

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def records(self, packer: Packer) -> list[list[int]]:
        return [[
            self.source.address, self.target.address, self.source.size // self.depth, self.depth, self.target.item,
            packer.put(struct.pack(f"<{len(self.exp)}i", *self.exp)),
        ]]  # fmt: skip


@dataclass(frozen=True)
class Softmax16(Step):
    """Rows of `depth` int16 become fractions of one in units of 2**-15, by interpolation in two curves."""

    target: View
    source: View
    depth: int
    multiplier: int
    shift: int
    exp: tuple[int, ...]
    reciprocal: tuple[int, ...]
    kind = "softmax"
    code = 0x61

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def records(self, packer: Packer) -> list[list[int]]:
        exp, reciprocal = (
            packer.put(struct.pack(f"<{len(curve)}H", *curve)) for curve in (self.exp, self.reciprocal)
        )
        return [[
            self.source.address, self.target.address, self.source.size // self.depth, self.depth,
            self.multiplier, self.shift, exp, reciprocal,
        ]]  # fmt: skip
