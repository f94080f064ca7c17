"""The model's inputs and outputs: in the arena in their own type, where int8 tensors are held plus 128 in between.

Bit 7 is flipped by a copy onto another storage; where nothing else needs the first one, both lie at one address
(memory.py), and the copy becomes a flip in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodydouble.compiler.errors import UnsupportedModelError
from bodydouble.compiler.model import TYPE_CODES, Tensor
from bodydouble.compiler.steps import Port
from bodydouble.compiler.steps_move import Constant, Copy
from bodydouble.compiler.views import Storage, View, whole

if TYPE_CHECKING:
    from bodydouble.compiler.lower import Lowering

PORTS_MAX = 8


def _flip(tensor: Tensor) -> int:
    return 0x80 if tensor.type == "INT8" else 0


def import_inputs(ctx: Lowering) -> list[Port]:
    """A port for each input of the graph, and the steps that bring them to where they are read."""
    ports = []
    for index in ctx.graph.inputs:
        tensor = ctx.tensors[index]
        _check(ctx, tensor)
        storage = Storage(f"input {tensor.name}", tensor.elements * tensor.item)
        port = _port(tensor, whole(storage, tensor.shape, tensor.item))
        ports.append(port)
        if _flip(tensor) or index in ctx.slots:
            target = ctx.place(tensor)
            ctx.emit(Copy(target, port.view, _flip(tensor), tensor=index, label="input"))
            ctx.define(tensor, target)
        else:
            ctx.define(tensor, port.view)
    return ports


def export_outputs(ctx: Lowering, inputs: list[Port]) -> list[Port]:
    """A port for each output of the graph, and the steps that bring them there."""
    ports = []
    taken = {port.view.storage for port in inputs}
    for index in ctx.graph.outputs:
        tensor = ctx.tensors[index]
        _check(ctx, tensor)
        view = ctx.views.get(index)
        if view is None and tensor.data is None:
            raise UnsupportedModelError(
                f"{ctx.source}: output '{tensor.name}' ({tensor.type}) is not computed by any operation",
                hint="export the model with its result as output",
            )
        if view is None:
            view = _storage(tensor)
            ctx.emit(Constant(view.storage, 0, tensor.data or b"", tensor=index, label="output"))
        elif _flip(tensor) or not view.contiguous or view.storage.persistent or view.storage in taken:
            target = _storage(tensor)
            ctx.emit(Copy(target, view, _flip(tensor), tensor=index, label="output"))
            view = target
        ports.append(_port(tensor, view))
    return ports


def check_ports(ctx: Lowering) -> None:
    """Refuse a graph with no input or output, with more than a plan names, or with inputs that are none."""
    counts = (len(ctx.graph.inputs), len(ctx.graph.outputs))
    if not all(1 <= count <= PORTS_MAX for count in counts):
        raise UnsupportedModelError(
            f"{ctx.source}: the model has {counts[0]} inputs and {counts[1]} outputs, not 1 to {PORTS_MAX} of each",
            hint="give a whole model, exported with the inputs and outputs that the board needs",
        )
    for index in ctx.graph.inputs:
        if ctx.tensors[index].data is not None or ctx.graph.inputs.count(index) > 1:
            raise UnsupportedModelError(
                f"{ctx.source}: input '{ctx.tensors[index].name}' is a constant or named twice",
                hint="export the model with an input of its own for each value",
            )


def _storage(tensor: Tensor) -> View:
    return whole(Storage(f"output {tensor.name}", tensor.elements * tensor.item), tensor.shape, tensor.item)


def _check(ctx: Lowering, tensor: Tensor) -> None:
    if tensor.type not in TYPE_CODES:
        raise UnsupportedModelError(
            f"{ctx.source}: input or output '{tensor.name}' is of type {tensor.type}",
            hint="convert the model with full int8 quantisation",
        )
    q = tensor.quantisation
    if q and not q.whole(tensor.type):
        raise UnsupportedModelError(
            f"{ctx.source}: input or output '{tensor.name}' has {len(q.scales)} scales, zero {q.zero_point}",
            hint="convert the model with full int8 quantisation, inputs and outputs included",
        )


def _port(tensor: Tensor, view: View) -> Port:
    q = tensor.quantisation
    return Port(view, tensor.type, q.scale if q else 1.0, q.zero_point if q else 0)
