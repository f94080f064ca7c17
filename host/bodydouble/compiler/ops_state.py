"""State that lives from one inference to the next: variables and their first values."""

from __future__ import annotations

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.steps_move import Constant, Copy, Fill
from bodydouble.compiler.streaming import Stream, variable_names
from bodydouble.compiler.views import Storage, View, whole


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
        if value.data is None or value.type != "INT8":
            ctx.refuse(op, f"assigns tensor '{value.name}' ({value.type}), which is no INT8 constant")
        if names[inner.inputs[0]] in ctx.variables:
            ctx.refuse(op, f"assigns '{names[inner.inputs[0]]}' after it was used")
        ctx.first_values[names[inner.inputs[0]]] = value


def var_handle(ctx: Lowering, _op: Operator) -> None:
    """Notes the variable's name."""
    ctx.handles.update(variable_names(ctx, ctx.graph))


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


def _start(ctx: Lowering, op: Operator, name: str, view: View, value: Tensor) -> None:
    # TFLite Micro starts a variable without a first value at its zero point.
    first = ctx.first_values.get(name)
    data = ctx.biased(first) if first else bytes([ctx.quantisation(op, value).zero_point + 128]) * view.size
    if len(data) != view.size:
        ctx.refuse(op, f"uses '{name}' with {view.size} bytes, its first value has {len(data)}")
    if len(set(data)) == 1:
        ctx.setup.append(Fill(view.storage, view.offset, view.size, data[0], operator=op.index, label="first value"))
    else:
        ctx.setup.append(Constant(view.storage, view.offset, data, operator=op.index, label="first value"))


def _variable(ctx: Lowering, op: Operator, value: Tensor) -> View:
    name = _name(ctx, op)
    ctx.require_type(op, value, "INT8")
    if name not in ctx.variables:
        view = whole(Storage(f"variable {name}", value.elements, persistent=True), value.shape)
        ctx.variables[name] = view
        _start(ctx, op, name, view, value)
    view = ctx.variables[name]
    if view.size != value.elements:
        ctx.refuse(op, f"uses '{name}' with {value.elements} bytes, elsewhere it has {view.size}")
    return view.reshaped(value.shape)


def read_variable(ctx: Lowering, op: Operator) -> None:
    """A view while nothing assigns the variable before its last use; else a copy."""
    out = ctx.output(op)
    found = _stream(ctx, op)
    if found:
        index, stream = found
        joined = ctx.place(ctx.tensors[index])
        state = View(
            joined.storage, joined.offset + stream.kept_from, out.shape, whole(joined.storage, out.shape).strides
        )
        ctx.variables[stream.variable] = state
        _start(ctx, op, stream.variable, state, out)
        ctx.define(out, View(joined.storage, joined.offset, out.shape, state.strides))
        return
    view = _variable(ctx, op, out)
    name = _name(ctx, op)
    assigned = any(
        other.kind == "ASSIGN_VARIABLE" and other.index > op.index and ctx.handles.get(other.inputs[0]) == name
        for other in ctx.graph.operators
    )
    if assigned:
        target = ctx.place(out)
        ctx.emit(Copy(target, view, operator=op.index, tensor=out.index, label="read state"))
        view = target
    ctx.define(out, view)


def assign_variable(ctx: Lowering, op: Operator) -> None:
    """A copy, unless the streaming buffer holds the value already."""
    if _stream(ctx, op):
        return
    value = ctx.tensor(op, 1)
    ctx.emit(Copy(_variable(ctx, op, value), ctx.view(op, 1), operator=op.index, label="keep state"))


RULES = {
    "ASSIGN_VARIABLE": Rule(assign_variable, (2, 2), (0, 0)),
    "CALL_ONCE": Rule(call_once, (0, 0), (0, 0)),
    "READ_VARIABLE": Rule(read_variable, (1, 1)),
    "VAR_HANDLE": Rule(var_handle, (0, 0)),
}
