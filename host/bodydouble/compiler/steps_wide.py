"""Steps of family 2: sums of products of int16 activations and int8 weights, made int16 again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bodydouble.compiler.pack import Packer
    from bodydouble.compiler.steps_dot import Window


@dataclass(frozen=True)
class WideRequantisation:
    """How sums of 48 bits become int16: per channel a bias, multiplier and shift byte; then clamps.

    `twice`: the sum fits 32 bits and is scaled like an int8 one, rounded twice; else rounded once, by 15 bits.
    """

    biases: tuple[int, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    twice: bool
    low: int
    high: int

    def words(self, packer: Packer) -> list[int]:
        """Offsets of the table and of the shift bytes, how to round, and the clamps."""
        table = b"".join(
            struct.pack("<iII", bias >> 16, bias & 0xFFFF, multiplier)
            for bias, multiplier in zip(self.biases, self.multipliers, strict=True)
        )
        clamps = (self.low & 0xFFFF) | (self.high & 0xFFFF) << 16
        return [packer.put(table), packer.put(bytes(self.shifts), 1), int(self.twice), clamps]


@dataclass(frozen=True)
class Conv16(Step):
    """Dot products of windows with rows of `weights` [channels, depth]; a window is `piece` elements per tap."""

    target: View
    source: View
    window: Window
    piece: int
    gather: Storage
    sums: Storage
    weights: NDArray[np.uint8]
    weight_zero: int
    out_row_step: int
    out_column_step: int
    requantisation: WideRequantisation
    kind = "conv16"
    code = 0x20

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage
        yield self.gather
        yield self.sums

    @property
    def macs(self) -> int:
        w = self.window
        return w.rows * w.columns * w.taps_y * w.taps_x * self.piece * int(self.weights.shape[0])

    def records(self, packer: Packer) -> list[list[int]]:
        w = self.window
        channels, depth = self.weights.shape
        return [[
            self.source.address, self.target.address, w.rows, w.columns, w.row_step, w.column_step,
            w.taps_y, w.tap_step_y, w.taps_x, w.tap_step_x, int(channels),
            self.out_row_step, self.out_column_step, self.target.item, self.sums.offset,
            packer.put(self.weights.tobytes()), *self.requantisation.words(packer),
            self.piece, self.gather.offset, int(depth), self.weight_zero,
        ]]  # fmt: skip

    @property
    def weight_bytes(self) -> int:
        return int(self.weights.size)


@dataclass(frozen=True)
class Depthwise16(Step):
    """Products per channel; `weights` [channels / 8, taps, 8] lie as Depthwise has them."""

    target: View
    source: View
    window: Window
    channels: int
    sums: Storage
    weights: NDArray[np.uint8]
    out_row_step: int
    out_column_step: int
    out_channel_step: int
    requantisation: WideRequantisation
    kind = "depthwise16"
    code = 0x21

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage
        yield self.sums

    def overreach(self) -> int:
        w = self.window
        reach = (w.rows - 1) * w.row_step + (w.columns - 1) * w.column_step
        reach += (w.taps_y - 1) * w.tap_step_y + (w.taps_x - 1) * w.tap_step_x
        return self.source.address + reach + (self.channels + 7) // 8 * 16

    @property
    def macs(self) -> int:
        w = self.window
        return w.rows * w.columns * w.taps_y * w.taps_x * self.channels

    def records(self, packer: Packer) -> list[list[int]]:
        w = self.window
        return [[
            self.source.address, self.target.address, w.rows, w.columns, w.row_step, w.column_step,
            w.taps_y, w.tap_step_y, w.taps_x, w.tap_step_x, self.channels,
            self.out_row_step, self.out_column_step, self.out_channel_step, self.sums.offset,
            packer.put(self.weights.tobytes()), *self.requantisation.words(packer),
        ]]  # fmt: skip

    @property
    def weight_bytes(self) -> int:
        return int(self.weights.size)
