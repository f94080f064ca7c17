"""Constant folding: what follows from constants alone is computed here, and what nothing needs is dropped.

An operation is lowered as on the board, with its constants in an arena of its own, and the steps are run here; so a
folded value is what the board would have computed. Only sums and products of int32, and what changes to or from
float32, have arithmetic of their own, since the board does none of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bodydouble.compiler.errors import UnsupportedModelError
from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import TYPE_CODES, Model, Operator, Subgraph, Tensor
from bodydouble.compiler.steps import Step
from bodydouble.compiler.steps_move import Constant, Copy, Fill, Gather, Lookup
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORK_MAX = 64 << 20  # bytes that all folded operations of a model may read and write
# What happens there may matter although nothing reads the outputs.
_KEPT = ("CALL", "CUSTOM", "IF", "WHILE")
_STATE = ("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE")
_DTYPES = {
    "INT8": "<i1", "UINT8": "<u1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FLOAT32": "<f4", "BOOL": "<u1",
}  # fmt: skip


class _Machine:
    """Runs steps that move bytes; `run` is False for any other step."""

    def __init__(self) -> None:
        self.storages: dict[Storage, bytearray] = {}

    def bytes_at(self, view: View) -> NDArray[np.uint8]:
        """A view's bytes [*shape, bytes of an element], to read and to write."""
        import numpy as np  # noqa: PLC0415  -- most models have nothing to fold

        memory = self.storages.setdefault(view.storage, bytearray(view.storage.size))
        shape, strides = (*view.shape, view.item), (*view.strides, 1)
        found: NDArray[np.uint8] = np.ndarray(shape, np.uint8, memory, view.offset, strides)
        return found

    def run(self, step: Step) -> bool:
        import numpy as np  # noqa: PLC0415

        if isinstance(step, Copy):
            self.bytes_at(step.target)[...] = self.bytes_at(step.source) ^ step.flip
        elif isinstance(step, Lookup):
            table = np.frombuffer(step.table, np.uint8)
            self.bytes_at(step.target)[...] = table[self.bytes_at(step.source)]
        elif isinstance(step, (Constant, Fill)):
            data = step.data if isinstance(step, Constant) else bytes([step.value]) * step.size
            memory = self.storages.setdefault(step.storage, bytearray(step.storage.size))
            memory[step.offset : step.offset + len(data)] = data
        elif isinstance(step, Gather):
            rows = self.bytes_at(step.source).reshape(step.batches, step.outers, step.size, step.inner)
            picks = self.bytes_at(step.indices).copy().view("<i4").reshape(step.batches, -1)
            taken = np.stack([part[:, pick] for part, pick in zip(rows, picks, strict=True)])
            target = self.bytes_at(step.target)
            target[...] = taken.reshape(target.shape)
        else:
            return False
        return True


def _lowered(source: str, tensors: tuple[Tensor, ...], op: Operator, rules: Mapping[str, Rule]) -> list[bytes] | None:
    graph = Subgraph(tensors, (op,), (), op.outputs)
    lowering = Lowering(Model(source, (graph,)), rules)
    try:
        rules[op.kind].lower(lowering, op)
    except UnsupportedModelError:
        return None
    machine = _Machine()
    if not all(machine.run(step) for step in lowering.steps) or any(i not in lowering.views for i in op.outputs):
        return None
    held = [replace(tensors[i], data=machine.bytes_at(lowering.views[i]).tobytes()) for i in op.outputs]
    return [lowering.biased(tensor) for tensor in held]


def _values(tensor: Tensor) -> NDArray[Any]:
    import numpy as np  # noqa: PLC0415

    return np.frombuffer(tensor.data or b"", _DTYPES[tensor.type]).reshape(tensor.shape)


def _int32(compute: Callable[[Any, Any], Any]) -> Callable[[Operator, list[Tensor], Tensor], NDArray[Any] | None]:
    def fold(op: Operator, inputs: list[Tensor], out: Tensor) -> NDArray[Any] | None:
        if {tensor.type for tensor in (*inputs, out)} != {"INT32"} or op.options["FusedActivationFunction"]:
            return None
        return compute(*map(_values, inputs))  # type: ignore[no-any-return]

    return fold


def _dequantize(_op: Operator, inputs: list[Tensor], out: Tensor) -> NDArray[Any] | None:
    import numpy as np  # noqa: PLC0415

    (source,) = inputs
    q = source.quantisation
    if (
        out.type != "FLOAT32"
        or source.type not in ("INT8", "INT16", "UINT8")
        or q is None
        or not q.whole(source.type)
    ):
        return None
    return (q.scale * (_values(source).astype(np.int64) - q.zero_point)).astype("<f4")


def _quantize(_op: Operator, inputs: list[Tensor], out: Tensor) -> NDArray[Any] | None:
    import numpy as np  # noqa: PLC0415

    (source,) = inputs
    q = out.quantisation
    if source.type != "FLOAT32" or out.type not in ("INT8", "INT16") or q is None or not q.whole(out.type):
        return None
    # As AffineQuantize: the quotient is a float32, rounded half away from zero.
    ratio = (_values(source) / np.float32(q.scale)).astype(np.float64)
    if not np.isfinite(ratio).all() or (np.abs(ratio) >= 1 << 31).any():
        return None
    limits = np.iinfo(_DTYPES[out.type])
    rounded = np.copysign(np.floor(np.abs(ratio) + 0.5), ratio) + q.zero_point
    clipped: NDArray[Any] = np.clip(rounded, limits.min, limits.max).astype(_DTYPES[out.type])
    return clipped


_ARITHMETIC: dict[str, Callable[[Operator, list[Tensor], Tensor], NDArray[Any] | None]] = {
    "ADD": _int32(lambda a, b: a + b),
    "MUL": _int32(lambda a, b: a * b),
    "SUB": _int32(lambda a, b: a - b),
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}


def _computed(op: Operator, inputs: list[Tensor], out: Tensor) -> list[bytes] | None:
    try:
        value = _ARITHMETIC[op.kind](op, inputs, out)
    except (TypeError, ValueError):  # inputs that do not fit together
        return None
    return [value.tobytes()] if value is not None and value.shape == out.shape else None


def _folded(source: str, tensors: tuple[Tensor, ...], op: Operator, rules: Mapping[str, Rule]) -> list[bytes] | None:
    """The values of what `op` writes, its inputs being known; None where they are not computed here."""
    rule = rules.get(op.kind)
    values = None
    if rule and op.kind not in _STATE and rule.takes(op):
        values = _lowered(source, tensors, op, rules)
    if values is None and op.kind in _ARITHMETIC and len(op.outputs) == 1 and min(op.inputs, default=-1) >= 0:
        values = _computed(op, [tensors[i] for i in op.inputs], tensors[op.outputs[0]])
    return values


def _needed(operators: list[Operator], outputs: tuple[int, ...]) -> tuple[Operator, ...]:
    """The operations that something depends on, in their order."""
    wanted = set(outputs)
    found = []
    for op in reversed(operators):
        if not op.outputs or op.kind.split(" ")[0] in _KEPT or wanted.intersection(op.outputs):
            wanted.update(op.inputs)
            found.append(op)
    return tuple(reversed(found))


def _fold_graph(model: Model, graph: Subgraph, rules: Mapping[str, Rule], budget: int) -> tuple[Subgraph, int]:
    tensors, kept = graph.tensors, []
    fixed = set(graph.inputs)
    for given in graph.operators:
        # RESHAPE takes its shape from its output, as TFLite Micro does: what computes its second input is not needed.
        op = replace(given, inputs=given.inputs[:1]) if given.kind == "RESHAPE" else given
        read = [tensors[i] for i in op.inputs if i >= 0]
        written = [tensors[i] for i in op.outputs]
        known = op.kind == "SHAPE" or (bool(read) and all(tensor.data is not None for tensor in read))
        fresh = not fixed.intersection(op.outputs) and all(tensor.data is None for tensor in written)
        values = None
        if known and fresh and {tensor.type for tensor in (*read, *written)} <= set(TYPE_CODES):
            cost = sum(tensor.elements * tensor.item for tensor in (*read, *written))
            if cost <= budget:
                budget -= cost
                values = _folded(model.source, tensors, op, rules)
        if values is None:
            kept.append(op)
            fixed.update(op.outputs)
            continue
        changed = list(tensors)
        for tensor, data in zip(written, values, strict=True):
            changed[tensor.index] = replace(tensor, data=data)
        tensors = tuple(changed)
    return Subgraph(tensors, _needed(kept, graph.outputs), graph.inputs, graph.outputs), budget


def fold(model: Model, rules: Mapping[str, Rule]) -> Model:
    """The same model with what its constants determine computed, and without what nothing reads."""
    graphs, budget = [], WORK_MAX
    for graph in model.subgraphs:
        folded, budget = _fold_graph(model, graph, rules, budget)
        graphs.append(folded)
    return Model(model.source, tuple(graphs))
