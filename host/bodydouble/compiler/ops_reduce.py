"""Operations that take dimensions together: MEAN, SUM, REDUCE_MAX, ARG_MAX."""

from __future__ import annotations

import math

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator
from bodydouble.compiler.quantise import INT32_MAX, RANGES, Multiplier, quantize_multiplier
from bodydouble.compiler.steps_reduce import ArgMax, Largest, Loop, Sum
from bodydouble.compiler.views import View


def _axes(ctx: Lowering, op: Operator) -> set[int]:
    # The dimensions that are taken together; the output has them as 1 or not at all.
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, ctx.tensor(op, 1), "INT32")
    rank = len(source.shape)
    given = ctx.integers(op, 1)
    if not rank or any(not -rank <= axis < rank for axis in given):
        ctx.refuse(op, f"takes dimensions {given} of {rank}")
    axes = {axis % rank for axis in given}
    keep = bool(op.options["KeepDims"])
    shape = tuple(1 if i in axes else n for i, n in enumerate(source.shape) if keep or i not in axes)
    if shape != out.shape:
        ctx.refuse(op, f"gives shape {list(shape)}, its output says {list(out.shape)}")
    return axes


def _loops(view: View, axes: set[int]) -> tuple[tuple[Loop, ...], tuple[Loop, ...]]:
    # Nested counts of what is kept and what is reduced; neighbours that step evenly become one.
    found: tuple[list[Loop], list[Loop]] = ([], [])
    for axis, (count, step) in enumerate(zip(view.shape, view.strides, strict=True)):
        if count == 1:
            continue
        loops = found[axis in axes]
        if loops and loops[-1][1] == step * count:
            loops[-1] = (loops[-1][0] * count, step)
        else:
            loops.append((count, step))
    return tuple(found[0]), tuple(sorted(found[1]))  # the longest innermost: the order of a sum is free


def _sum(ctx: Lowering, op: Operator, mean: bool) -> None:
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "INT8", "INT16")
    ctx.require_type(op, out, source.type)
    axes = _axes(ctx, op)
    q, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    count = math.prod(source.shape[axis] for axis in axes)
    multiplier = quantize_multiplier(q.scale / out_q.scale)
    if mean:
        # TFLite takes the division into the multiplier, and loses what does not fit there.
        bits = min(count.bit_length() - 1, 32, 31 + multiplier.shift)
        multiplier = Multiplier((multiplier.multiplier << bits) // count, multiplier.shift - bits)
    lowest, highest = RANGES[source.type]
    widest = max(q.zero_point - lowest, highest - q.zero_point)
    if count * -lowest > INT32_MAX or not multiplier.fits(count * widest):
        ctx.refuse(op, f"has sums of {count} elements that do not fit 32 bits")
    view, target = ctx.dense(op, 0, (source.type,)), ctx.place(out)
    ctx.emit(
        Sum(
            target, view, *_loops(view, axes), (lowest - q.zero_point) * count,
            multiplier.multiplier, multiplier.shift_byte, out_q.zero_point - lowest,
            operator=op.index, tensor=out.index, label=op.kind.lower(),
        )
    )  # fmt: skip
    ctx.define(out, target)


def mean(ctx: Lowering, op: Operator) -> None:
    """The mean along some dimensions."""
    _sum(ctx, op, mean=True)


def total(ctx: Lowering, op: Operator) -> None:
    """The sum along some dimensions."""
    _sum(ctx, op, mean=False)


def reduce_max(ctx: Lowering, op: Operator) -> None:
    """The largest value along some dimensions; tflite-micro has it for int8 alone, without a change of scale."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "INT8")
    ctx.require_type(op, out, "INT8")
    axes = _axes(ctx, op)
    if ctx.quantisation(op, source) != ctx.quantisation(op, out):
        ctx.refuse(op, "has an output of another scale or zero point than its input")
    view, target = ctx.dense(op, 0, (source.type,)), ctx.place(out)
    ctx.emit(
        Largest(
            target, view, *_loops(view, axes), operator=op.index, tensor=out.index, label=op.kind.lower()
        )
    )  # fmt: skip
    ctx.define(out, target)


def arg_max(ctx: Lowering, op: Operator) -> None:
    """Where the largest value along one dimension lies: the first of them; tflite-micro has it as INT32 alone."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "INT8")
    ctx.require_type(op, out, "INT32")
    ctx.require_type(op, ctx.tensor(op, 1), "INT32")
    rank, given = len(source.shape), ctx.integers(op, 1)
    if len(given) != 1 or not -rank <= given[0] < rank:
        ctx.refuse(op, f"takes dimensions {given} of {rank}")
    axis = given[0] % rank
    before, behind = source.shape[:axis], source.shape[axis + 1 :]
    if (*before, *behind) != out.shape:
        ctx.refuse(op, f"gives shape {[*before, *behind]}, its output says {list(out.shape)}")
    view, target = ctx.dense(op, 0, ("INT8",)), ctx.place(out)
    ctx.emit(
        ArgMax(
            target, view, math.prod(before), source.shape[axis], math.prod(behind),
            operator=op.index, tensor=out.index, label="arg max",
        )
    )  # fmt: skip
    ctx.define(out, target)


RULES = {
    "ARG_MAX": Rule(arg_max, (2, 2), places=True),
    "MEAN": Rule(mean, (2, 2), places=True),
    "REDUCE_MAX": Rule(reduce_max, (2, 2), places=True),
    "SUM": Rule(total, (2, 2), places=True),
}
