"""Operations on single bytes: each is a table of 256."""

from __future__ import annotations

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.quantise import LOGISTIC_SCALES, logistic_table, requantise_table
from bodydouble.compiler.steps_move import Lookup

_RATIO_MAX = 1 << 22


def _lowest(tensor: Tensor) -> int:
    return -128 if tensor.type == "INT8" else 0


def _lookup(ctx: Lowering, op: Operator, values: tuple[int, ...] | list[int]) -> None:
    # `values` by input from the lowest up; the arena holds both sides counted from 0.
    out = ctx.output(op)
    if ctx.tensor(op, 0).elements != out.elements:
        ctx.refuse(op, f"turns {ctx.tensor(op, 0).elements} elements into {out.elements}")
    table = bytes(value - _lowest(out) for value in values)
    source = ctx.dense(op, 0)
    if table == bytes(range(256)) and source.shape == out.shape:
        ctx.define(out, source)
        return
    target = ctx.place(out)
    ctx.emit(Lookup(target, source, table, operator=op.index, tensor=out.index, label=op.kind.lower()))
    ctx.define(out, target)


def logistic(ctx: Lowering, op: Operator) -> None:
    """TFLite Micro's fixed-point sigmoid, tabulated."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "INT8")
    ctx.require_type(op, out, "INT8")
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    if (out_q.scale, out_q.zero_point) != (1 / 256, -128):
        ctx.refuse(
            op, f"has an output of scale {out_q.scale:g} and zero point {out_q.zero_point}, not 1/256 and -128"
        )
    if not LOGISTIC_SCALES[0] <= q.scale <= LOGISTIC_SCALES[1]:
        ctx.refuse(op, f"has an input of scale {q.scale:g}")
    _lookup(ctx, op, logistic_table(q.scale, q.zero_point))


def quantize(ctx: Lowering, op: Operator) -> None:
    """From one 8-bit scale to another."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "INT8", "UINT8")
    ctx.require_type(op, out, "INT8", "UINT8")
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    if q.scale / out_q.scale >= _RATIO_MAX:
        ctx.refuse(op, f"goes from scale {q.scale:g} to {out_q.scale:g}, which does not fit 32 bits")
    _lookup(
        ctx,
        op,
        requantise_table(q.scale, q.zero_point, _lowest(source), out_q.scale, out_q.zero_point, _lowest(out)),
    )


RULES = {
    "LOGISTIC": Rule(logistic, (1, 1), places=True),
    "QUANTIZE": Rule(quantize, (1, 1), places=True),
}
