"""Sums of products: the constants that such an operation needs, and the steps that multiply and requantise.

int8: the board sums unsigned products of bytes. With x and w held plus 128, and X and W the zero points plus 128,
sum (x-X)(w-W) = sum x*w - W * sum x - X * sum (w-W): the last term joins the bias here, the middle one is one sum per
window on the board. Rows of weights are padded with W, which adds nothing.

int16: likewise, but x plus 32768 is multiplied (X is 32768, the zero point being 0), and sums have 48 bits. TFLite
scales them by a multiplier of 15 bits and rounds once, unless the bias is int32: then as for int8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

from bodydouble.compiler.lower import Lowering
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.quantise import ACTIVATIONS, activation_range, quantize_multiplier
from bodydouble.compiler.steps import Step
from bodydouble.compiler.steps_dot import Conv, Depthwise, Requantisation, Window
from bodydouble.compiler.steps_move import Copy
from bodydouble.compiler.steps_wide import Conv16, Depthwise16, WideRequantisation
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ACTIVATION_TYPES = ("INT8", "INT16")
_INT32_LIMIT = 1 << 31
_LEFT = 32  # a shift byte from here up shifts to the left before the multiplication
_SHIFT_MAX = 30
_WIDE_SHIFT_MAX = 7  # TFLite's own limit for sums of 64 bits
_WIDE_SUM_LIMIT = 1 << 46
_WIDE_RESULT_LIMIT = 1 << 30
_WIDE_OFFSET = 1 << 15
_WIDE_DEPTH_MAX = 32760  # the sum of a window, plus 32768 each, fits 31 bits
_BIAS_SCALE_TOLERANCE = 0.02
_INT32_TYPE = 2  # in the schema
_BIAS_TYPES = {"INT8": ("INT32",), "INT16": ("INT64",)}
_RETRAIN = "retrain with smaller weights and biases"


class _Named(TypedDict):
    operator: int
    tensor: int
    label: str


def read_weights(ctx: Lowering, op: Operator, source: Tensor) -> NDArray[np.int8]:
    """Input 1 in its own shape; int4 ones unpacked. `source`: the operation's activations, which say what may be."""
    import numpy as np  # noqa: PLC0415  -- not needed when the plan is cached

    tensor = ctx.tensor(op, 1)
    ctx.require_type(op, source, *ACTIVATION_TYPES)
    ctx.require_type(op, ctx.output(op), source.type)
    int4 = source.type == "INT8" and op.kind != "TRANSPOSE_CONV"
    ctx.require_type(op, tensor, "INT8", *(("INT4",) if int4 else ()))
    if tensor.data is None:
        ctx.refuse(op, f"has weights '{tensor.name}' that are no constant")
    values = np.frombuffer(tensor.data, np.int8)
    if tensor.type == "INT4":
        if len(values) != (tensor.elements + 1) // 2:
            ctx.refuse(op, f"has {len(values)} bytes of weights '{tensor.name}', shape {list(tensor.shape)}")
        values = np.stack([values << 4 >> 4, values >> 4], 1).ravel()[: tensor.elements]
    return values.reshape(tensor.shape)


def _read_biases(
    ctx: Lowering, op: Operator, channels: int, position: int, types: tuple[str, ...]
) -> tuple[int, ...]:
    if len(op.inputs) <= position or op.inputs[position] < 0:
        return (0,) * channels
    tensor = ctx.tensor(op, position)
    ctx.require_type(op, tensor, *types)
    if tensor.data is None:
        ctx.refuse(op, f"has biases '{tensor.name}' that are no constant")
    values = [
        int.from_bytes(tensor.data[i : i + tensor.item], "little", signed=True)
        for i in range(0, len(tensor.data), tensor.item)
    ]
    if len(values) != channels:
        ctx.refuse(op, f"has {len(values)} biases for {channels} channels")
    return tuple(values)


def _read_scales(ctx: Lowering, op: Operator, channels: int) -> tuple[tuple[float, ...], int]:
    # The weights' scales, one or one per channel, and their zero point.
    tensor = ctx.tensor(op, 1)
    q = tensor.quantisation
    if q is None or len(q.scales) not in (1, channels) or len(q.zero_points) != len(q.scales):
        ctx.refuse(op, f"needs a scale, or one per channel, on weights '{tensor.name}'")
    per_channel = len(q.scales) > 1
    if per_channel and not (0 <= q.dimension < len(tensor.shape) and tensor.shape[q.dimension] == channels):
        ctx.refuse(op, f"has weights '{tensor.name}' quantised along dimension {q.dimension}")
    if per_channel and tensor.type == "INT4" and op.kind == "FULLY_CONNECTED":
        ctx.refuse(op, f"has INT4 weights '{tensor.name}' with a scale per channel")
    zero = q.zero_points[0]
    if any(point != zero for point in q.zero_points) or not -128 <= zero <= 127:
        ctx.refuse(op, f"has weights '{tensor.name}' with zero points that differ or are no int8")
    if zero and (op.kind != "FULLY_CONNECTED" or per_channel):
        ctx.refuse(op, f"has weights '{tensor.name}' with the zero point {zero}, not 0")
    return q.scales, zero


def _read_factors(
    ctx: Lowering, op: Operator, source: Tensor, scales: tuple[float, ...], channels: int, bias: int
) -> tuple[tuple[int, int], ...]:
    # Each channel's multiplier and shift.
    x_scale, out_scale = ctx.quantisation(op, source).scale, ctx.quantisation(op, ctx.output(op)).scale
    if op.kind == "FULLY_CONNECTED" and len(scales) == 1 and len(op.inputs) > bias and op.inputs[bias] >= 0:
        q = ctx.tensor(op, bias).quantisation
        if abs(x_scale * scales[0] - (q.scale if q else 0.0)) / out_scale > _BIAS_SCALE_TOLERANCE:
            ctx.refuse(op, f"has biases '{ctx.tensor(op, bias).name}' whose scale is not input times weights")
    factors = tuple(quantize_multiplier(x_scale * scale / out_scale) for scale in scales)
    return factors if len(factors) == channels else factors * channels


def _joined(window: Window, piece: int, item: int) -> tuple[Window, int]:
    # Taps that lie side by side become one piece.
    taps_y, taps_x = window.taps_y, window.taps_x
    if taps_x == 1 or window.tap_step_x == piece * item:
        piece, taps_x = piece * taps_x, 1
        if taps_y == 1 or window.tap_step_y == piece * item:
            piece, taps_y = piece * taps_y, 1
    return replace(window, taps_y=taps_y, taps_x=taps_x), piece


def _rows(weights: NDArray[np.int8], multiple: int, fill: int) -> NDArray[np.uint8]:
    # [channels, window] plus 128, rows filled up to a multiple.
    import numpy as np  # noqa: PLC0415

    channels, depth = weights.shape
    rows = np.full((channels, -(-depth // multiple) * multiple), fill, np.uint8)
    rows[:, :depth] = (weights.astype(np.int16) + 128).astype(np.uint8)
    return rows


Place = tuple[View, View]
"""Where windows are read, and where their sums are written once requantised; often a pair for each batch."""


@dataclass(frozen=True)
class Products:
    """An operation's constants by output channel, and where its steps go. `twice`: int16 with sums of 32 bits."""

    ctx: Lowering
    op: Operator
    source: Tensor
    twice: bool
    weight_zero: int
    biases: tuple[int, ...]
    factors: tuple[tuple[int, int], ...]
    low: int
    high: int

    @property
    def wide(self) -> bool:
        """True where activations are int16."""
        return self.source.type == "INT16"

    def conv(
        self, places: Sequence[Place], window: Window, piece: int, weights: NDArray[np.int8], channels: slice
    ) -> None:
        """Multiply windows by `weights` [channels, taps_y * taps_x * piece], `piece` elements lying in a row.

        `places`: rows, columns and channels are the last three dimensions, channels one after the other.
        """
        window, piece = _joined(window, piece, self.source.item)
        name, zero = self.ctx.output(self.op).name, self.weight_zero + 128
        if self.wide:
            rows = _rows(weights, 8, 128)
            depth = int(rows.shape[1])
            if depth > _WIDE_DEPTH_MAX:
                self.ctx.refuse(self.op, f"has windows of {depth} int16, at most {_WIDE_DEPTH_MAX} run")
            wide = self._wide(weights, channels)
            for source, target in places:
                gather, sums = Storage(f"{name} (window)", 2 * depth), Storage(f"{name} (sums)", 8 * len(rows))
                steps = (target.strides[-3], target.strides[-2])
                self.ctx.emit(
                    Conv16(target, source, window, piece, gather, sums, rows, zero, *steps, wide, **self._named)
                )
            return
        rows = _rows(weights, 4, zero)
        depth = int(rows.shape[1])
        narrow = self._narrow(weights, channels)
        for source, target in places:
            if window.taps_y * window.taps_x > 1:
                view, scratch = source, Storage(f"{name} (window)", depth)
            else:
                view, scratch = self._undisturbed(source, target, window, piece, depth), None
            steps = (target.strides[-3], target.strides[-2])
            self.ctx.emit(Conv(target, view, window, piece, scratch, rows, zero, *steps, narrow, **self._named))

    def depthwise(self, places: Sequence[Place], window: Window, inputs: int, weights: NDArray[np.int8]) -> None:
        """Multiply each of `inputs` channels by its rows of `weights` [channels, taps]: a step per output of each."""
        import numpy as np  # noqa: PLC0415

        channels, taps = weights.shape
        every = channels // inputs
        name = f"{self.ctx.output(self.op).name} (sums)"
        for first in range(every):
            mine, part = weights[first::every], slice(first, None, every)
            blocks = np.full(((inputs + 7) // 8 * 8, taps), 128, np.uint8)
            blocks[:inputs] = (mine.astype(np.int16) + 128).astype(np.uint8)
            packed = np.ascontiguousarray(blocks.reshape(-1, 8, taps).transpose(0, 2, 1))
            wide = self._wide(mine, part, 32) if self.wide else None
            narrow = None if self.wide else self._narrow(mine, part)
            for source, target in places:
                outs = replace(target, offset=target.offset + first * target.item)
                steps = (target.strides[-3], target.strides[-2], every * target.item)
                step: Step
                if wide:
                    sums = Storage(name, 8 * len(blocks))
                    step = Depthwise16(outs, source, window, inputs, sums, packed, *steps, wide, **self._named)
                if narrow:
                    sums = Storage(name, 32)
                    step = Depthwise(outs, source, window, inputs, sums, packed, *steps, narrow, **self._named)
                self.ctx.emit(step)

    @property
    def _named(self) -> _Named:
        return {"operator": self.op.index, "tensor": self.op.outputs[0], "label": self.op.kind.lower()}

    def _undisturbed(self, source: View, target: View, window: Window, piece: int, depth: int) -> View:
        # `source` where nothing is written while windows are read, what is read behind them included.
        reach = (window.rows - 1) * window.row_step + (window.columns - 1) * window.column_step + depth
        if depth > piece and source.storage is target.storage:
            apart = View(Storage(f"{self.source.name} (apart)", reach), 0, source.shape, source.strides)
            self.ctx.emit(Copy(apart, source, operator=self.op.index, label="pack"))
            source = apart
        source.storage.size = max(source.storage.size, source.offset + reach)
        return source

    def _sums(
        self, weights: NDArray[np.int8], channels: slice, lowest: int, highest: int
    ) -> list[tuple[int, int, int, int, int]]:
        # By channel: bias, the weights' sum, the largest size of a sum (while it grows, too), multiplier, shift.
        import numpy as np  # noqa: PLC0415

        whole = weights.astype(np.int64) - self.weight_zero
        up, down = np.maximum(whole, 0).sum(1), np.minimum(whole, 0).sum(1)
        found = []
        for positive, negative, bias, factor in zip(
            up.tolist(), down.tolist(), self.biases[channels], self.factors[channels], strict=True
        ):
            least, most = positive * lowest + negative * highest, positive * highest + negative * lowest
            largest = max(-least, most, abs(least + bias), abs(most + bias))
            found.append((bias, positive + negative, largest, *factor))
        return found

    def _refuse_sum(self, bits: int) -> None:
        self.ctx.refuse(self.op, f"has sums that do not fit {bits} bits", _RETRAIN)

    def _narrow(self, weights: NDArray[np.int8], channels: slice) -> Requantisation:
        zero = self.ctx.quantisation(self.op, self.source).zero_point
        folded, multipliers, shifts = [], [], []
        for bias, total, largest, multiplier, shift in self._sums(weights, channels, -128 - zero, 127 - zero):
            folded.append(bias - (zero + 128) * total)
            if shift > _SHIFT_MAX or largest << max(shift, 0) >= _INT32_LIMIT or abs(folded[-1]) >= _INT32_LIMIT:
                self._refuse_sum(32)
            multipliers.append(multiplier)
            shifts.append(_LEFT + shift if shift > 0 else -shift)
        out_zero = self.ctx.quantisation(self.op, self.ctx.output(self.op)).zero_point
        return Requantisation(
            tuple(folded), tuple(multipliers), tuple(shifts), out_zero + 128, self.low + 128, self.high + 128
        )

    def _wide(self, weights: NDArray[np.int8], channels: slice, kernel_bits: int = 48) -> WideRequantisation:
        # `kernel_bits`: what a sum may take on the board before its bias is added, each x being 32768 larger.
        import numpy as np  # noqa: PLC0415

        magnitude = int(np.abs(weights.astype(np.int64) - self.weight_zero).sum(1).max())
        if magnitude * (2 * _WIDE_OFFSET - 1) >= 1 << (kernel_bits - 1):
            self._refuse_sum(kernel_bits)
        folded, multipliers, shifts = [], [], []
        for bias, total, largest, multiplier, shift in self._sums(weights, channels, -_WIDE_OFFSET, _WIDE_OFFSET - 1):
            folded.append(bias - _WIDE_OFFSET * total)
            if self.twice:
                if shift > _SHIFT_MAX or largest << max(shift, 0) >= _INT32_LIMIT:
                    self._refuse_sum(32)
                multipliers.append(multiplier)
                shifts.append(_LEFT + shift if shift > 0 else -shift)
                continue
            if shift > _WIDE_SHIFT_MAX or largest >= _WIDE_SUM_LIMIT:
                self._refuse_sum(47)
            reduced = min((multiplier + (1 << 15)) >> 16, 0x7FFF)
            if largest * reduced >> (15 - shift) >= _WIDE_RESULT_LIMIT:
                self.ctx.refuse(self.op, "has results that do not fit 31 bits before they are clamped", _RETRAIN)
            multipliers.append(reduced)
            shifts.append(14 - shift)
        return WideRequantisation(tuple(folded), tuple(multipliers), tuple(shifts), self.twice, self.low, self.high)


def read_products(
    ctx: Lowering, op: Operator, source: Tensor, channels: int, bias: int = 2, bias_types: tuple[str, ...] = ()
) -> Products:
    """The constants of `op`, which has `channels` outputs; `bias`: the input that holds its biases, if any.

    `bias_types`: what the biases of int16 activations may be beside int64.
    """
    scales, zero = _read_scales(ctx, op, channels)
    out = ctx.output(op)
    x, q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    wide = source.type == "INT16"
    if wide and (x.zero_point or q.zero_point):
        ctx.refuse(op, f"has int16 zero points {x.zero_point} and {q.zero_point}, not 0")
    activation = op.options["FusedActivationFunction"]
    if activation not in ACTIVATIONS:
        ctx.refuse(op, f"has the fused activation {activation}")
    if activation > 1 and 6 / q.scale >= _INT32_LIMIT:
        ctx.refuse(op, f"has an output of scale {q.scale:g}")
    biases = _read_biases(ctx, op, channels, bias, _BIAS_TYPES[source.type] + (bias_types if wide else ()))
    given = len(op.inputs) > bias and op.inputs[bias] >= 0
    # Where there is no bias, the operation says of which type it would be.
    int32 = ctx.tensor(op, bias).type == "INT32" if given else op.options.get("QuantizedBiasType") == _INT32_TYPE
    factors = _read_factors(ctx, op, source, scales, channels, bias)
    lowest, highest = (-32768, 32767) if wide else (-128, 127)
    low, high = activation_range(activation, q.scale, q.zero_point, lowest, highest)
    return Products(ctx, op, source, int32, zero, biases, factors, low, high)
