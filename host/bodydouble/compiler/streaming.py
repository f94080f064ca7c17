"""Finds the streaming pattern: READ_VARIABLE -> CONCATENATION with new rows -> STRIDED_SLICE -> ASSIGN_VARIABLE.

A buffer of the concatenation's size then does for the state: it survives from one inference to the next, its rows are
moved towards its start when an inference begins, and the new rows are written straight behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.model import Operator, Subgraph
from bodydouble.compiler.slots import axis_of, leading

if TYPE_CHECKING:
    from bodydouble.compiler.lower import Lowering


@dataclass(frozen=True)
class Stream:
    """One streaming buffer: `bytes` of state, which lie at `kept_from` when an inference has ended."""

    variable: str
    bytes: int
    kept_from: int
    read: int
    slice: int
    assign: int


def variable_names(ctx: Lowering, graph: Subgraph) -> dict[int, str]:
    """The variable that each handle tensor of `graph` stands for."""
    names: dict[int, str] = {}
    for op in graph.operators:
        if op.kind != "VAR_HANDLE":
            continue
        if len(op.outputs) != 1:
            ctx.refuse(op, "has no output")
        container, name = op.options["Container"] or b"", op.options["SharedName"] or b""
        names[op.outputs[0]] = (container + b"/" + name).decode("utf-8", "replace")
    return names


def variable_uses(ctx: Lowering) -> dict[str, list[Operator]]:
    """The operations of the graph that read or assign each variable."""
    uses: dict[str, list[Operator]] = {}
    for op in ctx.graph.operators:
        if op.kind in ("READ_VARIABLE", "ASSIGN_VARIABLE") and op.inputs[0] in ctx.handles:
            uses.setdefault(ctx.handles[op.inputs[0]], []).append(op)
    return uses


def find_streams(ctx: Lowering) -> dict[int, Stream]:
    """The streaming buffers, by the tensor that the concatenation writes."""
    streams: dict[int, Stream] = {}
    for name, ops in ctx.uses.items():
        if [op.kind for op in ops] != ["READ_VARIABLE", "ASSIGN_VARIABLE"]:
            continue
        found = _match(ctx, name, *ops)
        if found and found[0] not in streams:
            streams[found[0]] = found[1]
    return streams


def _match(ctx: Lowering, name: str, read: Operator, assign: Operator) -> tuple[int, Stream] | None:
    from bodydouble.compiler.ops_join import concatenation_slots  # noqa: PLC0415  -- lower imports this module
    from bodydouble.compiler.ops_slice import slice_bounds  # noqa: PLC0415

    if len(read.outputs) != 1 or len(assign.inputs) != 2:
        return None
    state, kept = read.outputs[0], assign.inputs[1]
    readers = ctx.consumers.get(state, [])
    cut = ctx.producers.get(kept)
    if (
        len(readers) != 1
        or readers[0].kind != "CONCATENATION"
        or readers[0].inputs.count(state) != 1
        or readers[0].inputs[0] != state
        or state in ctx.graph.outputs
        or cut is None
        or cut.kind != "STRIDED_SLICE"
        or cut.inputs[0] not in readers[0].outputs
        or ctx.consumers.get(kept) != [assign]
        or kept in ctx.graph.outputs
        or not concatenation_slots(ctx, readers[0])
    ):
        return None
    joined = ctx.tensors[cut.inputs[0]]
    axis = axis_of(readers[0].options["Axis"], len(joined.shape))
    if not leading(joined.shape, axis):
        return None  # the rows do not follow one another
    bounds = slice_bounds(ctx, cut)
    row = joined.elements // joined.shape[axis] * joined.item
    whole_elsewhere = all(
        begin == 0 and count == size and step == 1
        for i, ((begin, count, step), size) in enumerate(zip(bounds, joined.shape, strict=True))
        if i != axis
    )
    begin, count, step = bounds[axis]
    size = ctx.tensors[state].elements * joined.item
    same_types = len({ctx.tensors[i].type for i in (state, kept, joined.index)}) == 1
    if not whole_elsewhere or step != 1 or count * row != size or not same_types:
        return None
    return joined.index, Stream(name, size, begin * row, read.index, cut.index, assign.index)
