"""Operations that multiply and accumulate: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED.

The board sums unsigned products of bytes. With x and w held plus 128, and X and W the zero points plus 128,
sum (x-X)(w-W) = sum x*w - W * sum x - X * sum (w-W): the last term joins the bias here, the middle one is one sum per
window on the board. Rows of weights are padded with W, which adds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator
from bodydouble.compiler.quantise import ACTIVATIONS, activation_range, float32, quantize_multiplier
from bodydouble.compiler.steps_dot import Conv, Depthwise, Requantisation, Window
from bodydouble.compiler.steps_move import Copy, Fill
from bodydouble.compiler.views import Storage, View, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAME, _VALID = 0, 1
_INT32_LIMIT = 1 << 31
_LEFT = 32  # a shift byte from here up shifts to the left before the multiplication
STRIDE_MAX = 1 << 12


def _weights(ctx: Lowering, op: Operator) -> NDArray[np.int8]:
    import numpy as np  # noqa: PLC0415  -- not needed when the plan is cached

    tensor = ctx.tensor(op, 1)
    ctx.require_type(op, ctx.tensor(op, 0), "INT8")
    ctx.require_type(op, ctx.output(op), "INT8")
    ctx.require_type(op, tensor, "INT8")
    if tensor.data is None:
        ctx.refuse(op, f"has weights '{tensor.name}' that are no constant")
    return np.frombuffer(tensor.data, np.int8).reshape(tensor.shape)


def _biases(ctx: Lowering, op: Operator, channels: int) -> list[int]:
    if len(op.inputs) < 3 or op.inputs[2] < 0:
        return [0] * channels
    tensor = ctx.tensor(op, 2)
    ctx.require_type(op, tensor, "INT32")
    values = ctx.integers(op, 2)
    if len(values) != channels:
        ctx.refuse(op, f"has {len(values)} biases for {channels} channels")
    return values


def _scales(ctx: Lowering, op: Operator, channels: int) -> tuple[tuple[float, ...], int]:
    # The weights' scales, one or one per channel, and their zero point.
    tensor = ctx.tensor(op, 1)
    q = tensor.quantisation
    if q is None or len(q.scales) not in (1, channels) or len(q.zero_points) != len(q.scales):
        ctx.refuse(op, f"needs a scale, or one per channel, on weights '{tensor.name}'")
    zero = q.zero_points[0]
    if any(point != zero for point in q.zero_points) or not -128 <= zero <= 127:
        ctx.refuse(op, f"has weights '{tensor.name}' with zero points that differ or are no int8")
    if zero and (op.kind != "FULLY_CONNECTED" or len(q.scales) > 1):
        ctx.refuse(op, f"has weights '{tensor.name}' with the zero point {zero}, not 0")
    return q.scales, zero


def _requantisation(
    ctx: Lowering, op: Operator, weights: NDArray[np.int64], biases: list[int], scales: tuple[float, ...]
) -> Requantisation:
    """`weights` [channels, window], their zero point taken off."""
    x, out = ctx.quantisation(op, ctx.tensor(op, 0)), ctx.quantisation(op, ctx.output(op))
    activation = op.options["FusedActivationFunction"]
    if activation not in ACTIVATIONS:
        ctx.refuse(op, f"has the fused activation {activation}")
    whole_tensor = op.kind == "FULLY_CONNECTED" and len(scales) == 1
    x_zero = x.zero_point + 128
    widest = max(x_zero, 255 - x_zero)
    folded, multipliers, shifts = [], [], []
    for channel, bias in enumerate(biases):
        scale = scales[channel % len(scales)]
        # TFLite multiplies a dense layer's scales as float32, a convolution's as doubles.
        product = float32(x.scale * scale) if whole_tensor else x.scale * scale
        multiplier, shift = quantize_multiplier(product / out.scale)
        total = int(abs(weights[channel]).sum())
        worst = (total * widest + abs(bias)) << max(shift, 0)
        folded_bias = bias - x_zero * int(weights[channel].sum())
        if worst >= _INT32_LIMIT or abs(folded_bias) >= _INT32_LIMIT:
            ctx.refuse(op, f"has sums in channel {channel} that do not fit 32 bits", "retrain with smaller biases")
        folded.append(folded_bias)
        multipliers.append(multiplier)
        shifts.append(_LEFT + shift if shift > 0 else -shift)
    low, high = activation_range(activation, out.scale, out.zero_point, -128, 127)
    return Requantisation(
        tuple(folded), tuple(multipliers), tuple(shifts), out.zero_point + 128, low + 128, high + 128
    )


def _rows(weights: NDArray[np.int8], zero: int) -> NDArray[np.uint8]:
    # [channels, window] as unsigned bytes, rows padded to a multiple of 4.
    import numpy as np  # noqa: PLC0415

    channels, depth = weights.shape
    rows = np.full((channels, (depth + 3) // 4 * 4), zero + 128, np.uint8)
    rows[:, :depth] = (weights.astype(np.int16) + 128).astype(np.uint8)
    return rows


def _pad(ctx: Lowering, op: Operator, view: View, pads: tuple[tuple[int, int], tuple[int, int]]) -> View:
    # A copy with a border of the zero point: what lies outside then adds nothing.
    (top, bottom), (left, right) = pads
    if not (top or bottom or left or right):
        return view
    _, height, width, channels = view.shape
    shape = (1, height + top + bottom, width + left + right, channels)
    name = f"{ctx.tensor(op, 0).name} (padded)"
    storage = Storage(name, shape[1] * shape[2] * channels)
    padded = whole(storage, shape)
    zero = ctx.quantisation(op, ctx.tensor(op, 0)).zero_point + 128
    ctx.emit(Fill(storage, 0, storage.size, zero, operator=op.index, label="pad"))
    inside = View(storage, top * padded.strides[1] + left * padded.strides[2], view.shape, padded.strides)
    ctx.emit(Copy(inside, view, operator=op.index, label="pad"))
    return padded


def _window(ctx: Lowering, op: Operator, kernel: tuple[int, int], out_shape: tuple[int, ...]) -> tuple[View, Window]:
    """The input, padded where the operation says SAME, and where its windows lie."""
    options = op.options
    view = ctx.view(op, 0)
    if len(view.shape) != 4 or view.shape[0] != 1 or len(out_shape) != 4 or out_shape[0] != 1:
        ctx.refuse(op, f"takes shape {list(view.shape)} to {list(out_shape)}; only batch 1 of 4 dimensions runs")
    if view.strides[3] != 1 and view.shape[3] != 1:
        view = ctx.dense(op, 0)
    steps = (options["StrideH"], options["StrideW"])
    dilations = (options["DilationHFactor"], options["DilationWFactor"])
    if any(not 1 <= n <= STRIDE_MAX for n in steps + dilations):
        ctx.refuse(op, f"has strides {steps} and dilations {dilations}")
    if options["Padding"] not in (_SAME, _VALID):
        ctx.refuse(op, f"has the padding {options['Padding']}")
    pads = []
    for i in (0, 1):
        size, step, reach = view.shape[1 + i], steps[i], (kernel[i] - 1) * dilations[i] + 1
        count = -(-size // step) if options["Padding"] == _SAME else (size - reach) // step + 1
        if count != out_shape[1 + i] or count < 1:
            ctx.refuse(op, f"gives {max(count, 0)} rows in dimension {1 + i}, its output says {out_shape[1 + i]}")
        total = max((count - 1) * step + reach - size, 0) if options["Padding"] == _SAME else 0
        if total > kernel[i] * dilations[i]:
            ctx.refuse(op, f"pads by {total} rows")
        pads.append((total // 2, total - total // 2))
    view = _pad(ctx, op, view, (pads[0], pads[1]))
    _, row, column, _ = view.strides
    counts = (out_shape[1], out_shape[2], *kernel)
    between = (steps[0] * row, steps[1] * column, dilations[0] * row, dilations[1] * column)
    # A step that is never taken is 0: it could be larger than a word.
    step_y, step_x, tap_y, tap_x = (step if count > 1 else 0 for step, count in zip(between, counts, strict=True))
    return view, Window(out_shape[1], out_shape[2], step_y, step_x, kernel[0], tap_y, kernel[1], tap_x)


def _emit_conv(
    ctx: Lowering,
    op: Operator,
    source: View,
    window: Window,
    depth: int,
    weights: NDArray[np.int8],
    zero: int,
    target: View,
    out_steps: tuple[int, int],
    requantisation: Requantisation,
) -> None:
    """`weights` [channels, taps_y * taps_x * depth]; taps that lie side by side become one piece."""
    rows = _rows(weights, zero)
    piece, taps_y, taps_x = depth, window.taps_y, window.taps_x
    if taps_x == 1 or window.tap_step_x == piece:
        piece, taps_x = piece * taps_x, 1
        if taps_y == 1 or window.tap_step_y == piece:
            piece, taps_y = piece * taps_y, 1
    gather = None
    if taps_y * taps_x > 1:
        gather = Storage(f"{ctx.output(op).name} (window)", int(rows.shape[1]))
    else:
        taps_y = taps_x = 1
        reach = (window.rows - 1) * window.row_step + (window.columns - 1) * window.column_step + rows.shape[1]
        source = _undisturbed(ctx, op, source, target, int(reach), padded=rows.shape[1] > piece)
    merged = Window(
        window.rows, window.columns, window.row_step, window.column_step,
        taps_y, window.tap_step_y, taps_x, window.tap_step_x,
    )  # fmt: skip
    out = ctx.output(op)
    ctx.emit(
        Conv(
            target, source, merged, piece, gather, rows, zero + 128, *out_steps, requantisation,
            operator=op.index, tensor=out.index, label=op.kind.lower(),
        )
    )  # fmt: skip
    ctx.define(out, target)


def _undisturbed(ctx: Lowering, op: Operator, source: View, target: View, reach: int, padded: bool) -> View:
    """`source` where nothing is written while windows are read, `reach` bytes from its start: padding counts too."""
    if padded and source.storage is target.storage:
        apart = View(Storage(f"{ctx.tensor(op, 0).name} (apart)", reach), 0, source.shape, source.strides)
        ctx.emit(Copy(apart, source, operator=op.index, label="pack"))
        source = apart
    source.storage.size = max(source.storage.size, source.offset + reach)
    return source


def conv_2d(ctx: Lowering, op: Operator) -> None:
    """int8 convolution, weights per channel or per tensor."""
    import numpy as np  # noqa: PLC0415

    weights, out = _weights(ctx, op), ctx.output(op)
    if weights.ndim != 4 or len(out.shape) != 4 or weights.shape[0] != out.shape[3]:
        ctx.refuse(op, f"has weights of shape {list(weights.shape)} for an output of shape {list(out.shape)}")
    channels, height, width, depth = weights.shape
    if len(ctx.tensor(op, 0).shape) != 4 or ctx.tensor(op, 0).shape[3] != depth:
        ctx.refuse(op, f"has weights for {depth} channels, its input is {list(ctx.tensor(op, 0).shape)}")
    scales, zero = _scales(ctx, op, channels)
    view, window = _window(ctx, op, (height, width), out.shape)
    flat = weights.reshape(channels, -1)
    requantisation = _requantisation(ctx, op, flat.astype(np.int64), _biases(ctx, op, channels), scales)
    target = ctx.place(out)
    out_steps = (target.strides[1], target.strides[2])
    _emit_conv(ctx, op, view, window, depth, flat, zero, target, out_steps, requantisation)


def depthwise_conv_2d(ctx: Lowering, op: Operator) -> None:
    """int8 depthwise convolution; a step per output of each input channel, or a convolution of a single one."""
    import numpy as np  # noqa: PLC0415

    weights, out = _weights(ctx, op), ctx.output(op)
    source = ctx.tensor(op, 0)
    if weights.ndim != 4 or len(out.shape) != 4 or len(source.shape) != 4 or weights.shape[0] != 1:
        ctx.refuse(op, f"has weights of shape {list(weights.shape)} for an output of shape {list(out.shape)}")
    _, height, width, channels = weights.shape
    inputs = source.shape[3]
    if channels != out.shape[3] or channels % inputs or channels // inputs != op.options["DepthMultiplier"]:
        ctx.refuse(op, f"makes {channels} channels of {inputs}, times {op.options['DepthMultiplier']}")
    scales, zero = _scales(ctx, op, channels)
    view, window = _window(ctx, op, (height, width), out.shape)
    flat = np.ascontiguousarray(weights.reshape(height * width, channels).T)
    rq = _requantisation(ctx, op, flat.astype(np.int64), _biases(ctx, op, channels), scales)
    target = ctx.place(out)
    out_steps = (target.strides[1], target.strides[2])
    if inputs == 1:
        _emit_conv(ctx, op, view, window, 1, flat, zero, target, out_steps, rq)
        return
    every = channels // inputs
    for first in range(every):
        mine = flat[first::every]
        blocks = np.full(((inputs + 7) // 8, 8, height * width), 128, np.uint8)
        blocks.reshape(-1, height * width)[:inputs] = (mine.astype(np.int16) + 128).astype(np.uint8)
        ctx.emit(
            Depthwise(
                View(target.storage, target.offset + first, target.shape, target.strides),
                view,
                window,
                inputs,
                Storage(f"{out.name} (sums)", 32),
                np.ascontiguousarray(blocks.transpose(0, 2, 1)),
                *out_steps,
                every,
                Requantisation(
                    rq.biases[first::every], rq.multipliers[first::every], rq.shifts[first::every],
                    rq.zero, rq.low, rq.high,
                ),
                operator=op.index,
                tensor=out.index,
                label=op.kind.lower(),
            )
        )  # fmt: skip
    ctx.define(out, target)


def fully_connected(ctx: Lowering, op: Operator) -> None:
    """A dense layer: a convolution of one row, a column per batch."""
    import numpy as np  # noqa: PLC0415

    weights, out, source = _weights(ctx, op), ctx.output(op), ctx.tensor(op, 0)
    if op.options["WeightsFormat"]:
        ctx.refuse(op, "has shuffled weights")
    if weights.ndim != 2:
        ctx.refuse(op, f"has weights of shape {list(weights.shape)}")
    channels, depth = weights.shape
    if source.elements % depth or out.elements != source.elements // depth * channels:
        ctx.refuse(op, f"takes {source.elements} elements by {list(weights.shape)} to {out.elements}")
    scales, zero = _scales(ctx, op, channels)
    requantisation = _requantisation(ctx, op, weights.astype(np.int64) - zero, _biases(ctx, op, channels), scales)
    window = Window(1, source.elements // depth, 0, depth, 1, 0, 1, 0)
    view = ctx.dense(op, 0)
    _emit_conv(ctx, op, view, window, depth, weights, zero, ctx.place(out), (0, channels), requantisation)


RULES = {
    "CONV_2D": Rule(conv_2d, (2, 3), places=True),
    "DEPTHWISE_CONV_2D": Rule(depthwise_conv_2d, (2, 3), places=True),
    "FULLY_CONNECTED": Rule(fully_connected, (2, 3), places=True),
}
