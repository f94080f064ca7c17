"""SOFTMAX: int8 to int8 or int16, int16 to int16."""

from __future__ import annotations

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator
from bodydouble.compiler.quantise import quantize_multiplier
from bodydouble.compiler.softmax_tables import exp_curve, exp_table, reciprocal_curve
from bodydouble.compiler.steps_soft import Softmax, Softmax16

# By types: what one unit of the output is worth, its zero point, and how many classes may share a row. With more of
# them TFLite's sums can reach a shift that it stops at (int8), or overflow.
_OUTPUTS = {
    ("INT8", "INT8"): (2.0**-8, -128, 511),
    ("INT8", "INT16"): (2.0**-16, -32768, 4095),
    ("INT16", "INT16"): (2.0**-15, 0, 32767),
}
_TOLERANCE = 0.0009  # TFLite takes scales that are off by a thousandth where the output is int16
_INT16_STEPS = 65535
_EXP_RANGE = 10.0


def softmax(ctx: Lowering, op: Operator) -> None:
    """Along the last dimension."""
    source, out, beta = ctx.tensor(op, 0), ctx.output(op), float(op.options["Beta"])
    ctx.require_type(op, source, "INT8", "INT16")
    ctx.require_type(op, out, *(to for frm, to in _OUTPUTS if frm == source.type))
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    unit, zero, depth_max = _OUTPUTS[source.type, out.type]
    tolerance = _TOLERANCE if out.type == "INT16" else 0.0
    if abs(out_q.scale / unit - 1) > tolerance or out_q.zero_point != zero:
        ctx.refuse(
            op, f"has an output of scale {out_q.scale:g} and zero point {out_q.zero_point}, not {unit:g} and {zero}"
        )
    if not source.shape or source.shape != out.shape:
        ctx.refuse(op, f"takes shape {list(source.shape)} to {list(out.shape)}")
    depth = source.shape[-1]
    if depth > depth_max:
        ctx.refuse(op, f"has {depth} classes; tflite-micro stops at more than {depth_max}")
    view = ctx.dense(op, 0, (source.type,))
    target = ctx.place(out)
    if source.type == "INT8":
        exp = exp_table(q.scale, beta)
        if exp is None:
            ctx.refuse(op, f"has the input scale {q.scale:g} and beta {beta:g}; tflite-micro stops there")
        ctx.emit(Softmax(target, view, depth, exp, operator=op.index, tensor=out.index, label="softmax"))
    else:
        if q.zero_point:
            ctx.refuse(op, f"has an input of zero point {q.zero_point}, not 0")
        if not 0 < beta < float("inf"):
            ctx.refuse(op, f"has beta {beta:g}")
        multiplier = quantize_multiplier(q.scale * beta / (_EXP_RANGE / _INT16_STEPS))
        if not multiplier.fits(_INT16_STEPS):
            ctx.refuse(op, f"has the input scale {q.scale:g} and beta {beta:g}, which do not fit 32 bits")
        ctx.emit(
            Softmax16(
                target, view, depth, multiplier.multiplier, multiplier.shift_byte, exp_curve(), reciprocal_curve(),
                operator=op.index, tensor=out.index, label="softmax",
            )
        )  # fmt: skip
    ctx.define(out, target)


RULES = {"SOFTMAX": Rule(softmax, (1, 1), places=True)}
