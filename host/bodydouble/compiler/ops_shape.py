"""Operations that move or show bytes: RESHAPE, CONCATENATION, STRIDED_SLICE, SPLIT_V."""

from __future__ import annotations

from bodydouble.compiler.lower import ALL_TYPES, ANY, Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.steps_move import Copy
from bodydouble.compiler.views import View


def reshape(ctx: Lowering, op: Operator) -> None:
    """The same bytes in another shape: no step, unless they have gaps."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, out, source.type)
    if source.elements != out.elements:
        ctx.refuse(op, f"turns {source.elements} elements into {out.elements}")
    ctx.define(out, ctx.dense(op, 0, ALL_TYPES).reshaped(out.shape))


def concatenation(ctx: Lowering, op: Operator) -> None:
    """Inputs that were not written in place are copied."""
    out = ctx.output(op)
    rank = len(out.shape)
    axis = op.options["Axis"] + (rank if op.options["Axis"] < 0 else 0)
    if not 0 <= axis < rank or not op.inputs:
        ctx.refuse(op, f"along dimension {op.options['Axis']} of {rank}")
    if op.options["FusedActivationFunction"]:
        ctx.refuse(op, "has an activation")
    target = ctx.place(out)
    offset = target.offset
    total = 0
    for position in range(len(op.inputs)):
        part = ctx.tensor(op, position)
        ctx.require_type(op, part, out.type)
        if part.quantisation and out.quantisation and _scaling(part) != _scaling(out):
            ctx.refuse(op, f"joins tensor '{part.name}' of another scale or zero point")
        if len(part.shape) != rank or any(
            a != b for i, (a, b) in enumerate(zip(part.shape, out.shape, strict=True)) if i != axis
        ):
            ctx.refuse(op, f"joins shapes {list(part.shape)} and {list(out.shape)}")
        slot = View(target.storage, offset, part.shape, target.strides, target.item)
        offset += part.shape[axis] * target.strides[axis]
        total += part.shape[axis]
        stream = ctx.streams.get(out.index)
        if stream and position == 0:
            continue  # the rows that are there already
        view = ctx.view(op, position, ALL_TYPES)
        if not _same_place(view, slot):
            ctx.emit(Copy(slot, view, operator=op.index, tensor=out.index, label="concatenation"))
    if total != out.shape[axis]:
        ctx.refuse(op, f"joins {total} rows into {out.shape[axis]}")
    ctx.define(out, target)


def _scaling(tensor: Tensor) -> tuple[tuple[float, ...], tuple[int, ...]] | None:
    return (tensor.quantisation.scales, tensor.quantisation.zero_points) if tensor.quantisation else None


def _same_place(a: View, b: View) -> bool:
    return (
        a.storage is b.storage
        and a.offset == b.offset
        and all(n == 1 or s == t for n, s, t in zip(a.shape, a.strides, b.strides, strict=True))
    )


def slice_bounds(ctx: Lowering, op: Operator) -> list[tuple[int, int, int]]:
    """Begin, count and step along each dimension of the input."""
    source = ctx.tensor(op, 0)
    begins, ends, steps = (ctx.integers(op, i) for i in (1, 2, 3))
    rank = len(source.shape)
    if not len(begins) == len(ends) == len(steps) == rank:
        ctx.refuse(op, f"slices {len(begins)} dimensions of {rank}")
    options = op.options
    if options["EllipsisMask"] or options["NewAxisMask"]:
        ctx.refuse(op, "adds or skips dimensions by mask")
    bounds = []
    for i, (begin, end, step, size) in enumerate(zip(begins, ends, steps, source.shape, strict=True)):
        if step < 1:
            ctx.refuse(op, f"has the step {step}")
        shrink = options["ShrinkAxisMask"] >> i & 1
        start = None if options["BeginMask"] >> i & 1 else begin
        stop = None if options["EndMask"] >> i & 1 else end
        if shrink:
            at = begin + (size if begin < 0 else 0)
            start, stop, step = at, at + 1, 1  # noqa: PLW2901
        taken = range(size)[start:stop:step]
        if not taken or (shrink and not 0 <= begin + (size if begin < 0 else 0) < size):
            ctx.refuse(op, f"takes nothing of dimension {i}")
        bounds.append((taken.start, len(taken), step))
    return bounds


def strided_slice(ctx: Lowering, op: Operator) -> None:
    """A view."""
    out = ctx.output(op)
    ctx.require_type(op, out, ctx.tensor(op, 0).type)
    bounds = slice_bounds(ctx, op)
    view = ctx.view(op, 0, ALL_TYPES)
    offset = view.offset + sum(begin * stride for (begin, _, _), stride in zip(bounds, view.strides, strict=True))
    kept = [i for i in range(len(bounds)) if not op.options["ShrinkAxisMask"] >> i & 1]
    shape = tuple(bounds[i][1] for i in kept)
    if shape != out.shape:
        ctx.refuse(op, f"gives shape {list(shape)}, its output says {list(out.shape)}")
    strides = tuple(view.strides[i] * bounds[i][2] for i in kept)
    ctx.define(out, View(view.storage, offset, shape, strides, view.item))


def split_v(ctx: Lowering, op: Operator) -> None:
    """Views."""
    source = ctx.tensor(op, 0)
    sizes, axes = ctx.integers(op, 1), ctx.integers(op, 2)
    rank = len(source.shape)
    if len(axes) != 1 or not -rank <= axes[0] < rank:
        ctx.refuse(op, "has no dimension to split")
    axis = axes[0] % rank
    if len(sizes) != len(op.outputs):
        ctx.refuse(op, f"names {len(sizes)} sizes for {len(op.outputs)} outputs")
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = source.shape[axis] - sum(sizes) - 1
    if any(size < 1 for size in sizes) or sum(sizes) != source.shape[axis]:
        ctx.refuse(op, f"splits {source.shape[axis]} into {sizes}")
    view = ctx.view(op, 0, ALL_TYPES)
    offset = view.offset
    for position, size in enumerate(sizes):
        out = ctx.output(op, position)
        ctx.require_type(op, out, source.type)
        shape = (*source.shape[:axis], size, *source.shape[axis + 1 :])
        if shape != out.shape:
            ctx.refuse(op, f"gives shape {list(shape)}, its output says {list(out.shape)}", tensor=out)
        ctx.define(out, View(view.storage, offset, shape, view.strides, view.item))
        offset += size * view.strides[axis]


RULES = {
    "CONCATENATION": Rule(concatenation, (1, ANY), places=True),
    "RESHAPE": Rule(reshape, (1, 2)),
    "SPLIT_V": Rule(split_v, (3, 3), (1, ANY)),
    "STRIDED_SLICE": Rule(strided_slice, (4, 4)),
}
