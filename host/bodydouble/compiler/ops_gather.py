"""GATHER: views and copies for indices known here, a kernel for those of run time."""

from __future__ import annotations

from bodydouble.compiler.lower import ALL_TYPES, Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.slots import axis_of
from bodydouble.compiler.steps_move import Copy, Gather
from bodydouble.compiler.views import View

_COPIES_MAX = 8  # above, one record of the kernel is less work than a copy for each run of indices


def _runs(indices: list[int]) -> list[tuple[int, int, int]]:
    """(begin, count, step) of stretches of indices that step evenly."""
    runs: list[tuple[int, int, int]] = []
    for index in indices:
        if runs:
            begin, count, step = runs[-1]
            if count == 1 or index == begin + count * step:
                runs[-1] = (begin, count + 1, index - begin if count == 1 else step)
                continue
        runs.append((index, 1, 1))
    return runs


def _fixed(ctx: Lowering, op: Operator, axis: int, indices: list[int], out: Tensor) -> View | None:
    """The picked rows as a view, or copied; None where that would take many copies."""
    runs = _runs(indices)
    if len(runs) > _COPIES_MAX:
        return None
    source = ctx.view(op, 0, ALL_TYPES)
    if len(runs) == 1 and (runs[0][1] == 1 or runs[0][2] > 0):
        return source.cut(axis, *runs[0])
    rows, at = ctx.place(out), 0
    for begin, count, step in runs:
        slot, picked = rows.cut(axis, at, count), source.cut(axis, begin, count, step)
        ctx.emit(Copy(slot, picked, operator=op.index, tensor=out.index, label="gather"))
        at += count
    return rows


def gather(ctx: Lowering, op: Operator) -> None:
    """Slices of the first input at the indices of the second; TFLite Micro does not check those, the board clamps."""
    source, indices, out = ctx.tensor(op, 0), ctx.tensor(op, 1), ctx.output(op)
    ctx.require_type(op, source, "FLOAT32", "INT8")
    ctx.require_type(op, out, source.type)
    ctx.require_type(op, indices, "INT32")
    rank, given = len(source.shape), op.options["BatchDims"]
    axis = axis_of(op.options["Axis"], rank)
    batch_dims = given + (len(indices.shape) if given < 0 else 0)
    if not 0 <= batch_dims <= axis or batch_dims > len(indices.shape):
        ctx.refuse(op, f"gathers along dimension {op.options['Axis']} of {rank} with {given} batch dimensions")
    if source.shape[:batch_dims] != indices.shape[:batch_dims]:
        ctx.refuse(op, f"gathers from shape {list(source.shape)} by indices of shape {list(indices.shape)}")
    shape = (*source.shape[:axis], *indices.shape[batch_dims:], *source.shape[axis + 1 :])
    if shape != out.shape:
        ctx.refuse(op, f"gives shape {list(shape)}, its output says {list(out.shape)}")
    if indices.data is not None:
        known = ctx.integers(op, 1)
        if not all(0 <= index < source.shape[axis] for index in known):
            ctx.refuse(op, f"has indices outside its {source.shape[axis]} rows")
        if batch_dims == 0 and len(indices.shape) < 2:
            view = _fixed(ctx, op, axis, known, out)
            if view is not None:
                ctx.define(out, view if indices.shape else view.only(axis, 0))
                return
    _gather(ctx, op, axis, batch_dims)


def _gather(ctx: Lowering, op: Operator, axis: int, batch_dims: int) -> None:
    source, out = ctx.tensor(op, 0), ctx.output(op)
    rows = ctx.dense(op, 0, ALL_TYPES)
    picks = ctx.dense(op, 1, ("INT32",))
    batches, outers, inner = 1, 1, source.item
    for i, size in enumerate(source.shape):
        if i < batch_dims:
            batches *= size
        elif i < axis:
            outers *= size
        elif i > axis:
            inner *= size
    target = ctx.place(out)
    ctx.emit(
        Gather(
            target, rows, picks, batches, outers, source.shape[axis], inner,
            operator=op.index, tensor=out.index, label="gather",
        )
    )  # fmt: skip
    ctx.define(out, target)


RULES = {"GATHER": Rule(gather, (2, 2), places=True)}
