"""The compiled model as the host sees it, and the compiler's one entry point."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from bodydouble.compiler.lower import Handler, Lowering
from bodydouble.compiler.memory import plan_arena
from bodydouble.compiler.ops_conv import conv_2d, depthwise_conv_2d, fully_connected
from bodydouble.compiler.ops_shape import concatenation, reshape, split_v, strided_slice
from bodydouble.compiler.ops_state import assign_variable, call_once, read_variable, var_handle
from bodydouble.compiler.ops_unary import logistic, quantize
from bodydouble.compiler.pack import pack
from bodydouble.compiler.reader import read_model
from bodydouble.compiler.steps import Conv, Depthwise, Port, Program, Step

# Part of every cache key: raise it with any change of what the compiler writes.
COMPILER_VERSION = 1

HANDLERS: dict[str, Handler] = {
    "ASSIGN_VARIABLE": assign_variable,
    "CALL_ONCE": call_once,
    "CONCATENATION": concatenation,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "LOGISTIC": logistic,
    "QUANTIZE": quantize,
    "READ_VARIABLE": read_variable,
    "RESHAPE": reshape,
    "SPLIT_V": split_v,
    "STRIDED_SLICE": strided_slice,
    "VAR_HANDLE": var_handle,
}


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
    """Where a tensor of the model lies in the arena after `ops` operations ran; int8 bytes are held plus 128."""

    ops: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    type: str


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


def _weight_bytes(step: Step) -> int:
    return int(step.weights.size) if isinstance(step, (Conv, Depthwise)) else 0


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


def compile_model(data: bytes, name: str, source: str | None = None) -> Plan:
    """Compile a .tflite file's bytes. `source` names the file in errors (default: `name`).

    Raises ModelFileError for what is no model and UnsupportedModelError for what the board does not run.
    """
    model = read_model(data, source or name)
    lowering = Lowering(model)
    program = lowering.run(HANDLERS)
    arena_bytes = plan_arena(program.setup, program.steps, program.inputs, program.outputs)
    blob, counts = pack(program, name, arena_bytes)
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
        weight_bytes=sum(_weight_bytes(step) for step in program.steps),
        ops=_ops(program, counts, [t.name for t in lowering.tensors], [t.shape for t in lowering.tensors]),
        inputs=tuple(_info(port) for port in program.inputs),
        outputs=tuple(_info(port) for port in program.outputs),
        places={
            index: Place(after[step], view.address, view.shape, view.strides, kind)
            for index, (step, view, kind) in program.places.items()
        },
    )
