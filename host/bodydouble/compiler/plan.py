"""The compiled model as the host sees it, and the compiler's one entry point."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bodydouble.compiler import (
    ops_binary,
    ops_conv,
    ops_gather,
    ops_join,
    ops_lstm,
    ops_pool,
    ops_reduce,
    ops_shape,
    ops_slice,
    ops_soft,
    ops_state,
    ops_svdf,
    ops_transpose_conv,
    ops_unary,
)
from bodydouble.compiler.effort import EFFORT_MAX
from bodydouble.compiler.errors import UnsupportedModelError
from bodydouble.compiler.fold import fold
from bodydouble.compiler.fuse import fuse
from bodydouble.compiler.lower import RECORDS_MAX, Lowering, Rule
from bodydouble.compiler.memory import plan_arena
from bodydouble.compiler.pack import pack
from bodydouble.compiler.packing import ROWS
from bodydouble.compiler.reader import read_model
from bodydouble.compiler.steps import Port, Program, Step
from bodydouble.compiler.views import View

ARENA_BYTES_MAX = 1 << 24
PLAN_BYTES_MAX = 1 << 20
# Part of every cache key: raise it with any change of what the compiler writes.
COMPILER_VERSION = 3

RULES: Mapping[str, Rule] = {
    **ops_binary.RULES,
    **ops_conv.RULES,
    **ops_gather.RULES,
    **ops_join.RULES,
    **ops_lstm.RULES,
    **ops_pool.RULES,
    **ops_reduce.RULES,
    **ops_shape.RULES,
    **ops_slice.RULES,
    **ops_soft.RULES,
    **ops_state.RULES,
    **ops_svdf.RULES,
    **ops_transpose_conv.RULES,
    **ops_unary.RULES,
}
"""Every operation that the board runs."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: `real = scale * (value - zero_point)`."""

    shape: tuple[int, ...]
    type: str
    scale: float
    zero_point: int
    offset: int


@dataclass(frozen=True)
class OpInfo:
    """One record of the plan: what runs, for which operation of the model, on what shape."""

    kind: str
    label: str
    operator: int
    tensor: str
    shape: tuple[int, ...]
    macs: int


@dataclass(frozen=True)
class Place:
    """Where a tensor of the model lies in the arena after `ops` records ran; int8 bytes are held plus 128.

    `tensor` is its name in the model, `operation` what computes it there.
    """

    ops: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    type: str
    tensor: str = ""
    operation: str = ""


@dataclass(frozen=True)
class Plan:
    """A model compiled for the board; `blob` is what is sent there."""

    name: str
    blob: bytes = field(repr=False)
    sha256: str
    model_sha256: str
    arena_bytes: int
    state_bytes: int
    macs: int
    weight_bytes: int
    ops: tuple[OpInfo, ...]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    places: dict[int, Place] = field(repr=False)

    @property
    def input(self) -> TensorInfo:
        """The first input."""
        return self.inputs[0]

    @property
    def output(self) -> TensorInfo:
        """The first output."""
        return self.outputs[0]

    @property
    def stride(self) -> int:
        """Rows of features per inference of a streaming model."""
        return self.input.shape[-2] if len(self.input.shape) > 1 else 1


def _info(port: Port) -> TensorInfo:
    return TensorInfo(port.view.shape, port.type, port.scale, port.zero_point, port.view.address)


def _ops(program: Program, counts: list[int], names: list[str], shapes: list[tuple[int, ...]]) -> tuple[OpInfo, ...]:
    ops = []
    for step, count in zip(program.steps, counts, strict=True):
        known = step.tensor >= 0
        info = OpInfo(
            step.kind,
            step.label,
            step.operator,
            names[step.tensor] if known else "",
            shapes[step.tensor] if known else (),
            step.macs,
        )
        ops += [info] * count
    return tuple(ops)


def _place(lowering: Lowering, index: int, records: int, view: View, kind: str) -> Place:
    producer = lowering.producers.get(index)
    name = lowering.tensors[index].name
    return Place(records, view.address, view.shape, view.strides, kind, name, producer.kind if producer else "INPUT")


def _refuse_beyond(amount: int, maximum: int, source: str, what: str) -> None:
    if amount > maximum:
        raise UnsupportedModelError(
            f"{source}: needs {amount:,} {what}, a board takes {maximum:,}", hint="use a smaller model"
        )


def _check_effort(lowering: Lowering, efforts: list[tuple[Step, int]]) -> None:
    # What a board refuses to run, as it would take minutes and look like a hang.
    total = sum(steps for _, steps in efforts)
    if total > EFFORT_MAX:
        step, most = max(efforts, key=lambda one: one[1])
        kind = next((op.kind for op in lowering.graph.operators if op.index == step.operator), step.label)
        name = lowering.tensors[step.tensor].name if step.tensor >= 0 else ""
        raise UnsupportedModelError(
            f"{lowering.source}: {kind} (operation {step.operator}, tensor '{name}') takes {most:,} "
            f"steps of {total:,} in an inference, a board takes {EFFORT_MAX:,}",
            hint="use a smaller model",
        )


def compile_model(data: bytes, name: str, source: str | None = None, packing: int = ROWS) -> Plan:
    """Compile a .tflite file's bytes. `source` names the file in errors (default: `name`).

    `packing`: one that the board names, so that its kernels read the weights fastest; it changes no result.

    Raises ModelFileError for what is no model and UnsupportedModelError for what the board does not run.
    """
    lowering = Lowering(fold(read_model(data, source or name), RULES), RULES)
    program = fuse(lowering.run())
    arena_bytes = plan_arena(program.setup, program.steps, program.inputs, program.outputs)
    records = sum(step.count for step in (*program.setup, *program.steps))
    _refuse_beyond(arena_bytes, ARENA_BYTES_MAX, lowering.source, "bytes of arena")
    _refuse_beyond(records, RECORDS_MAX, lowering.source, "records")
    blob, counts, efforts = pack(program, name, arena_bytes, packing)
    _check_effort(lowering, efforts)
    _refuse_beyond(len(blob), PLAN_BYTES_MAX, lowering.source, "bytes of plan")
    after = [0]
    for count in counts:
        after.append(after[-1] + count)
    persistent = {s for step in (*program.setup, *program.steps) for s in step.storages() if s.persistent}
    return Plan(
        name=name,
        blob=blob,
        sha256=hashlib.sha256(blob).hexdigest(),
        model_sha256=hashlib.sha256(data).hexdigest(),
        arena_bytes=arena_bytes,
        state_bytes=sum(storage.size for storage in persistent),
        macs=sum(step.macs for step in program.steps),
        weight_bytes=sum(step.weight_bytes for step in program.steps),
        ops=_ops(program, counts, [t.name for t in lowering.tensors], [t.shape for t in lowering.tensors]),
        inputs=tuple(_info(port) for port in program.inputs),
        outputs=tuple(_info(port) for port in program.outputs),
        places={
            index: _place(lowering, index, after[step], view, kind)
            for index, (step, view, kind) in program.places.items()
        },
    )
