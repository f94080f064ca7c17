"""Operations write straight into what their output becomes a part of: a concatenation, a stack, a padded tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.views import View

if TYPE_CHECKING:
    from bodydouble.compiler.lower import Lowering

# Operations that show the bytes of their first input in another shape.
RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
_DEPTH_MAX = 32


@dataclass(frozen=True)
class Slot:
    """Where a tensor of `shape` lies in tensor `parent`: its first element, and the dimension that it lacks.

    `fill`: the byte that all of the parent is set to before anything is written there, for operation `operator`.
    """

    parent: int
    starts: tuple[int, ...]
    shape: tuple[int, ...]
    lacks: int = -1
    fill: int | None = None
    operator: int = -1

    def within(self, outer: View) -> View:
        """The slot as a view, when its parent lies at `outer`."""
        offset = outer.offset + sum(n * stride for n, stride in zip(self.starts, outer.strides, strict=True))
        strides = tuple(stride for i, stride in enumerate(outer.strides) if i != self.lacks)
        return View(outer.storage, offset, self.shape, strides, outer.item)


def _owner(ctx: Lowering, index: int) -> int:
    # The tensor whose bytes `index` shows.
    seen = 0
    while index in ctx.producers and ctx.producers[index].kind in RESHAPES and seen < len(ctx.graph.operators):
        index, seen = ctx.producers[index].inputs[0], seen + 1
    return index


def choose_slots(ctx: Lowering) -> None:
    """Fill `ctx.slots`: for each tensor that can be written in place, where that is.

    Parents come after their parts, so the operations are taken from the last to the first: a parent's own slot is
    known by then. A slot with gaps between its rows only does for a producer that can leave gaps, and only where
    nothing else reads the tensor, which would then have to copy it.
    """
    for op in reversed(ctx.graph.operators):
        find = ctx.rules[op.kind].slots
        if not find:
            continue
        for position, slot in find(ctx, op).items():
            tensor = ctx.tensors[op.inputs[position]]
            owner = _owner(ctx, tensor.index)
            if owner < 0 or owner in ctx.slots or owner in ctx.streams or len(ctx.chain(slot.parent)) >= _DEPTH_MAX:
                continue
            producer = ctx.producers.get(owner)
            if producer is not None and producer.index >= op.index:
                continue  # a graph out of order, which its handlers refuse
            source = ctx.tensors[owner]
            if source.data is not None or source.elements != tensor.elements or source.type != tensor.type:
                continue
            if _writes(ctx, owner, slot.within(ctx.where(ctx.tensors[slot.parent]))):
                ctx.slots[owner] = slot


def _writes(ctx: Lowering, owner: int, view: View) -> bool:
    # Whether what makes tensor `owner` can put it at `view`.
    shape = ctx.tensors[owner].shape
    producer = ctx.producers.get(owner)
    if producer is None:
        return owner in ctx.graph.inputs and (view.contiguous or view.shape == shape)
    rule = ctx.rules[producer.kind]
    if view.contiguous:
        return rule.places
    alone = len(ctx.consumers.get(owner, [])) == 1 and owner not in ctx.graph.outputs
    return rule.places_rows and alone and view.shape == shape and view.strides[-1] == view.item


def slots_of(parent: int, parts: list[tuple[int, tuple[int, ...]]], axis: int, rank: int) -> dict[int, Slot]:
    """Slots one behind the other along `axis`: for parts of (size along it, shape), by position."""
    found, at = {}, 0
    for position, (size, shape) in enumerate(parts):
        starts = tuple(at if i == axis else 0 for i in range(rank))
        found[position] = Slot(parent, starts, shape, axis if len(shape) < rank else -1)
        at += size
    return found


def axis_of(given: int, rank: int) -> int:
    """`given` as a dimension from 0, or -1 where there is none."""
    return given + rank if -rank <= given < 0 else given if 0 <= given < rank else -1


def leading(op_shape: tuple[int, ...], axis: int) -> bool:
    """True when only dimensions of one element come before `axis`."""
    return all(size == 1 for size in op_shape[:axis])
