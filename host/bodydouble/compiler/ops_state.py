"""State that lives from one inference to the next: variables and their first values."""

from __future__ import annotations

from bodydouble.compiler.lower import ALL_TYPES, Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.steps_move import Constant, Copy, Fill
from bodydouble.compiler.streaming import Stream, variable_names
from bodydouble.compiler.views import Storage, View, dense_strides, whole


def call_once(ctx: Lowering, op: Operator) -> None:
    """Collects the variables' first values from a graph that does nothing but assign constants."""
    index = op.options["InitSubgraphIndex"]
    if not 0 < index < len(ctx.model.subgraphs):
        ctx.refuse(op, f"calls graph {index}, which is not there")
    graph = ctx.model.subgraphs[index]
    names = variable_names(ctx, graph)
    for inner in graph.operators:
        if inner.kind == "VAR_HANDLE":
            continue
        if inner.kind != "ASSIGN_VARIABLE" or len(inner.inputs) != 2 or inner.inputs[0] not in names:
            ctx.refuse(op, f"runs {inner.kind}; only constants may be assigned there")
        value = graph.tensors[inner.inputs[1]]
        if value.data is None or value.type not in ALL_TYPES:
            ctx.refuse(op, f"assigns tensor '{value.name}' ({value.type}), which is no constant")
        if names[inner.inputs[0]] in ctx.variables:
            ctx.refuse(op, f"assigns '{names[inner.inputs[0]]}' after it was used")
        ctx.first_values[names[inner.inputs[0]]] = value


def var_handle(_ctx: Lowering, _op: Operator) -> None:
    """A name, which the lowering knows already."""


def _name(ctx: Lowering, op: Operator) -> str:
    handle = ctx.tensor(op, 0)
    if handle.index not in ctx.handles:
        ctx.refuse(op, f"uses tensor '{handle.name}', which is no variable")
    return ctx.handles[handle.index]


def _stream(ctx: Lowering, op: Operator) -> tuple[int, Stream] | None:
    for index, stream in ctx.streams.items():
        if op.index in (stream.read, stream.assign):
            return index, stream
    return None


def _first_assigned(ctx: Lowering, op: Operator, name: str) -> Tensor:
    # TFLite Micro makes a variable's room from the first tensor that any graph assigns to it.
    for graph in ctx.model.subgraphs:
        names = variable_names(ctx, graph)
        for other in graph.operators:
            if other.kind == "ASSIGN_VARIABLE" and names.get(other.inputs[0]) == name:
                return graph.tensors[other.inputs[1]]
    return ctx.refuse(op, f"reads '{name}', which nothing assigns")


def _start(ctx: Lowering, op: Operator, name: str, view: View, kind: str) -> None:
    # A variable without a first value starts with its zero point, as a byte, in every byte.
    first = ctx.first_values.get(name)
    assigned = _first_assigned(ctx, op, name)
    flip = 0x80 if kind == "INT8" else 0
    zero = assigned.quantisation.zero_points[0] if assigned.quantisation else 0
    data = ctx.biased(first) if first else bytes([zero & 255 ^ flip])
    if (first and len(data) != view.bytes) or {assigned.type, first.type if first else kind} != {kind}:
        ctx.refuse(op, f"uses '{name}' as {view.bytes} bytes of {kind}, elsewhere it is another tensor")
    if data.count(data[0]) == len(data):
        ctx.setup.append(Fill(view.storage, view.offset, view.bytes, data[0], operator=op.index, label="first value"))
    else:
        ctx.setup.append(Constant(view.storage, view.offset, data, operator=op.index, label="first value"))


def _variable(ctx: Lowering, op: Operator, value: Tensor) -> View:
    name = _name(ctx, op)
    ctx.require_type(op, value, *ALL_TYPES)
    if name not in ctx.variables:
        storage = Storage(f"variable {name}", value.elements * value.item, persistent=True)
        ctx.variables[name] = whole(storage, value.shape, value.item)
        ctx.kinds[name] = value.type
        _start(ctx, op, name, ctx.variables[name], value.type)
    view = ctx.variables[name]
    if view.size != value.elements or ctx.kinds[name] != value.type:
        ctx.refuse(op, f"uses '{name}' as {value.elements} elements of {value.type}, elsewhere it has {view.size}")
    return view.reshaped(value.shape)


def read_variable(ctx: Lowering, op: Operator) -> None:
    """A view while nothing assigns the variable later on; else a copy."""
    out = ctx.output(op)
    found = _stream(ctx, op)
    if found:
        index, stream = found
        joined = ctx.where(ctx.tensors[index])
        strides = dense_strides(out.shape, out.item)
        state = View(joined.storage, joined.offset + stream.kept_from, out.shape, strides, out.item)
        ctx.variables[stream.variable] = state
        _start(ctx, op, stream.variable, state, out.type)
        ctx.define(out, View(joined.storage, joined.offset, out.shape, strides, out.item))
        return
    view = _variable(ctx, op, out)
    if any(other.kind == "ASSIGN_VARIABLE" and other.index > op.index for other in ctx.uses[_name(ctx, op)]):
        target = ctx.place(out)
        ctx.emit(Copy(target, view, operator=op.index, tensor=out.index, label="read state"))
        view = target
    ctx.define(out, view)


def assign_variable(ctx: Lowering, op: Operator) -> None:
    """A copy, unless the streaming buffer holds the value already."""
    if _stream(ctx, op):
        return
    value = ctx.tensor(op, 1)
    target = _variable(ctx, op, value)
    ctx.emit(Copy(target, ctx.view(op, 1, ALL_TYPES), operator=op.index, label="keep state"))


RULES = {
    "ASSIGN_VARIABLE": Rule(assign_variable, (2, 2), (0, 0)),
    "CALL_ONCE": Rule(call_once, (0, 0), (0, 0)),
    "READ_VARIABLE": Rule(read_variable, (1, 1)),
    "VAR_HANDLE": Rule(var_handle, (0, 0)),
}
