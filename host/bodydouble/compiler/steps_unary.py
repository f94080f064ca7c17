"""Steps of family 3: one number at a time, where bytes alone will not do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.curves import Curve, sigmoid_table
from bodydouble.compiler.quantise import Rescaling
from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    from bodydouble.compiler.pack import Packer

_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Unary(Step):
    """Maps each element of `source` to one of `target`; both contiguous, of the same number of elements."""

    target: View
    source: View

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage

    def in_place(self) -> tuple[View, View] | None:
        return (self.target, self.source) if self.target.item == self.source.item else None

    def _head(self) -> list[int]:
        return [self.target.address, self.source.address, self.source.size]


@dataclass(frozen=True)
class WideLookup(Unary):
    """Maps every byte through a table of 256 wider elements."""

    table: bytes
    kind = "lookup"
    code = 0x30

    def records(self, packer: Packer) -> list[list[int]]:
        return [[*self._head(), packer.put(self.table), self.target.item]]


@dataclass(frozen=True)
class Rescale(Unary):
    """int16 to int8, int16 or int32 by two multipliers; the zero and the clamps as the target holds them."""

    rescaling: Rescaling
    kind = "rescale"
    code = 0x31

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        r = self.rescaling
        bias = 128 if self.target.item == 1 else 0
        return [[
            *self._head(), r.zero_in & _WORD, r.above.multiplier, r.below.multiplier,
            r.above.shift_byte | r.below.shift_byte << 8 | int(r.negate) << 16 | self.target.item << 24,
            (r.zero_out + bias) & _WORD, (r.low + bias) & _WORD, (r.high + bias) & _WORD,
        ]]  # fmt: skip


@dataclass(frozen=True)
class Interpolate(Unary):
    """int16 LOGISTIC or TANH."""

    curve: Curve
    kind = "curve"
    code = 0x32

    def records(self, packer: Packer) -> list[list[int]]:
        c = self.curve
        table = b"".join(value.to_bytes(2, "little") for value in sigmoid_table())
        return [[
            *self._head(), packer.put(table), c.multiplier, c.shift, c.fraction_bits,
            c.saturated, c.above & _WORD, c.below, c.final_shift,
        ]]  # fmt: skip


def float_parts(scale: float) -> tuple[int, int]:
    """A float32 as a 24-bit significand and a biased exponent: significand * 2**(exponent - 150)."""
    fraction, exponent = math.frexp(scale)
    return int(fraction * (1 << 24)), exponent + 126


@dataclass(frozen=True)
class FromFloat(Unary):
    """float32 to int8 or int16: round(x / scale) + zero, clamped to the type."""

    scale: float
    zero_point: int
    kind = "quantize"
    code = 0x33

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        significand, exponent = float_parts(self.scale)
        low, high, bias = (-32768, 32767, 0) if self.target.item == 2 else (0, 255, 128)
        return [[
            *self._head(), significand, exponent, (self.zero_point + bias) & _WORD, low & _WORD, high,
            self.target.item,
        ]]  # fmt: skip


@dataclass(frozen=True)
class ToFloat(Unary):
    """int16 to float32: scale * (x - zero), rounded to the nearest, ties to even."""

    scale: float
    zero_point: int
    kind = "dequantize"
    code = 0x34

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        significand, exponent = float_parts(self.scale)
        return [[*self._head(), self.zero_point & _WORD, significand, exponent]]
