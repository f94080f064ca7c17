"""Finds the streaming pattern: READ_VARIABLE -> CONCATENATION with new rows -> STRIDED_SLICE -> ASSIGN_VARIABLE.

A buffer of the concatenation's size then does for the state: it survives from one inference to the next, its rows are
moved towards its start when an inference begins, and the new rows are written straight behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.model import Operator, Subgraph

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


def find_streams(ctx: Lowering) -> dict[int, Stream]:
    """The streaming buffers, by the tensor that the concatenation writes."""
    names = variable_names(ctx, ctx.graph)
    uses: dict[str, list[Operator]] = {}
    for op in ctx.graph.operators:
        if op.kind in ("READ_VARIABLE", "ASSIGN_VARIABLE") and op.inputs and op.inputs[0] in names:
            uses.setdefault(names[op.inputs[0]], []).append(op)
    streams: dict[int, Stream] = {}
    for name, ops in uses.items():
        if [op.kind for op in ops] != ["READ_VARIABLE", "ASSIGN_VARIABLE"]:
            continue
        found = _match(ctx, name, *ops)
        if found and found[0] not in streams:
            streams[found[0]] = found[1]
    return streams


def _match(ctx: Lowering, name: str, read: Operator, assign: Operator) -> tuple[int, Stream] | None:
    from bodydouble.compiler.lower import concatenation_slots  # noqa: PLC0415  -- lower imports this module
    from bodydouble.compiler.ops_shape import slice_bounds  # noqa: PLC0415

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
    bounds = slice_bounds(ctx, cut)
    axis = next((i for i, size in enumerate(joined.shape) if size != 1), 0)
    row = joined.elements // joined.shape[axis]
    whole_elsewhere = all(
        begin == 0 and count == size and step == 1
        for i, ((begin, count, step), size) in enumerate(zip(bounds, joined.shape, strict=True))
        if i != axis
    )
    begin, count, step = bounds[axis]
    size = ctx.tensors[state].elements
    same_types = {ctx.tensors[i].type for i in (state, kept, joined.index)} <= {"INT8"}
    if not whole_elsewhere or step != 1 or count * row != size or not same_types:
        return None
    return joined.index, Stream(name, size, begin * row, read.index, cut.index, assign.index)
