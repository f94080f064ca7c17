"""Operations that put tensors into a larger one: CONCATENATION, PACK, PAD, PADV2; parts are written there at once."""

from __future__ import annotations

from bodydouble.compiler.lower import ALL_TYPES, ANY, Lowering, Rule
from bodydouble.compiler.model import TYPE_CODES, Operator, Tensor
from bodydouble.compiler.slots import Slot, axis_of, slots_of
from bodydouble.compiler.steps_move import Copy, Fill
from bodydouble.compiler.views import View

_JOINED_MAX = 10
_JOINED_TYPES = ("FLOAT32", "INT8", "INT16", "INT32", "INT64", "BOOL")
_PACKED_TYPES = ("FLOAT32", "INT8", "INT16", "INT32", "INT64")
_PADDED_TYPES = ("FLOAT32", "INT8", "INT16", "INT32")
_PADDED_RANK_MAX = 5


def _scaling(tensor: Tensor) -> tuple[tuple[float, ...], tuple[int, ...]]:
    q = tensor.quantisation
    return (q.scales, q.zero_points) if q else ((0.0,), (0,))


def _put(ctx: Lowering, op: Operator, position: int, slot: View) -> None:
    # Copy an input to `slot`, unless it was written there.
    view = ctx.view(op, position, ALL_TYPES)
    if not view.same_place(slot):
        label = op.kind.lower()
        ctx.emit(Copy(slot, view, operator=op.index, tensor=op.outputs[0], label=label))


def concatenation_slots(ctx: Lowering, op: Operator) -> dict[int, Slot]:
    """Where each input lies in the output, by position; none where their shapes do not fit together."""
    out, parts = ctx.tensors[op.outputs[0]], [ctx.tensors[i] for i in op.inputs]
    rank = len(out.shape)
    axis = axis_of(op.options["Axis"], rank)
    if axis < 0 or out.type not in TYPE_CODES or any(p.type != out.type or len(p.shape) != rank for p in parts):
        return {}
    rest = (*out.shape[:axis], *out.shape[axis + 1 :])
    if any((*p.shape[:axis], *p.shape[axis + 1 :]) != rest for p in parts):
        return {}
    if sum(p.shape[axis] for p in parts) != out.shape[axis]:
        return {}
    return slots_of(out.index, [(p.shape[axis], p.shape) for p in parts], axis, rank)


def concatenation(ctx: Lowering, op: Operator) -> None:
    """Inputs that were not written in place are copied."""
    out, parts = ctx.output(op), [ctx.tensor(op, i) for i in range(len(op.inputs))]
    ctx.require_type(op, out, *_JOINED_TYPES)
    for part in parts:
        ctx.require_type(op, part, out.type)
        if out.type == "INT8" and _scaling(part) != _scaling(out):
            ctx.refuse(op, f"joins tensor '{part.name}' of another scale or zero point")
        if out.type == "INT16" and any(zero for tensor in (part, out) for zero in _scaling(tensor)[1]):
            ctx.refuse(op, f"joins tensor '{part.name}' with a zero point that is not 0")
    if op.options["FusedActivationFunction"]:
        ctx.refuse(op, "has an activation")
    if len(parts) > _JOINED_MAX:
        ctx.refuse(op, f"joins {len(parts)} tensors, at most {_JOINED_MAX}")
    slots = concatenation_slots(ctx, op)
    if not slots:
        shapes = [list(part.shape) for part in parts]
        ctx.refuse(op, f"joins shapes {shapes} into {list(out.shape)} along dimension {op.options['Axis']}")
    target = ctx.place(out)
    for position, slot in slots.items():
        if out.index in ctx.streams and position == 0:
            continue  # the rows that are there already
        _put(ctx, op, position, slot.within(target))
    ctx.define(out, target)


def pack_slots(ctx: Lowering, op: Operator) -> dict[int, Slot]:
    """Where each input lies in the output, by position."""
    out, parts = ctx.tensors[op.outputs[0]], [ctx.tensors[i] for i in op.inputs]
    rank = len(out.shape)
    axis = axis_of(op.options["Axis"], rank)
    if axis < 0 or out.shape[axis] != len(parts) or out.type not in TYPE_CODES:
        return {}
    shape = (*out.shape[:axis], *out.shape[axis + 1 :])
    if any(p.type != out.type or p.shape != shape for p in parts):
        return {}
    return slots_of(out.index, [(1, shape) for _ in parts], axis, rank)


def pack(ctx: Lowering, op: Operator) -> None:
    """A new dimension, an input at each of its places."""
    out = ctx.output(op)
    ctx.require_type(op, out, *_PACKED_TYPES)
    slots = pack_slots(ctx, op)
    if not slots or op.options["ValuesCount"] != len(op.inputs):
        shapes = [list(ctx.tensors[i].shape) for i in op.inputs[:8]]
        ctx.refuse(op, f"packs shapes {shapes} into {list(out.shape)} along dimension {op.options['Axis']}")
    target = ctx.place(out)
    for position, slot in slots.items():
        _put(ctx, op, position, slot.within(target))
    ctx.define(out, target)


def _pads(ctx: Lowering, op: Operator) -> list[tuple[int, int]]:
    """Elements before and behind, for each dimension."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, ctx.tensor(op, 1), "INT32")
    numbers, rank = ctx.integers(op, 1), len(source.shape)
    pads = list(zip(numbers[::2], numbers[1::2], strict=False))
    if len(numbers) != 2 * rank or len(out.shape) != rank or rank > _PADDED_RANK_MAX:
        ctx.refuse(op, f"pads {len(numbers) // 2} dimensions of {rank}, at most {_PADDED_RANK_MAX}")
    shape = tuple(before + size + behind for (before, behind), size in zip(pads, source.shape, strict=True))
    if min(numbers, default=0) < 0 or shape != out.shape:
        ctx.refuse(op, f"pads {list(source.shape)} by {numbers}, its output says {list(out.shape)}")
    return pads


def _pad_byte(ctx: Lowering, op: Operator) -> int | None:
    """What every byte of the border is, as the arena holds it; None where they differ or come at run time."""
    out = ctx.output(op)
    flip = 0x80 if out.type == "INT8" else 0
    if len(op.inputs) < 3:
        # Only int8 is padded with its zero point.
        return (out.quantisation.zero_point & 255 if out.quantisation and flip else 0) ^ flip
    data = set(ctx.tensor(op, 2).data or b"")
    return data.pop() ^ flip if len(data) == 1 else None


def pad_slots(ctx: Lowering, op: Operator) -> dict[int, Slot]:
    """Where the input lies in the output, which is filled before."""
    source, out = ctx.tensors[op.inputs[0]], ctx.tensors[op.outputs[0]]
    if source.type != out.type or out.type not in _PADDED_TYPES or source.shape == out.shape or min(op.inputs) < 0:
        return {}
    starts = tuple(before for before, _ in _pads(ctx, op))
    byte = _pad_byte(ctx, op)
    return {} if byte is None else {0: Slot(out.index, starts, source.shape, -1, byte, op.index)}


def pad(ctx: Lowering, op: Operator) -> None:
    """A border around a tensor; with three inputs of the value given, else of the zero point."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, *_PADDED_TYPES)
    ctx.require_type(op, out, source.type)
    pads = _pads(ctx, op)
    if source.type == "INT8" and out.quantisation and not out.quantisation.whole("INT8"):
        ctx.refuse(op, "needs one scale and a zero point of its type")
    if len(op.inputs) > 2:
        value = ctx.tensor(op, 2)
        ctx.require_type(op, value, source.type)
        if value.elements != 1 or (source.type == "INT8" and _scaling(value) != _scaling(out)):
            ctx.refuse(op, f"pads with tensor '{value.name}', which is no single value of the same scale")
    if source.shape == out.shape:
        ctx.define(out, ctx.view(op, 0, ALL_TYPES))
        return
    starts = tuple(before for before, _ in pads)
    target = ctx.place(out)
    inside = Slot(out.index, starts, source.shape).within(target)
    byte = _pad_byte(ctx, op)
    if not ctx.view(op, 0, ALL_TYPES).same_place(inside):
        if byte is None:
            border = ctx.view(op, 2, ALL_TYPES).repeated(out.shape)
            ctx.emit(Copy(target, border, operator=op.index, label="pad"))
        else:
            ctx.emit(Fill(target.storage, target.offset, target.bytes, byte, operator=op.index, label="pad"))
        _put(ctx, op, 0, inside)
    ctx.define(out, target)


RULES = {
    "CONCATENATION": Rule(concatenation, (1, ANY), places=True, places_rows=True, slots=concatenation_slots),
    "PACK": Rule(pack, (1, ANY), places=True, places_rows=True, slots=pack_slots),
    "PAD": Rule(pad, (2, 3), places=True, slots=pad_slots),
    "PADV2": Rule(pad, (2, 3), places=True, slots=pad_slots),
}
