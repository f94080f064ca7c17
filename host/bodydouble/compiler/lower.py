"""From the model's graph to steps: views where nothing must move, in-place streaming buffers, copies elsewhere.

int8 tensors are held plus 128 on the board, so that its kernels need no sign extension; uint8 tensors as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from bodydouble.compiler.errors import UnsupportedModelError
from bodydouble.compiler.model import TYPE_CODES, Model, Operator, Quantisation, Subgraph, Tensor
from bodydouble.compiler.steps import Port, Program, Step
from bodydouble.compiler.steps_move import Constant, Copy, Shift
from bodydouble.compiler.streaming import Stream, find_streams
from bodydouble.compiler.views import Storage, View, dense_strides, whole

ANY = 1 << 10  # as many inputs or outputs as there are
BYTES = ("INT8", "UINT8")
ALL_TYPES = tuple(TYPE_CODES)
_ZERO_POINTS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "INT32": (0, 0), "INT64": (0, 0)}


@dataclass(frozen=True)
class Rule:
    """How an operation is lowered: its handler, and the fewest and most inputs and outputs that it may have.

    Only inputs behind the fewest may be absent. `places`: it writes its output where `Lowering.place` says.
    """

    lower: Callable[[Lowering, Operator], None]
    inputs: tuple[int, int]
    outputs: tuple[int, int] = (1, 1)
    places: bool = False


class Lowering:
    """The state of lowering one model; the handlers in ops_*.py work on it."""

    def __init__(self, model: Model, rules: Mapping[str, Rule]) -> None:
        self.model = model
        self.rules = rules
        self.source = model.source
        self.graph: Subgraph = model.subgraphs[0]
        self.tensors = self.graph.tensors
        self.setup: list[Step] = []
        self.steps: list[Step] = []
        self.views: dict[int, View] = {}
        self.handles: dict[int, str] = {}
        self.first_values: dict[str, Tensor] = {}
        self.variables: dict[str, View] = {}
        self.places: dict[int, tuple[int, View, str]] = {}
        self.producers = {t: op for op in self.graph.operators for t in op.outputs}
        self.consumers: dict[int, list[Operator]] = {}
        for op in self.graph.operators:
            for tensor in op.inputs:
                self.consumers.setdefault(tensor, []).append(op)
        self.streams: dict[int, Stream] = {}
        self._slots: dict[int, tuple[int, int]] = {}
        self._owned: dict[int, Storage] = {}

    # Errors

    def refuse(self, op: Operator, why: str, hint: str = "", tensor: Tensor | None = None) -> NoReturn:
        """Say in one line which operation of which file cannot be run, and why."""
        names = [self.tensors[i].name for i in op.outputs[:1]] or [
            self.tensors[i].name for i in op.inputs[:1] if i >= 0
        ]
        name = tensor.name if tensor else names[0] if names else "none"
        raise UnsupportedModelError(
            f"{self.source}: {op.kind} (operation {op.index}, tensor '{name}') {why}",
            hint=hint or "convert the model with full int8 quantisation and the operations of a streaming wake model",
        )

    # What handlers read

    def tensor(self, op: Operator, position: int) -> Tensor:
        """The operation's input at `position`; refuses when there is none."""
        if position >= len(op.inputs) or op.inputs[position] < 0:
            self.refuse(op, f"has no input {position}")
        return self.tensors[op.inputs[position]]

    def output(self, op: Operator, position: int = 0) -> Tensor:
        """Its output at `position`."""
        if position >= len(op.outputs):
            self.refuse(op, f"has no output {position}")
        return self.tensors[op.outputs[position]]

    def require_type(self, op: Operator, tensor: Tensor, *types: str) -> None:
        """Refuse a tensor of any other type."""
        if tensor.type not in types:
            self.refuse(op, f"uses tensor '{tensor.name}' of type {tensor.type}; here only {' or '.join(types)} runs")

    def quantisation(self, op: Operator, tensor: Tensor) -> Quantisation:
        """The scale and zero point of a tensor quantised as a whole; refuses any other."""
        q = tensor.quantisation
        if q is None:
            self.refuse(op, f"needs tensor '{tensor.name}' to be quantised, it has no scale")
        if not _whole(q, tensor.type):
            self.refuse(op, f"needs one scale and a zero point of its type on tensor '{tensor.name}'")
        return q

    def integers(self, op: Operator, position: int) -> list[int]:
        """The values of a constant INT32 input."""
        tensor = self.tensor(op, position)
        if tensor.data is None or tensor.type not in ("INT32", "INT64"):
            self.refuse(op, f"needs a constant in tensor '{tensor.name}'", "export the model with fixed shapes")
        size = 4 if tensor.type == "INT32" else 8
        return [
            int.from_bytes(tensor.data[i : i + size], "little", signed=True) for i in range(0, len(tensor.data), size)
        ]

    def view(self, op: Operator, position: int, types: tuple[str, ...] = BYTES) -> View:
        """Where the input at `position` lies; a constant is brought into the arena. Refuses other types."""
        tensor = self.tensor(op, position)
        self.require_type(op, tensor, *types)
        if tensor.index in self.views:
            return self.views[tensor.index]
        if tensor.data is None:
            self.refuse(op, f"reads tensor '{tensor.name}' before anything has written it", tensor=tensor)
        storage = Storage(tensor.name, len(tensor.data))
        self.emit(Constant(storage, 0, self.biased(tensor), operator=op.index, tensor=tensor.index, label="constant"))
        self.views[tensor.index] = whole(storage, tensor.shape, tensor.item)
        return self.views[tensor.index]

    def dense(self, op: Operator, position: int, types: tuple[str, ...] = BYTES) -> View:
        """Like `view`, copied where it has gaps."""
        view = self.view(op, position, types)
        if view.contiguous:
            return view
        target = whole(Storage(f"{self.tensor(op, position).name} (dense)", view.bytes), view.shape, view.item)
        self.emit(Copy(target, view, operator=op.index, label="pack"))
        return target

    @staticmethod
    def biased(tensor: Tensor) -> bytes:
        """A constant's bytes as the arena holds them."""
        data = tensor.data or b""
        return bytes(byte ^ 0x80 for byte in data) if tensor.type == "INT8" else data

    # What handlers write

    def emit(self, step: Step) -> None:
        """Append a step."""
        self.steps.append(step)

    def define(self, tensor: Tensor, view: View) -> None:
        """Say where `tensor` lies from now on."""
        self.views[tensor.index] = view
        self.places[tensor.index] = (len(self.steps), view, tensor.type)

    def place(self, tensor: Tensor) -> View:
        """Where a fresh tensor is to be written: its slot in a concatenation, or storage of its own."""
        if tensor.index in self._slots:
            parent, offset = self._slots[tensor.index]
            outer = self.place(self.tensors[parent])
            strides = dense_strides(tensor.shape, tensor.item)
            return View(outer.storage, outer.offset + offset, tensor.shape, strides, tensor.item)
        if tensor.index not in self._owned:
            size = tensor.elements * tensor.item
            self._owned[tensor.index] = Storage(tensor.name, size, tensor.index in self.streams)
        return whole(self._owned[tensor.index], tensor.shape, tensor.item)

    # The passes

    def _owner(self, index: int) -> int:
        # The tensor whose bytes `index` shows, through reshapes.
        while index in self.producers and self.producers[index].kind == "RESHAPE":
            index = self.producers[index].inputs[0]
        return index

    def _choose_slots(self) -> None:
        # Let writers put their output straight into the concatenation that wants it.
        for op in self.graph.operators:
            if op.kind != "CONCATENATION":
                continue
            slots = concatenation_slots(self, op)
            for position, offset in slots.items():
                tensor = self.tensors[op.inputs[position]]
                owner = self._owner(tensor.index)
                producer = self.producers.get(owner)
                if (
                    owner < 0
                    or owner in self._slots
                    or owner in self.streams
                    or self.tensors[owner].data is not None
                    or self.tensors[owner].elements != tensor.elements
                    or self.tensors[owner].type != tensor.type
                    or not (owner in self.graph.inputs if producer is None else self.rules[producer.kind].places)
                ):
                    continue
                self._slots[owner] = (op.outputs[0], offset)

    def _import_inputs(self) -> list[Port]:
        ports = []
        for index in self.graph.inputs:
            tensor = self.tensors[index]
            self._check_port(tensor)
            storage = Storage(f"input {tensor.name}", tensor.elements * tensor.item)
            port = self._port(tensor, whole(storage, tensor.shape, tensor.item))
            ports.append(port)
            if tensor.type == "INT8" or index in self._slots:
                target = self.place(tensor)
                flip = 0x80 if tensor.type == "INT8" else 0
                self.emit(Copy(target, port.view, flip, tensor=index, label="input"))
                self.define(tensor, target)
            else:
                self.define(tensor, port.view)
        return ports

    def _export_outputs(self, inputs: list[Port]) -> list[Port]:
        ports = []
        raw = {id(port.view.storage) for port in inputs}
        for index in self.graph.outputs:
            tensor = self.tensors[index]
            self._check_port(tensor)
            view = self.views.get(index)
            if view is None:
                raise UnsupportedModelError(
                    f"{self.source}: output '{tensor.name}' ({tensor.type}) is not computed by any operation",
                    hint="export the model with its result as output",
                )
            if tensor.type == "INT8" or not view.contiguous or view.storage.persistent or id(view.storage) in raw:
                target = whole(Storage(f"output {tensor.name}", view.bytes), tensor.shape, view.item)
                self.emit(Copy(target, view, 0x80 if tensor.type == "INT8" else 0, tensor=index, label="output"))
                view = target
            ports.append(self._port(tensor, view))
        return ports

    def _check_port(self, tensor: Tensor) -> None:
        if tensor.type not in TYPE_CODES:
            raise UnsupportedModelError(
                f"{self.source}: input or output '{tensor.name}' is of type {tensor.type}",
                hint="convert the model with full int8 quantisation",
            )
        q = tensor.quantisation
        if q and not _whole(q, tensor.type):
            raise UnsupportedModelError(
                f"{self.source}: input or output '{tensor.name}' has {len(q.scales)} scales, zero {q.zero_point}",
                hint="convert the model with full int8 quantisation, inputs and outputs included",
            )

    @staticmethod
    def _port(tensor: Tensor, view: View) -> Port:
        q = tensor.quantisation
        return Port(view, tensor.type, q.scale if q else 1.0, q.zero_point if q else 0)

    def _check(self, op: Operator) -> None:
        if op.kind not in self.rules:
            self.refuse(op, "is an operation that the board does not run")
        rule = self.rules[op.kind]
        (fewest, most), (fewest_out, most_out) = rule.inputs, rule.outputs
        if not fewest <= len(op.inputs) <= most or not fewest_out <= len(op.outputs) <= most_out:
            self.refuse(op, f"has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
        if any(index < 0 for index in op.inputs[:fewest]) or (most == ANY and min(op.inputs) < 0):
            self.refuse(op, "lacks an input")
        for index in op.outputs:
            if self.tensors[index].data is not None or index in self.graph.inputs or self.producers_in(op, index):
                self.refuse(op, f"writes tensor '{self.tensors[index].name}', which has a value already")

    def producers_in(self, op: Operator, index: int) -> bool:
        """True when an earlier operation of the same graph writes tensor `index` too."""
        return any(index in other.outputs for other in self.graph.operators[: op.index])

    def run(self) -> Program:
        """Lower the whole graph."""
        for graph in self.model.subgraphs:
            self.graph, self.tensors = graph, graph.tensors
            for op in graph.operators:
                self._check(op)
        self.graph, self.tensors = self.model.subgraphs[0], self.model.subgraphs[0].tensors
        if not self.graph.inputs or not self.graph.outputs:
            raise UnsupportedModelError(
                f"{self.source}: the model has no input or no output", hint="give a whole model"
            )
        self.streams = find_streams(self)
        self._choose_slots()
        moves = tuple(
            (self.place(self.tensors[index]).storage, 0, stream.kept_from, stream.bytes)
            for index, stream in self.streams.items()
            if stream.kept_from
        )
        if moves:
            self.emit(Shift(moves, label="stream"))
        inputs = self._import_inputs()
        for op in self.graph.operators:
            self.rules[op.kind].lower(self, op)
        outputs = self._export_outputs(inputs)
        return Program(self.setup, self.steps, inputs, outputs, self.places)


def _whole(q: Quantisation, kind: str) -> bool:
    # One scale, and a zero point that the type can hold.
    low, high = _ZERO_POINTS.get(kind, (0, 0))
    return len(q.scales) == len(q.zero_points) == 1 and low <= q.zero_point <= high


def concatenation_slots(ctx: Lowering, op: Operator) -> dict[int, int]:
    """Byte offset of each input, by position, where a concatenation lays them one after the other; else none."""
    if len(op.outputs) != 1 or not op.inputs or min(op.inputs) < 0:
        return {}
    joined = ctx.tensors[op.outputs[0]]
    if joined.type not in TYPE_CODES:
        return {}
    shape = joined.shape
    axis = op.options["Axis"] + (len(shape) if op.options["Axis"] < 0 else 0)
    if not 0 <= axis < len(shape) or any(size != 1 for size in shape[:axis]):
        return {}
    offsets: dict[int, int] = {}
    offset = 0
    for position, index in enumerate(op.inputs):
        offsets[position] = offset
        tensor = ctx.tensors[index]
        if tensor.type != joined.type:
            return {}
        offset += tensor.elements * tensor.item
    return offsets if offset == joined.elements * joined.item else {}
