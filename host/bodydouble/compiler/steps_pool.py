"""Steps of family 5: windows of images become their mean or largest value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    from bodydouble.compiler.pack import Packer

CHANNELS_AT_ONCE = 8


@dataclass(frozen=True)
class Pool(Step):
    """Windows of `filters` (y, x) over [batch, height, width, channels], the first one `pads` before its start.

    What of them lies inside becomes its largest value or its mean, rounded; then this is clamped. Clamps are counted
    from the type's lowest value. `scratch`: for bytes.
    """

    target: View
    source: View
    largest: bool
    strides: tuple[int, int]
    pads: tuple[int, int]
    filters: tuple[int, int]
    low: int
    high: int
    scratch: Storage | None
    kind = "pool"

    @property
    def code(self) -> int:  # type: ignore[override]
        """By the elements' width, and for bytes by what becomes of them."""
        return 0x52 if self.source.item == 2 else 0x51 if self.largest else 0x50

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage
        if self.scratch:
            yield self.scratch

    @property
    def count(self) -> int:
        return self.source.shape[0]

    def overreach(self) -> int:
        channels = self.source.shape[3]
        padded = -(-channels // CHANNELS_AT_ONCE) * CHANNELS_AT_ONCE * self.source.item
        reach = sum((n - 1) * step for n, step in zip(self.source.shape[:3], self.source.strides[:3], strict=True))
        return self.source.address + reach + padded

    def records(self, packer: Packer) -> list[list[int]]:  # noqa: ARG002
        batches, height, width, channels = self.source.shape
        _, rows, columns, _ = self.target.shape
        _, row_step, column_step, _ = self.source.strides
        return [
            [
                self.source.address + batch * self.source.strides[0],
                self.target.address + batch * self.target.strides[0],
                rows, columns, *self.strides, *self.pads, *self.filters, height, width,
                # A step that is never taken could be larger than a word.
                row_step if height > 1 else 0, column_step if width > 1 else 0,
                channels, self.low, self.high, self.scratch.offset if self.scratch else int(self.largest),
            ]
            for batch in range(batches)
        ]  # fmt: skip
