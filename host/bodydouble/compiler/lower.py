"""From the model's graph to steps: views where nothing must move, in-place streaming buffers, copies elsewhere.

int8 tensors are held plus 128 on the board, so that its kernels need no sign extension; uint8 tensors as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from bodydouble.compiler.errors import UnsupportedModelError
from bodydouble.compiler.model import TYPE_CODES, Model, Operator, Quantisation, Subgraph, Tensor
from bodydouble.compiler.ports import check_ports, export_outputs, import_inputs
from bodydouble.compiler.slots import Slot, choose_slots
from bodydouble.compiler.steps import Program, Step
from bodydouble.compiler.steps_move import Constant, Copy, Fill, Shift
from bodydouble.compiler.streaming import Stream, find_streams, variable_names, variable_uses
from bodydouble.compiler.views import Storage, View, whole

ANY = 1 << 10  # as many inputs or outputs as there are
BYTES = ("INT8", "UINT8")
ALL_TYPES = tuple(TYPE_CODES)
RECORDS_MAX = 4096  # what a board takes (firmware/PLAN.md)
DATA_BYTES_MAX = 1 << 26
_FLIPPED = bytes(byte ^ 0x80 for byte in range(256))
_HALVES = {"FLOAT16", "BFLOAT16"}
_WEIGHTS = {"INT4", "INT8", "UINT8"}
_FULL = "convert it with full int8 quantisation, which takes a representative data set"
_CURES = {
    "CUSTOM": "replace the custom operation by built-in ones and convert again",
    "IF": "export the model without control flow",
    "WHILE": "export the model without control flow: unroll its loops, or keep state in variables",
}


@dataclass(frozen=True)
class Rule:
    """How an operation is lowered: its handler, and the fewest and most inputs and outputs that it may have.

    Only inputs behind the fewest may be absent. `places`: it writes its output where `Lowering.place` says.
    `places_rows`: also where that leaves gaps between the rows of the last dimension. `slots`: where its inputs lie
    in its output, for those that can be written there at once.
    """

    lower: Callable[[Lowering, Operator], None]
    inputs: tuple[int, int]
    outputs: tuple[int, int] = (1, 1)
    places: bool = False
    places_rows: bool = False
    slots: Callable[[Lowering, Operator], dict[int, Slot]] | None = None

    def takes(self, op: Operator) -> bool:
        """True when `op` has as many inputs and outputs as it may have, and those that it must have."""
        return (
            self.inputs[0] <= len(op.inputs) <= self.inputs[1]
            and self.outputs[0] <= len(op.outputs) <= self.outputs[1]
            and min(op.inputs if self.inputs[1] == ANY else op.inputs[: self.inputs[0]], default=0) >= 0
        )


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
        self.uses: dict[str, list[Operator]] = {}
        self.first_values: dict[str, Tensor] = {}
        self.variables: dict[str, View] = {}
        self.kinds: dict[str, str] = {}
        self.places: dict[int, tuple[int, View, str]] = {}
        self.producers = {t: op for op in self.graph.operators for t in op.outputs}
        self.consumers: dict[int, list[Operator]] = {}
        for op in self.graph.operators:
            for tensor in op.inputs:
                self.consumers.setdefault(tensor, []).append(op)
        self.streams: dict[int, Stream] = {}
        self.slots: dict[int, Slot] = {}
        self._owned: dict[int, Storage] = {}
        self._filled: set[int] = set()
        self._records = self._bytes = 0

    # Errors

    def refuse(self, op: Operator, why: str, hint: str = "", tensor: Tensor | None = None) -> NoReturn:
        """Say in one line which operation of which file cannot be run, and why."""
        names = [self.tensors[i].name for i in op.outputs[:1]] or [
            self.tensors[i].name for i in op.inputs[:1] if i >= 0
        ]
        name = tensor.name if tensor else names[0] if names else "none"
        raise UnsupportedModelError(
            f"{self.source}: {op.kind} (operation {op.index}, tensor '{name}') {why}",
            hint=hint or "convert the model with full int8 quantisation and operations that the board runs",
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
            only = " or ".join(types)
            self.refuse(
                op,
                f"uses tensor '{tensor.name}' of type {tensor.type}; here only {only} runs",
                self._cure(op, tensor),
            )

    def _cure(self, op: Operator, tensor: Tensor) -> str:
        # How a model gets types that run.
        types = {self.tensors[i].type for i in op.inputs if i >= 0} | {tensor.type}
        if types & _HALVES:
            return f"16-bit floats only make the file smaller: {_FULL}"
        if "FLOAT32" in types and types & _WEIGHTS:
            return f"only its weights are quantised: {_FULL}, so that activations are int8 too"
        return f"this is a float model: {_FULL}" if "FLOAT32" in types else ""

    def quantisation(self, op: Operator, tensor: Tensor) -> Quantisation:
        """The scale and zero point of a tensor quantised as a whole; refuses any other."""
        q = tensor.quantisation
        if q is None:
            self.refuse(op, f"needs tensor '{tensor.name}' to be quantised, it has no scale")
        if not q.whole(tensor.type):
            self.refuse(op, f"needs one scale and a zero point of its type on tensor '{tensor.name}'")
        return q

    def integers(self, op: Operator, position: int) -> list[int]:
        """The values of a constant INT32 input."""
        tensor = self.tensor(op, position)
        if tensor.data is None or tensor.type not in ("INT32", "INT64"):
            self.refuse(op, f"needs a constant in tensor '{tensor.name}'", "export the model with fixed shapes")
        size, code = (4, "i") if tensor.type == "INT32" else (8, "q")
        return list(struct.unpack(f"<{len(tensor.data) // size}{code}", tensor.data))

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
        tensor = self.tensor(op, position)
        target = whole(Storage(f"{tensor.name} (dense)", view.bytes), view.shape, view.item)
        self.emit(Copy(target, view, operator=op.index, label="pack"))
        self.views[tensor.index] = target  # for whoever reads it next
        return target

    @staticmethod
    def biased(tensor: Tensor) -> bytes:
        """A constant's bytes as the arena holds them."""
        data = tensor.data or b""
        return data.translate(_FLIPPED) if tensor.type == "INT8" else data

    # What handlers write

    def emit(self, step: Step) -> None:
        """Append a step; a model that takes more of them, or more bytes, than a board can hold is refused."""
        self.steps.append(step)
        self._records += step.count
        self._bytes += step.weight_bytes + (len(step.data) if isinstance(step, Constant) else 0)
        if self._records > RECORDS_MAX or self._bytes > DATA_BYTES_MAX:
            raise UnsupportedModelError(
                f"{self.source}: takes more than {RECORDS_MAX} steps or {DATA_BYTES_MAX >> 20} MB of constants",
                hint="use a smaller model",
            )

    def define(self, tensor: Tensor, view: View) -> None:
        """Say where `tensor` lies from now on."""
        self.views[tensor.index] = view
        self.places[tensor.index] = (len(self.steps), view, tensor.type)

    def chain(self, index: int) -> list[tuple[int, Slot]]:
        """The slots that hold tensor `index`, from its own to the outermost, each with the tensor that it holds."""
        found = []
        while index in self.slots:
            found.append((index, self.slots[index]))
            index = self.slots[index].parent
        return found

    def where(self, tensor: Tensor) -> View:
        """Where a fresh tensor will lie: its slot in another, or storage of its own."""
        chain = self.chain(tensor.index)
        root = self.tensors[chain[-1][1].parent] if chain else tensor
        if root.index not in self._owned:
            size = root.elements * root.item
            self._owned[root.index] = Storage(root.name, size, root.index in self.streams)
        view = whole(self._owned[root.index], root.shape, root.item)
        for index, slot in reversed(chain):
            view = slot.within(view)
            shape = self.tensors[index].shape
            if view.shape != shape:
                view = view.reshaped(shape)
        return view

    def place(self, tensor: Tensor) -> View:
        """Like `where`, for whoever emits the step that writes there next: what surrounds the slot is set first."""
        for _, slot in reversed(self.chain(tensor.index)):
            if slot.fill is not None and slot.parent not in self._filled:
                self._filled.add(slot.parent)
                around = self.where(self.tensors[slot.parent])
                self.emit(
                    Fill(around.storage, around.offset, around.bytes, slot.fill, operator=slot.operator, label="pad")
                )
        return self.where(tensor)

    # The passes

    def _check(self, op: Operator, written: set[int]) -> None:
        if op.kind not in self.rules:
            self.refuse(op, "is an operation that the board does not run", _CURES.get(op.kind.split(" ")[0], ""))
        if not self.rules[op.kind].takes(op):
            given = sum(index >= 0 for index in op.inputs)
            self.refuse(
                op,
                f"has {given} of {len(op.inputs)} inputs and {len(op.outputs)} outputs, which is not what it needs",
            )
        for index in op.outputs:
            if self.tensors[index].data is not None or index in self.graph.inputs or index in written:
                self.refuse(op, f"writes tensor '{self.tensors[index].name}', which has a value already")
            written.add(index)

    def run(self) -> Program:
        """Lower the whole graph."""
        for graph in self.model.subgraphs:
            self.graph, self.tensors = graph, graph.tensors
            written: set[int] = set()
            for op in graph.operators:
                self._check(op, written)
        self.graph, self.tensors = self.model.subgraphs[0], self.model.subgraphs[0].tensors
        check_ports(self)
        self.handles = variable_names(self, self.graph)
        self.uses = variable_uses(self)
        self.streams = find_streams(self)
        choose_slots(self)
        moves = tuple(
            (self.where(self.tensors[index]).storage, 0, stream.kept_from, stream.bytes)
            for index, stream in self.streams.items()
            if stream.kept_from
        )
        if moves:
            self.emit(Shift(moves, label="stream"))
        inputs = import_inputs(self)
        for op in self.graph.operators:
            self.rules[op.kind].lower(self, op)
        outputs = export_outputs(self, inputs)
        return Program(self.setup, self.steps, inputs, outputs, self.places)
