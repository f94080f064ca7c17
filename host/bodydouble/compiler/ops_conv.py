"""Operations that multiply and accumulate: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, in int8 and int16."""

from __future__ import annotations

from dataclasses import dataclass

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.products import ACTIVATION_TYPES, Place, read_products, read_weights
from bodydouble.compiler.steps_dot import Window
from bodydouble.compiler.steps_move import Copy, Fill
from bodydouble.compiler.views import Storage, View, whole

SAME, VALID = 0, 1
STRIDE_MAX = 1 << 12
BATCH_MAX = 64


@dataclass(frozen=True)
class Axis:
    """Where windows lie along rows or columns: how many, how far apart, their taps, and how far apart those are."""

    count: int
    step: int
    taps: int
    dilation: int = 1

    def bytes_between(self, stride: int) -> tuple[int, int]:
        """Bytes from a window to the next, and from a tap to the next; 0 where none follows."""
        return (
            self.step * stride if self.count > 1 else 0,
            self.dilation * stride if self.taps > 1 else 0,
        )


def make_window(view: View, rows: Axis, columns: Axis) -> Window:
    """The windows of `view`, whose last three dimensions are rows, columns and channels."""
    row_step, tap_step_y = rows.bytes_between(view.strides[-3])
    column_step, tap_step_x = columns.bytes_between(view.strides[-2])
    return Window(
        rows.count, columns.count, row_step, column_step, rows.taps, tap_step_y, columns.taps, tap_step_x
    )  # fmt: skip


def image(ctx: Lowering, op: Operator, position: int, out: Tensor) -> View:
    """An input of [batch, rows, columns, channels], channels one after the other; its batch is the output's."""
    source = ctx.tensor(op, position)
    if len(source.shape) != 4 or len(out.shape) != 4 or not 1 <= source.shape[0] == out.shape[0] <= BATCH_MAX:
        ctx.refuse(
            op,
            f"takes shape {list(source.shape)} to {list(out.shape)}; only one batch of at most {BATCH_MAX} "
            "in 4 dimensions runs",
        )
    view = ctx.view(op, position, ACTIVATION_TYPES)
    if min(view.strides) < 0 or (view.shape[3] > 1 and view.strides[3] != view.item):
        return ctx.dense(op, position, ACTIVATION_TYPES)
    return view


def pad(ctx: Lowering, op: Operator, source: Tensor, view: View, pads: tuple[tuple[int, int], ...]) -> View:
    """A copy with a border of the zero point, by rows and columns: what lies outside then adds nothing."""
    (top, bottom), (left, right) = pads
    if not (top or bottom or left or right):
        return view
    batch, height, width, channels = view.shape
    shape = (batch, height + top + bottom, width + left + right, channels)
    storage = Storage(f"{source.name} (padded)", shape[0] * shape[1] * shape[2] * channels * view.item)
    padded = whole(storage, shape, view.item)
    zero = ctx.quantisation(op, source).zero_point + 128 if source.type == "INT8" else 0
    ctx.emit(Fill(storage, 0, storage.size, zero, operator=op.index, label="pad"))
    inside = padded.cut(1, top, height).cut(2, left, width)
    ctx.emit(Copy(inside, view, operator=op.index, label="pad"))
    return padded


def batches(view: View, target: View) -> list[Place]:
    """Each batch of the input with the output's."""
    return [(view.cut(0, batch, 1), target.cut(0, batch, 1)) for batch in range(target.shape[0])]


def _windows(ctx: Lowering, op: Operator, kernel: tuple[int, int], out: Tensor) -> tuple[View, Window]:
    """The input, padded where the operation says SAME, and where the windows of each of its batches lie."""
    options = op.options
    view = image(ctx, op, 0, out)
    if options["Padding"] not in (SAME, VALID):
        ctx.refuse(op, f"has the padding {options['Padding']}")
    axes, pads = [], []
    for i, name in ((1, "H"), (2, "W")):
        size, taps = view.shape[i], kernel[i - 1]
        step, dilation = options[f"Stride{name}"], options[f"Dilation{name}Factor"]
        if not 1 <= step <= STRIDE_MAX or not 1 <= dilation <= STRIDE_MAX:
            ctx.refuse(op, f"has strides of {step} and dilations of {dilation}")
        reach = (taps - 1) * dilation + 1
        count = -(-size // step) if options["Padding"] == SAME else (size - reach) // step + 1
        if count != out.shape[i] or count < 1:
            ctx.refuse(op, f"gives {max(count, 0)} rows in dimension {i}, its output says {out.shape[i]}")
        total = max((count - 1) * step + reach - size, 0) if options["Padding"] == SAME else 0
        axes.append(Axis(count, step, taps, dilation))
        pads.append((total // 2, total - total // 2))
    view = pad(ctx, op, ctx.tensor(op, 0), view, tuple(pads))
    return view, make_window(view, *axes)


def conv_2d(ctx: Lowering, op: Operator) -> None:
    """Convolution; in groups where the weights have fewer channels than the input."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    weights = read_weights(ctx, op, source)
    if weights.ndim != 4 or len(out.shape) != 4 or weights.shape[0] != out.shape[3]:
        ctx.refuse(op, f"has weights of shape {list(weights.shape)} for an output of shape {list(out.shape)}")
    channels, height, width, depth = weights.shape
    inputs = source.shape[-1] if len(source.shape) == 4 else 0
    groups = inputs // depth
    if not groups or inputs % depth or channels % groups:
        ctx.refuse(op, f"has weights for {depth} channels, its input is {list(source.shape)}")
    products = read_products(ctx, op, source, channels, bias_types=("INT32",))
    view, window = _windows(ctx, op, (height, width), out)
    flat, target = weights.reshape(channels, -1), ctx.place(out)
    every = channels // groups
    if depth == 1 and groups > 1:
        products.depthwise(batches(view, target), window, inputs, flat)
    else:
        for group in range(groups):
            mine = slice(group * every, (group + 1) * every)
            places = batches(view.cut(3, group * depth, depth), target.cut(3, mine.start, every))
            products.conv(places, window, depth, flat[mine], mine)
    ctx.define(out, target)


def depthwise_conv_2d(ctx: Lowering, op: Operator) -> None:
    """Depthwise convolution; of a single channel it is an ordinary one."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    weights = read_weights(ctx, op, source)
    if weights.ndim != 4 or len(out.shape) != 4 or len(source.shape) != 4 or weights.shape[0] != 1:
        ctx.refuse(op, f"has weights of shape {list(weights.shape)} for an output of shape {list(out.shape)}")
    _, height, width, channels = weights.shape
    inputs = source.shape[3]
    if channels != out.shape[3] or channels % inputs or channels // inputs != op.options["DepthMultiplier"]:
        ctx.refuse(op, f"makes {channels} channels of {inputs}, times {op.options['DepthMultiplier']}")
    products = read_products(ctx, op, source, channels)
    view, window = _windows(ctx, op, (height, width), out)
    flat, target = weights.reshape(height * width, channels).T, ctx.place(out)
    if inputs == 1:
        products.conv(batches(view, target), window, 1, flat, slice(channels))
    else:
        products.depthwise(batches(view, target), window, inputs, flat)
    ctx.define(out, target)


def fully_connected(ctx: Lowering, op: Operator) -> None:
    """A dense layer: a convolution of one row, a column per batch."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    weights = read_weights(ctx, op, source)
    if op.options["WeightsFormat"]:
        ctx.refuse(op, "has shuffled weights")
    if weights.ndim < 2 or weights.size != weights.shape[-1] * weights.shape[-2]:
        ctx.refuse(op, f"has weights of shape {list(weights.shape)}")
    channels, depth = weights.shape[-2:]
    batch = source.elements // depth
    if source.elements % depth or not out.shape or out.shape[-1] != channels or out.elements != batch * channels:
        ctx.refuse(op, f"takes {list(source.shape)} by {list(weights.shape)} to {list(out.shape)}")
    products = read_products(ctx, op, source, channels, bias_types=("INT32",))
    view, target = ctx.dense(op, 0, ACTIVATION_TYPES), ctx.place(out)
    rows = view.reshaped((1, batch, depth))
    window = make_window(rows, Axis(1, 1, 1), Axis(batch, 1, 1))
    outs = target.reshaped((1, batch, channels))
    products.conv([(rows, outs)], window, depth, weights.reshape(channels, depth), slice(channels))
    ctx.define(out, target)


RULES = {
    "CONV_2D": Rule(conv_2d, (2, 3), places=True, places_rows=True),
    "DEPTHWISE_CONV_2D": Rule(depthwise_conv_2d, (2, 3), places=True, places_rows=True),
    "FULLY_CONNECTED": Rule(fully_connected, (2, 3), places=True),
}
