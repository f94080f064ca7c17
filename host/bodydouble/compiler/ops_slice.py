"""Operations that take a part of a tensor: views, but for steps backwards."""

from __future__ import annotations

from bodydouble.compiler.lower import ALL_TYPES, ANY, Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.slots import axis_of
from bodydouble.compiler.steps_move import Copy
from bodydouble.compiler.views import View

_SPLIT_TYPES = ("FLOAT32", "INT8", "INT16", "INT32")
_SLICE_TYPES = (*_SPLIT_TYPES, "BOOL")
_STRIDED_RANK_MAX = 4
_SLICE_RANK_MAX = 5


def _shown(ctx: Lowering, op: Operator, out: Tensor, source: Tensor, view: View) -> None:
    # `out` is what `view` shows of `source`.
    ctx.require_type(op, out, source.type)
    if view.shape != out.shape:
        ctx.refuse(op, f"gives shape {list(view.shape)}, its output says {list(out.shape)}", tensor=out)
    ctx.define(out, view)


def slice_bounds(ctx: Lowering, op: Operator) -> list[tuple[int, int, int]]:
    """Begin, count and step of a STRIDED_SLICE along each dimension of its input.

    As TFLite Micro has it (tensorflow/lite/kernels/internal/strided_slice_logic.h): begins and ends are clamped to
    the dimension, masks for an ellipsis or a new axis are not looked at.
    """
    source = ctx.tensor(op, 0)
    for position in (1, 2, 3):
        ctx.require_type(op, ctx.tensor(op, position), "INT32")
    begins, ends, steps = (ctx.integers(op, i) for i in (1, 2, 3))
    rank = len(source.shape)
    if not len(begins) == len(ends) == len(steps) == rank or rank > _STRIDED_RANK_MAX:
        ctx.refuse(op, f"slices {len(begins)} dimensions of {rank}, at most {_STRIDED_RANK_MAX}")
    bounds = []
    for i, (begin, end, step, size) in enumerate(zip(begins, ends, steps, source.shape, strict=True)):
        if step == 0:
            ctx.refuse(op, "has the step 0")
        low, high = (0, size) if step > 0 else (-1, size - 1)
        start = min(max(begin + (size if begin < 0 else 0), low), high)
        stop = min(max(end + (size if end < 0 else 0), low), high)
        if op.options["BeginMask"] >> i & 1:
            start = 0 if step > 0 else size - 1
        if op.options["EndMask"] >> i & 1:
            stop = size if step > 0 else -1
        if op.options["ShrinkAxisMask"] >> i & 1:
            stop = start + 1
        count = -((start - stop) // step)
        if count < 1 or not 0 <= start < size:
            ctx.refuse(op, f"takes nothing of dimension {i}")
        bounds.append((start, count, step))
    return bounds


def strided_slice(ctx: Lowering, op: Operator) -> None:
    """A view; a copy where a step goes backwards, since kernels only go forwards."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, *_SLICE_TYPES)
    bounds = slice_bounds(ctx, op)
    view = ctx.view(op, 0, ALL_TYPES)
    for axis, (begin, count, step) in enumerate(bounds):
        view = view.cut(axis, begin, count, step)
    view = view.ordered(tuple(i for i in range(len(bounds)) if not op.options["ShrinkAxisMask"] >> i & 1))
    if any(count > 1 and step < 0 for _, count, step in bounds) and view.shape == out.shape:
        target = ctx.place(out)
        ctx.emit(Copy(target, view, operator=op.index, tensor=out.index, label="strided_slice"))
        view = target
    _shown(ctx, op, out, source, view)


def slice_(ctx: Lowering, op: Operator) -> None:
    """A view."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, *_SLICE_TYPES)
    begins, sizes = ctx.integers(op, 1), ctx.integers(op, 2)
    rank = len(source.shape)
    if not len(begins) == len(sizes) == rank or rank > _SLICE_RANK_MAX:
        ctx.refuse(op, f"slices {len(begins)} dimensions of {rank}, at most {_SLICE_RANK_MAX}")
    view = ctx.view(op, 0, ALL_TYPES)
    for axis, (begin, size, whole) in enumerate(zip(begins, sizes, source.shape, strict=True)):
        count = whole - begin if size == -1 else size
        if begin < 0 or count < 1 or begin + count > whole:
            ctx.refuse(op, f"takes {count} from {begin} on, of {whole} in dimension {axis}")
        view = view.cut(axis, begin, count)
    _shown(ctx, op, out, source, view)


def _cut(ctx: Lowering, op: Operator, position: int, axis_position: int) -> tuple[Tensor, int]:
    # The input that is split, and the dimension.
    source = ctx.tensor(op, position)
    ctx.require_type(op, source, *_SPLIT_TYPES)
    ctx.require_type(op, ctx.tensor(op, axis_position), "INT32")
    axes, rank = ctx.integers(op, axis_position), len(source.shape)
    axis = axis_of(axes[0], rank) if axes else -1
    if axis < 0:
        ctx.refuse(op, f"splits dimension {axes[:1]} of {rank}")
    return source, axis


def _split(ctx: Lowering, op: Operator, position: int, axis: int, sizes: list[int]) -> None:
    source = ctx.tensor(op, position)
    if len(sizes) != len(op.outputs) or any(size < 1 for size in sizes) or sum(sizes) != source.shape[axis]:
        ctx.refuse(op, f"splits {source.shape[axis]} into {sizes[:8]} for {len(op.outputs)} outputs")
    view, at = ctx.view(op, position, ALL_TYPES), 0
    for number, size in enumerate(sizes):
        _shown(ctx, op, ctx.output(op, number), source, view.cut(axis, at, size))
        at += size


def split(ctx: Lowering, op: Operator) -> None:
    """Views of equal size."""
    source, axis = _cut(ctx, op, 1, 0)
    _split(ctx, op, 1, axis, [source.shape[axis] // len(op.outputs)] * len(op.outputs))


def split_v(ctx: Lowering, op: Operator) -> None:
    """Views of given sizes."""
    source, axis = _cut(ctx, op, 0, 2)
    sizes = ctx.integers(op, 1)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = source.shape[axis] - sum(sizes) - 1
    _split(ctx, op, 0, axis, sizes)


def unpack(ctx: Lowering, op: Operator) -> None:
    """Views without the dimension that is taken apart."""
    source = ctx.tensor(op, 0)
    ctx.require_type(op, source, *_SPLIT_TYPES)
    axis = axis_of(op.options["Axis"], len(source.shape))
    if axis < 0 or source.shape[axis] != len(op.outputs) or op.options["Num"] != len(op.outputs):
        ctx.refuse(op, f"takes dimension {op.options['Axis']} of {list(source.shape)} apart")
    view = ctx.view(op, 0, ALL_TYPES)
    for number in range(len(op.outputs)):
        _shown(ctx, op, ctx.output(op, number), source, view.only(axis, number))


RULES = {
    "SLICE": Rule(slice_, (3, 3)),
    "SPLIT": Rule(split, (2, 2), (1, ANY)),
    "SPLIT_V": Rule(split_v, (3, 3), (1, ANY)),
    "STRIDED_SLICE": Rule(strided_slice, (4, 4)),
    "UNPACK": Rule(unpack, (1, 1), (1, ANY)),
}
