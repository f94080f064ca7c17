"""What the board will do, before addresses are known: storage, views of it, and steps that read and write views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(eq=False)
class Storage:
    """A stretch of the arena. `persistent` ones survive an inference; `offset` is set by the planner."""

    name: str
    size: int
    persistent: bool = False
    offset: int = -1


@dataclass(frozen=True)
class View:
    """A tensor's place: byte offset in a storage, and byte strides. Elements are single bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def contiguous(self) -> bool:
        """True when the elements follow one another in order."""
        return self.strides == dense_strides(self.shape) or all(
            size == 1 or stride == dense
            for size, stride, dense in zip(self.shape, self.strides, dense_strides(self.shape), strict=True)
        )

    @property
    def size(self) -> int:
        """How many elements it has."""
        total = 1
        for count in self.shape:
            total *= count
        return total

    @property
    def address(self) -> int:
        """Where it starts in the arena, once planned."""
        return self.storage.offset + self.offset

    def reshaped(self, shape: tuple[int, ...]) -> View:
        """The same bytes in another shape; only of a contiguous view."""
        return View(self.storage, self.offset, shape, dense_strides(shape))


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Byte strides of a tensor stored without gaps."""
    strides: list[int] = []
    step = 1
    for count in reversed(shape):
        strides.append(step)
        step *= count
    return tuple(reversed(strides))


def whole(storage: Storage, shape: tuple[int, ...]) -> View:
    """A view of all of a storage."""
    return View(storage, 0, shape, dense_strides(shape))


@dataclass(frozen=True)
class Requantisation:
    """How sums become bytes: per channel a bias, multiplier and shift byte; then zero point and clamps (plus 128)."""

    biases: tuple[int, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    zero: int
    low: int
    high: int


@dataclass(frozen=True)
class Step:
    """One record of the plan. `operator` and `tensor` say which operation and tensor of the model it serves."""

    operator: int = field(kw_only=True, default=-1)
    tensor: int = field(kw_only=True, default=-1)
    label: str = field(kw_only=True, default="")

    kind = ""

    def storages(self) -> Iterator[Storage]:
        """Every storage that it reads, writes or uses as scratch."""
        return iter(())

    def overreach(self) -> int:
        """The arena must reach at least here: kernels read some bytes past the end of a row."""
        return 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates, as the model counts them."""
        return 0


@dataclass(frozen=True)
class Copy(Step):
    """Copies `source` to `target` (same shape), each byte XORed with `flip`."""

    target: View
    source: View
    flip: int = 0
    kind = "copy"

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage


@dataclass(frozen=True)
class Shift(Step):
    """Moves rows of streaming buffers: (storage, to, from, bytes) each."""

    moves: tuple[tuple[Storage, int, int, int], ...]
    kind = "shift"

    def storages(self) -> Iterator[Storage]:
        for storage, _, _, _ in self.moves:
            yield storage


@dataclass(frozen=True)
class Fill(Step):
    """Sets `size` bytes of a storage to one value."""

    storage: Storage
    offset: int
    size: int
    value: int
    kind = "fill"

    def storages(self) -> Iterator[Storage]:
        yield self.storage


@dataclass(frozen=True)
class Constant(Step):
    """Copies bytes of the plan into a storage."""

    storage: Storage
    offset: int
    data: bytes
    kind = "constant"

    def storages(self) -> Iterator[Storage]:
        yield self.storage


@dataclass(frozen=True)
class Lookup(Step):
    """Maps every byte through a table of 256."""

    target: View
    source: View
    table: bytes
    kind = "lookup"

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage


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


@dataclass(frozen=True)
class Port:
    """An input or output of the model: where it lies, and what its bytes mean."""

    view: View
    type: str
    scale: float
    zero_point: int


@dataclass
class Program:
    """A lowered model."""

    setup: list[Step]
    steps: list[Step]
    inputs: list[Port]
    outputs: list[Port]
    # Where each tensor of the model can be found, and after which step: for looking at what lies between.
    places: dict[int, tuple[int, View, str]]
