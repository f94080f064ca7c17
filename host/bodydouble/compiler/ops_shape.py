"""Operations that show the same elements in another shape or order: no step, unless a reshape meets gaps."""

from __future__ import annotations

import struct

from bodydouble.compiler.lower import ALL_TYPES, Lowering, Rule
from bodydouble.compiler.model import Operator
from bodydouble.compiler.steps_move import Constant

RANK_MAX = 5  # of tflite-micro's kernels for most of these


def reshape(ctx: Lowering, op: Operator) -> None:
    """The same bytes in the output's shape: TFLite Micro looks neither at the second input nor at the options."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, out, source.type)
    if source.elements != out.elements:
        ctx.refuse(op, f"turns {source.elements} elements into {out.elements}")
    ctx.define(out, ctx.dense(op, 0, ALL_TYPES).reshaped(out.shape))


def expand_dims(ctx: Lowering, op: Operator) -> None:
    """A dimension of one element more."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "FLOAT32", "INT16", "INT8")
    ctx.require_type(op, ctx.tensor(op, 1), "INT32")
    axes, rank = ctx.integers(op, 1), len(source.shape)
    axis = axes[0] + (rank + 1 if axes[0] < 0 else 0) if len(axes) == 1 else -1
    if not 0 <= axis <= rank or out.shape != (*source.shape[:axis], 1, *source.shape[axis:]):
        ctx.refuse(op, f"makes shape {list(out.shape)} of {list(source.shape)} at dimension {axes}")
    reshape(ctx, op)


def squeeze(ctx: Lowering, op: Operator) -> None:
    """Dimensions of one element less."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    if [n for n in source.shape if n != 1] != [n for n in out.shape if n != 1]:
        ctx.refuse(op, f"makes shape {list(out.shape)} of {list(source.shape)}")
    reshape(ctx, op)


def transpose(ctx: Lowering, op: Operator) -> None:
    """A view with its steps in another order; who needs them in a row copies them."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "FLOAT32", "INT16", "INT8")
    ctx.require_type(op, out, source.type)
    ctx.require_type(op, ctx.tensor(op, 1), "INT32")
    order, rank = ctx.integers(op, 1), len(source.shape)
    if sorted(order) != list(range(rank)) or rank > RANK_MAX:
        ctx.refuse(op, f"puts {rank} dimensions in the order {order}")
    view = ctx.view(op, 0, ALL_TYPES).ordered(tuple(order))
    if view.shape != out.shape:
        ctx.refuse(op, f"gives shape {list(view.shape)}, its output says {list(out.shape)}")
    ctx.define(out, view)


def shape(ctx: Lowering, op: Operator) -> None:
    """The input's shape, known here."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, out, "INT32")
    if out.shape != (len(source.shape),):
        ctx.refuse(op, f"gives {len(source.shape)} numbers, its output says {list(out.shape)}")
    target = ctx.place(out)
    data = struct.pack(f"<{len(source.shape)}i", *source.shape)
    ctx.emit(Constant(target.storage, target.offset, data, operator=op.index, tensor=out.index, label="shape"))
    ctx.define(out, target)


RULES = {
    "EXPAND_DIMS": Rule(expand_dims, (2, 2)),
    "RESHAPE": Rule(reshape, (1, 2)),
    "SHAPE": Rule(shape, (1, 1), places=True),
    "SQUEEZE": Rule(squeeze, (1, 1)),
    "TRANSPOSE": Rule(transpose, (2, 2)),
}
