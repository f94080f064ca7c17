"""AVERAGE_POOL_2D and MAX_POOL_2D of int8 and int16."""

from __future__ import annotations

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator
from bodydouble.compiler.quantise import ACTIVATIONS, INT32_MAX, RANGES, activation_range
from bodydouble.compiler.steps_pool import CHANNELS_AT_ONCE, Pool
from bodydouble.compiler.views import Storage

_SAME, _VALID = 0, 1
STRIDE_MAX = FILTER_MAX = 1 << 12
_SCALES_APART = 1e-6
_SCRATCH_BYTES = 4 * CHANNELS_AT_ONCE


def _windows(ctx: Lowering, op: Operator) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    # Strides, rows and columns of padding before the first window, and filter sizes.
    options, shape, out_shape = op.options, ctx.tensor(op, 0).shape, ctx.output(op).shape
    if len(shape) != 4 or len(out_shape) != 4 or (shape[0], shape[3]) != (out_shape[0], out_shape[3]):
        ctx.refuse(op, f"takes shape {list(shape)} to {list(out_shape)}")
    if options["Padding"] not in (_SAME, _VALID):
        ctx.refuse(op, f"has the padding {options['Padding']}")
    strides = (options["StrideH"], options["StrideW"])
    filters = (options["FilterHeight"], options["FilterWidth"])
    if any(not 1 <= n <= STRIDE_MAX for n in strides) or any(not 1 <= n <= FILTER_MAX for n in filters):
        ctx.refuse(op, f"has strides {strides} and windows of {filters}")
    pads = []
    for i in (0, 1):
        size = shape[1 + i]
        same = options["Padding"] == _SAME
        count = -(-size // strides[i]) if same else (size - filters[i]) // strides[i] + 1
        if count != out_shape[1 + i] or count < 1:
            ctx.refuse(op, f"gives {max(count, 0)} rows in dimension {1 + i}, its output says {out_shape[1 + i]}")
        pads.append(max((count - 1) * strides[i] + filters[i] - size, 0) // 2 if same else 0)
    return strides, (pads[0], pads[1]), filters


def _pool(ctx: Lowering, op: Operator, largest: bool) -> None:
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "INT8", "INT16")
    ctx.require_type(op, out, source.type)
    strides, pads, filters = _windows(ctx, op)
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    if abs(q.scale - out_q.scale) > _SCALES_APART or q.zero_point != out_q.zero_point:
        ctx.refuse(op, "has an output of another scale or zero point than its input")
    activation = op.options["FusedActivationFunction"]
    if activation not in ACTIVATIONS:
        ctx.refuse(op, f"has the fused activation {activation}")
    lowest, highest = RANGES[source.type]
    low, high = activation_range(activation, out_q.scale, out_q.zero_point, lowest, highest)
    if low > high:
        ctx.refuse(op, f"clamps to {low} to {high}")
    view = ctx.view(op, 0, (source.type,))
    window = min(filters[0], view.shape[1]) * min(filters[1], view.shape[2])
    if (highest - lowest + 1) * window > INT32_MAX:
        ctx.refuse(op, f"has windows of {window} elements, whose sum does not fit 32 bits")
    if view.strides[3] != view.item and view.shape[3] != 1:
        view = ctx.dense(op, 0, (source.type,))
    scratch = Storage(f"{out.name} (sums)", _SCRATCH_BYTES) if view.item == 1 else None
    target = ctx.place(out)
    ctx.emit(
        Pool(
            target, view, largest, strides, pads, filters, low - lowest, high - lowest, scratch,
            operator=op.index, tensor=out.index, label=op.kind.lower(),
        )
    )  # fmt: skip
    ctx.define(out, target)


def average_pool_2d(ctx: Lowering, op: Operator) -> None:
    """The mean of what a window covers of the input, rounded away from 0; the zero point plays no part."""
    _pool(ctx, op, largest=False)


def max_pool_2d(ctx: Lowering, op: Operator) -> None:
    """The largest value that a window covers."""
    _pool(ctx, op, largest=True)


RULES = {
    "AVERAGE_POOL_2D": Rule(average_pool_2d, (1, 1), places=True),
    "MAX_POOL_2D": Rule(max_pool_2d, (1, 1), places=True),
}
