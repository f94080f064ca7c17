"""Operations on single numbers: of 8 bits each is a table of 256, made here."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from bodydouble.compiler import curves
from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.quantise import RANGES, Rescaling, float32, quantize_multiplier, round_half_away
from bodydouble.compiler.steps import Step
from bodydouble.compiler.steps_move import Lookup
from bodydouble.compiler.steps_unary import FromFloat, Interpolate, Rescale, ToFloat, WideLookup

_ONE = quantize_multiplier(1.0)
_FLOAT_SCALES = (2.0**-100, 2.0**100)  # of what meets floats: beyond, results could leave float32's normal range
_SIX_MAX = 1 << 30
_REQUANTISATIONS = {
    "INT8": ("INT8", "UINT8", "INT16", "INT32"),
    "UINT8": ("INT8",),
    "INT16": ("INT8", "INT16", "INT32"),
    "FLOAT32": ("INT8", "INT16"),
}


def _ends(ctx: Lowering, op: Operator, *types: str) -> tuple[Tensor, Tensor]:
    # Input and output, of one type and as many elements.
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, *types)
    if op.kind not in ("QUANTIZE", "DEQUANTIZE"):
        ctx.require_type(op, out, source.type)
    if source.elements != out.elements:
        ctx.refuse(op, f"turns {source.elements} elements into {out.elements}")
    return source, out


def _same_bytes(ctx: Lowering, op: Operator, position: int) -> None:
    view = ctx.dense(op, position, (ctx.tensor(op, position).type,))
    ctx.define(ctx.output(op), view.reshaped(ctx.output(op).shape))


def tabulate(ctx: Lowering, op: Operator, position: int, value: Callable[[int], int]) -> None:
    """Emit a function of the 8-bit input at `position`, given and returned in quantised units."""
    source, out = ctx.tensor(op, position), ctx.output(op)
    low = RANGES[source.type][0]
    values = [value(x) for x in range(low, low + 256)]
    if out.item == 1:
        table = bytes(y - RANGES[out.type][0] for y in values)
        if table == bytes(range(256)):
            _same_bytes(ctx, op, position)
            return
    else:
        table = b"".join(y.to_bytes(out.item, "little", signed=True) for y in values)
    _emit_table(ctx, op, position, table)


def _emit_table(ctx: Lowering, op: Operator, position: int, table: bytes) -> None:
    _emit(ctx, op, position, lambda target, source, known: (
        Lookup(target, source, table, **known) if target.item == 1 else WideLookup(target, source, table, **known)
    ))  # fmt: skip


def _emit(ctx: Lowering, op: Operator, position: int, make: Callable[..., Step]) -> None:
    out = ctx.output(op)
    source, target = ctx.dense(op, position, (ctx.tensor(op, position).type,)), ctx.place(out)
    ctx.emit(make(target, source, {"operator": op.index, "tensor": out.index, "label": op.kind.lower()}))
    ctx.define(out, target)


def _rescale(ctx: Lowering, op: Operator, rescaling: Rescaling) -> None:
    source, out = ctx.tensor(op, 0), ctx.output(op)
    lowest, highest = RANGES[source.type]
    if not rescaling.fits(lowest, highest):
        ctx.refuse(op, "multiplies by so much that 32 bits overflow", "choose a larger output scale")
    if source.item == 1:
        tabulate(ctx, op, 0, rescaling)
    elif source.type == out.type and rescaling.is_identity(lowest, highest):
        _same_bytes(ctx, op, 0)
    else:
        _emit(ctx, op, 0, lambda target, view, known: Rescale(target, view, rescaling, **known))


def _symmetric(ctx: Lowering, op: Operator) -> None:
    # Of int16, tflite-micro takes some operations without zero points only.
    for tensor in (ctx.tensor(op, 0), ctx.output(op)):
        if tensor.type == "INT16" and ctx.quantisation(op, tensor).zero_point:
            ctx.refuse(op, f"has a zero point on the int16 tensor '{tensor.name}'")


def _sigmoid(ctx: Lowering, op: Operator) -> None:
    source, out = _ends(ctx, op, "INT8", "INT16")
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    if source.type == "INT16":
        _symmetric(ctx, op)
        curve = curves.curve(op.kind, q.scale, out_q.scale)
        if curve is None:
            ctx.refuse(
                op, f"goes from scale {q.scale:g} to {out_q.scale:g}; of int16 only to 1/32768, from below 2.6"
            )
        _emit(ctx, op, 0, lambda target, view, known: Interpolate(target, view, curve, **known))
        return
    if not curves.SCALES[0] <= q.scale < curves.SCALES[1]:
        ctx.refuse(op, f"has an input of scale {q.scale:g}")
    tabulate(ctx, op, 0, (curves.logistic if op.kind == "LOGISTIC" else curves.tanh)(q.scale, q.zero_point))


def logistic(ctx: Lowering, op: Operator) -> None:
    """tflite-micro's fixed-point sigmoid; whatever the output's scale says, int8 comes in units of 1/256."""
    if ctx.output(op).type == "INT8" and ctx.quantisation(op, ctx.output(op)).zero_point != -128:
        ctx.refuse(op, "has an output whose zero point is not -128")
    _sigmoid(ctx, op)


def tanh(ctx: Lowering, op: Operator) -> None:
    """tflite-micro's fixed-point hyperbolic tangent; int8 comes in units of 1/128 around 0."""
    _sigmoid(ctx, op)


def relu(ctx: Lowering, op: Operator) -> None:
    """max(x, 0), rescaled to the output."""
    source, out = _ends(ctx, op, "INT8", "INT16")
    _symmetric(ctx, op)
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    factor = quantize_multiplier(q.scale / out_q.scale)
    high = RANGES[out.type][1]
    _rescale(ctx, op, Rescaling(q.zero_point, factor, factor, False, out_q.zero_point, out_q.zero_point, high))


def relu6(ctx: Lowering, op: Operator) -> None:
    """Clamps in the input's units: tflite-micro does not look at the output's."""
    source, _ = _ends(ctx, op, "INT8", "INT16")
    q = ctx.quantisation(op, source)
    six = float32(6 / q.scale)
    if six >= _SIX_MAX:
        ctx.refuse(op, f"has an input of scale {q.scale:g}")
    high = min(q.zero_point + round_half_away(six), RANGES[source.type][1])
    _rescale(ctx, op, Rescaling(0, _ONE, _ONE, False, 0, q.zero_point, high))


def leaky_relu(ctx: Lowering, op: Operator) -> None:
    """x above 0, alpha * x below."""
    source, out = _ends(ctx, op, "INT8", "INT16")
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    alpha = float(op.options["Alpha"])
    slope = q.scale * alpha / out_q.scale
    if not math.isfinite(slope):
        ctx.refuse(op, f"has the slope {alpha:g}")
    above, below = quantize_multiplier(q.scale / out_q.scale), quantize_multiplier(abs(slope))
    _rescale(ctx, op, Rescaling(q.zero_point, above, below, slope < 0, out_q.zero_point, *RANGES[out.type]))


def hard_swish(ctx: Lowering, op: Operator) -> None:
    """x * clamp(x + 3, 0, 6) / 6 of int8."""
    source, out = _ends(ctx, op, "INT8")
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    value = curves.hard_swish(q.scale, q.zero_point, out_q.scale, out_q.zero_point)
    if value is None:
        ctx.refuse(op, f"goes from scale {q.scale:g} to {out_q.scale:g}")
    tabulate(ctx, op, 0, value)


def quantize(ctx: Lowering, op: Operator) -> None:
    """From one scale and type to another, or from float32; NaN becomes the zero point, infinities the type's ends."""
    source, out = _ends(ctx, op, *_REQUANTISATIONS)
    ctx.require_type(op, out, *_REQUANTISATIONS[source.type])
    out_q = ctx.quantisation(op, out)
    if source.type == "FLOAT32":
        _float_scale(ctx, op, out)
        _emit(
            ctx, op, 0,
            lambda target, view, known: FromFloat(target, view, out_q.scale, out_q.zero_point, **known),
        )  # fmt: skip
        return
    q = ctx.quantisation(op, source)
    factor = quantize_multiplier(q.scale / out_q.scale)
    _rescale(ctx, op, Rescaling(q.zero_point, factor, factor, False, out_q.zero_point, *RANGES[out.type]))


def dequantize(ctx: Lowering, op: Operator) -> None:
    """scale * (x - zero point) as float32."""
    source, out = _ends(ctx, op, "INT8", "UINT8", "INT16")
    ctx.require_type(op, out, "FLOAT32")
    q = ctx.quantisation(op, source)
    _float_scale(ctx, op, source)
    if source.type == "INT16":
        _emit(ctx, op, 0, lambda target, view, known: ToFloat(target, view, q.scale, q.zero_point, **known))
        return
    low, high = RANGES[source.type]
    values = [q.scale * (x - q.zero_point) for x in range(low, high + 1)]
    _emit_table(ctx, op, 0, struct.pack("<256f", *values))


def _float_scale(ctx: Lowering, op: Operator, tensor: Tensor) -> None:
    scale = ctx.quantisation(op, tensor).scale
    if not _FLOAT_SCALES[0] <= scale <= _FLOAT_SCALES[1]:
        ctx.refuse(op, f"has tensor '{tensor.name}' of scale {scale:g}")


RULES = {
    "LOGISTIC": Rule(logistic, (1, 1), places=True),
    "TANH": Rule(tanh, (1, 1), places=True),
    "RELU": Rule(relu, (1, 1), places=True),
    "RELU6": Rule(relu6, (1, 1), places=True),
    "LEAKY_RELU": Rule(leaky_relu, (1, 1), places=True),
    "HARD_SWISH": Rule(hard_swish, (1, 1), places=True),
    "QUANTIZE": Rule(quantize, (1, 1), places=True),
    "DEQUANTIZE": Rule(dequantize, (1, 1), places=True),
}
