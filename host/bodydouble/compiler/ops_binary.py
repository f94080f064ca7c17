"""ADD, SUB and MUL of two tensors, one of which may be repeated along some dimensions.

A term of an int8 sum depends on one byte, so it is a table made here: 1 KB of plan for each operand (once where both
are alike) saves two of three multiplications per element. Where one operand is a single constant, or both are the
same tensor, the result depends on one byte and the whole operation is a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator, Quantisation
from bodydouble.compiler.ops_unary import tabulate
from bodydouble.compiler.quantise import (
    ACTIVATIONS,
    INT32_MAX,
    RANGES,
    Multiplier,
    activation_range,
    quantize_multiplier,
)
from bodydouble.compiler.steps_binary import Add, AddWide, Multiply, MultiplyWide, records_needed
from bodydouble.compiler.views import View

_TYPES = ("INT8", "INT16")
_SUM_BITS = {"INT8": 20, "INT16": 15}  # by which a sum's operands are shifted to the left
_ZERO_MAX = 32766  # of an int16 sum: tflite-micro takes less than all of the type
_SCALE_MAX = 2.0**120  # twice it must be a float32
_RECORDS_MAX = 64
_HALF = quantize_multiplier(0.5)


def _operands(ctx: Lowering, op: Operator) -> tuple[View, View, View]:
    # Target and both inputs, all of the output's shape.
    out = ctx.output(op)
    views = []
    for position in (0, 1):
        view = ctx.view(op, position, (out.type,))
        if any(stride < 0 for stride in view.strides):
            view = ctx.dense(op, position, (out.type,))
        views.append(view)
    a, b = (_repeated(view, out.shape) for view in views)
    target = ctx.place(out)
    if records_needed(target, a, b) > _RECORDS_MAX:
        ctx.refuse(op, f"repeats {list(views[0].shape)} and {list(views[1].shape)} along too many dimensions")
    return target, a, b


def _repeated(view: View, shape: tuple[int, ...]) -> View:
    missing = len(shape) - len(view.shape)
    strides = tuple(
        0 if size == 1 else stride
        for size, stride in zip((1,) * missing + view.shape, (0,) * missing + view.strides, strict=True)
    )
    return View(view.storage, view.offset, shape, strides, view.item)


def _check(ctx: Lowering, op: Operator) -> tuple[Quantisation, Quantisation, Quantisation, tuple[int, int]]:
    # Scales of both inputs and the output, and where the activation clamps.
    first, second, out = ctx.tensor(op, 0), ctx.tensor(op, 1), ctx.output(op)
    ctx.require_type(op, out, *_TYPES)
    ctx.require_type(op, first, out.type)
    ctx.require_type(op, second, out.type)
    rank = max(len(first.shape), len(second.shape))
    shapes = [(1,) * (rank - len(tensor.shape)) + tensor.shape for tensor in (first, second)]
    joined = tuple(max(pair) for pair in zip(*shapes, strict=True))
    if any(1 < min(pair) < max(pair) for pair in zip(*shapes, strict=True)) or joined != out.shape:
        ctx.refuse(op, f"joins shapes {list(first.shape)} and {list(second.shape)} to {list(out.shape)}")
    quantisations = [ctx.quantisation(op, tensor) for tensor in (first, second, out)]
    activation = op.options["FusedActivationFunction"]
    if activation not in ACTIVATIONS:
        ctx.refuse(op, f"has the fused activation {activation}")
    q = quantisations[2]
    if activation in (2, 3) and 6 / q.scale >= INT32_MAX // 2:
        ctx.refuse(op, f"has an activation at an output scale of {q.scale:g}")
    clamps = activation_range(activation, q.scale, q.zero_point, *RANGES[out.type])
    if clamps[0] > clamps[1]:
        ctx.refuse(op, "has an activation that lets nothing pass")
    return quantisations[0], quantisations[1], q, clamps


def _emit_bytes(ctx: Lowering, op: Operator, value: Callable[[int, int], int], make: Callable[..., Any]) -> None:
    # `value` of both inputs, in quantised units: a table, where only one byte decides, else what `make` gives.
    first, second = ctx.tensor(op, 0), ctx.tensor(op, 1)
    out = ctx.output(op)
    if not ctx.where(out).contiguous:  # which a table cannot write
        _emit(ctx, op, make)
    elif first is second:
        tabulate(ctx, op, 0, lambda x: value(x, x))
    elif second.data is not None and second.elements == 1 and first.elements == out.elements:
        constant = int.from_bytes(second.data, "little", signed=True)
        tabulate(ctx, op, 0, lambda x: value(x, constant))
    elif first.data is not None and first.elements == 1 and second.elements == out.elements:
        constant = int.from_bytes(first.data, "little", signed=True)
        tabulate(ctx, op, 1, lambda x: value(constant, x))
    else:
        _emit(ctx, op, make)


def _emit(ctx: Lowering, op: Operator, make: Callable[..., Any]) -> None:
    out = ctx.output(op)
    target, a, b = _operands(ctx, op)
    known = {"operator": op.index, "tensor": out.index, "label": op.kind.lower()}
    ctx.emit(make(target, a, b, known=known))
    ctx.define(out, target)


def _sum_factors(ctx: Lowering, op: Operator, a: float, b: float, out: float, bits: int) -> list[Multiplier]:
    # Of either input and of their sum. All must be below 1 and none may vanish.
    if max(a, b, out) > _SCALE_MAX:
        ctx.refuse(op, f"has the scales {a:g}, {b:g} and {out:g}")
    twice = 2 * max(a, b)
    reals = [a / twice, b / twice, twice / ((1 << bits) * out)]
    factors = [quantize_multiplier(real) for real in reals]
    if any(real <= 0 or real >= 1 or factor.shift > 0 for real, factor in zip(reals, factors, strict=True)):
        ctx.refuse(
            op, f"adds at scales {a:g} and {b:g} to {out:g}, which is too fine for it", "choose a larger scale"
        )
    return factors


def add(ctx: Lowering, op: Operator) -> None:
    """ADD and SUB: both inputs in a common scale, with bits to spare, then the output's."""
    a, b, out, (low, high) = _check(ctx, op)
    kind = ctx.output(op).type
    bits = _SUM_BITS[kind]
    factor_a, factor_b, factor = _sum_factors(ctx, op, a.scale, b.scale, out.scale, bits)
    minus = op.kind == "SUB"
    if kind == "INT16":
        limit = 0 if minus else _ZERO_MAX
        if max(abs(a.zero_point), abs(b.zero_point)) > limit:
            ctx.refuse(op, f"has inputs of int16 with the zero points {a.zero_point} and {b.zero_point}")

        def wide(target: View, first: View, second: View, known: dict[str, Any]) -> AddWide:
            common = (factor, out.zero_point, low, high)
            if factor_a == _HALF:
                zeros = (a.zero_point, b.zero_point)
                return AddWide(target, first, second, *common, *zeros, factor_b, False, minus, **known)
            zeros = (b.zero_point, a.zero_point)
            return AddWide(target, second, first, *common, *zeros, factor_a, minus, False, **known)

        _emit(ctx, op, wide)
        return
    sign = -1 if minus else 1
    terms_a = tuple(factor_a.scale((x - a.zero_point) << bits) for x in range(-128, 128))
    terms_b = tuple(sign * factor_b.scale((x - b.zero_point) << bits) for x in range(-128, 128))

    def value(x: int, y: int) -> int:
        total = factor.scale(terms_a[x + 128] + terms_b[y + 128])
        return min(max(total + out.zero_point, low), high)

    common = (factor, out.zero_point + 128, low + 128, high + 128, terms_a, terms_b)
    _emit_bytes(ctx, op, value, lambda target, first, second, known: Add(target, first, second, *common, **known))


def multiply(ctx: Lowering, op: Operator) -> None:
    """MUL: the product of the distances from the zero points, rescaled."""
    a, b, out, (low, high) = _check(ctx, op)
    kind = ctx.output(op).type
    lowest, highest = RANGES[kind]
    if kind == "INT16" and (a.zero_point or b.zero_point or out.zero_point):
        ctx.refuse(op, "has a zero point on an int16 tensor")
    factor = quantize_multiplier(a.scale * b.scale / out.scale)
    farthest = [max(q.zero_point - lowest, highest - q.zero_point) for q in (a, b)]
    if not factor.fits(farthest[0] * farthest[1]):
        ctx.refuse(op, "multiplies by so much that 32 bits overflow", "choose a larger output scale")
    if kind == "INT16":
        _emit(ctx, op, lambda target, x, y, known: MultiplyWide(target, x, y, factor, 0, low, high, **known))
        return

    def value(x: int, y: int) -> int:
        product = factor.scale((x - a.zero_point) * (y - b.zero_point))
        return min(max(product + out.zero_point, low), high)

    common = (factor, out.zero_point + 128, low + 128, high + 128, a.zero_point + 128, b.zero_point + 128)
    _emit_bytes(
        ctx, op, value, lambda target, first, second, known: Multiply(target, first, second, *common, **known)
    )


RULES = {
    "ADD": Rule(add, (2, 2), places=True, places_rows=True),
    "SUB": Rule(add, (2, 2), places=True, places_rows=True),
    "MUL": Rule(multiply, (2, 2), places=True, places_rows=True),
}
