"""Steps of family 1: sums of products of bytes, made bytes again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bodydouble.compiler.packing import conv_weights, depthwise_weights
from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bodydouble.compiler.pack import Packer


@dataclass(frozen=True)
class Requantisation:
    """How sums become bytes: per channel a bias, multiplier and shift byte; then zero point and clamps (plus 128)."""

    biases: tuple[int, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    zero: int
    low: int
    high: int

    def put(self, packer: Packer) -> tuple[int, int]:
        """Offsets of the table of biases and multipliers, and of the shift bytes."""
        table = b"".join(struct.pack("<iI", *pair) for pair in zip(self.biases, self.multipliers, strict=True))
        return packer.put(table), packer.put(bytes(self.shifts), 1)

    @property
    def clamps(self) -> int:
        """Zero point, lowest and highest in one word."""
        return self.zero | self.low << 8 | self.high << 16


@dataclass(frozen=True)
class Window:
    """Where a convolution's windows lie: positions, and the grid of taps in each (bytes between them)."""

    rows: int
    columns: int
    row_step: int
    column_step: int
    taps_y: int
    tap_step_y: int
    taps_x: int
    tap_step_x: int

    @property
    def along_x(self) -> Window:
        """The same with its taps in one row where they are one column: kernels are fastest along a row."""
        if self.taps_x > 1:
            return self
        return replace(self, taps_y=1, tap_step_y=0, taps_x=self.taps_y, tap_step_x=self.tap_step_y)


@dataclass(frozen=True)
class Conv(Step):
    """Dot products of windows with rows of `weights` [channels, depth]; a window is `piece` bytes per tap."""

    target: View
    source: View
    window: Window
    piece: int
    gather: Storage | None
    weights: NDArray[np.uint8]
    weight_zero: int
    out_row_step: int
    out_column_step: int
    requantisation: Requantisation
    kind = "conv"
    code = 0x10

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage
        if self.gather:
            yield self.gather

    @property
    def depth(self) -> int:
        """The window's bytes, padded to a multiple of 4."""
        return int(self.weights.shape[1])

    def overreach(self) -> int:
        if self.gather:
            return self.gather.offset + self.depth
        w = self.window
        return self.source.address + (w.rows - 1) * w.row_step + (w.columns - 1) * w.column_step + self.depth

    @property
    def macs(self) -> int:
        w = self.window
        return w.rows * w.columns * w.taps_y * w.taps_x * self.piece * int(self.weights.shape[0])

    def records(self, packer: Packer) -> list[list[int]]:
        w = self.window
        return [[
            self.source.address, self.target.address, w.rows, w.columns, w.row_step, w.column_step,
            w.taps_y, w.tap_step_y, w.taps_x, w.tap_step_x, self.piece, self.gather.offset if self.gather else 0,
            self.depth, int(self.weights.shape[0]), self.out_row_step, self.out_column_step,
            packer.put(conv_weights(self.weights, packer.packing)), *self.requantisation.put(packer),
            self.weight_zero, self.requantisation.clamps,
        ]]  # fmt: skip

    @property
    def weight_bytes(self) -> int:
        return int(self.weights.size)


@dataclass(frozen=True)
class Depthwise(Step):
    """A sum over taps for each channel; `weights` [blocks of 8 channels, taps, 8]."""

    target: View
    source: View
    window: Window
    channels: int
    scratch: Storage
    weights: NDArray[np.uint8]
    out_row_step: int
    out_column_step: int
    out_channel_step: int
    requantisation: Requantisation
    kind = "depthwise"
    code = 0x11

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage
        yield self.scratch

    def overreach(self) -> int:
        w = self.window
        reach = (w.rows - 1) * w.row_step + (w.columns - 1) * w.column_step
        reach += (w.taps_y - 1) * w.tap_step_y + (w.taps_x - 1) * w.tap_step_x
        return self.source.address + reach + (self.channels + 7) // 8 * 8

    @property
    def macs(self) -> int:
        w = self.window
        return w.rows * w.columns * w.taps_y * w.taps_x * self.channels

    def records(self, packer: Packer) -> list[list[int]]:
        w = self.window.along_x
        return [[
            self.source.address, self.target.address, w.rows, w.columns, w.row_step, w.column_step,
            w.taps_y, w.tap_step_y, w.taps_x, w.tap_step_x, self.channels,
            self.out_row_step, self.out_column_step, self.out_channel_step, self.scratch.offset,
            packer.put(depthwise_weights(self.weights, self.channels, packer.packing)),
            *self.requantisation.put(packer), self.requantisation.clamps,
        ]]  # fmt: skip

    @property
    def weight_bytes(self) -> int:
        return int(self.weights.size)
