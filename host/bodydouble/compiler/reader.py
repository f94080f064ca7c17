"""Reads the flatbuffer of a .tflite file, trusting nothing in it.

Whatever a damaged file makes the flatbuffer library stumble over becomes one ModelFileError; every count that the
file names has a maximum here, so that none makes us loop or allocate.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from bodydouble.compiler.errors import ModelFileError, UnsupportedModelError
from bodydouble.compiler.model import TYPE_BYTES, Model, Operator, Quantisation, Subgraph, Tensor

MODEL_BYTES_MAX = 64 << 20
SUBGRAPHS_MAX = 64
TENSORS_MAX = 8192
OPERATORS_MAX = 8192
ARGUMENTS_MAX = 1024
RANK_MAX = 6
TENSOR_BYTES_MAX = 1 << 24
_SCHEMA_VERSION = 3
_HINT = "give a .tflite model file; this one is damaged or something else"


class _DamagedError(ValueError):
    """The file contradicts itself; the text says how."""


# What the flatbuffer library and struct raise when an offset leads nowhere.
_STUMBLES = (
    struct.error, LookupError, ValueError, TypeError, AttributeError, OverflowError, MemoryError, RecursionError,
)  # fmt: skip

_POOL = ("Padding", "StrideW", "StrideH", "FilterWidth", "FilterHeight", "FusedActivationFunction")
# The options that the lowering reads, by operation: the options' class, then method names of the tflite package.
_OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CALL_ONCE": ("CallOnceOptions", ("InitSubgraphIndex",)),
    "VAR_HANDLE": ("VarHandleOptions", ("Container", "SharedName")),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", "FusedActivationFunction")),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask"),
    ),
    "CONV_2D": (
        "Conv2DOptions",
        ("Padding", "StrideW", "StrideH", "DilationWFactor", "DilationHFactor", "FusedActivationFunction"),
    ),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        (
            "Padding", "StrideW", "StrideH", "DilationWFactor", "DilationHFactor",
            "DepthMultiplier", "FusedActivationFunction",
        ),
    ),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("WeightsFormat", "KeepNumDims", "FusedActivationFunction")),
    "TRANSPOSE_CONV": ("TransposeConvOptions", ("Padding", "StrideW", "StrideH", "FusedActivationFunction")),
    "ADD": ("AddOptions", ("FusedActivationFunction", "PotScaleInt16")),
    "SUB": ("SubOptions", ("FusedActivationFunction", "PotScaleInt16")),
    "MUL": ("MulOptions", ("FusedActivationFunction",)),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": ("ReducerOptions", ("KeepDims",)),
    "SUM": ("ReducerOptions", ("KeepDims",)),
    "REDUCE_MAX": ("ReducerOptions", ("KeepDims",)),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
    "PACK": ("PackOptions", ("Axis", "ValuesCount")),
    "UNPACK": ("UnpackOptions", ("Axis", "Num")),
    "GATHER": ("GatherOptions", ("Axis", "BatchDims")),
    "SPLIT": ("SplitOptions", ("NumSplits",)),
    "ARG_MAX": ("ArgMaxOptions", ("OutputType",)),
    "SHAPE": ("ShapeOptions", ("OutType",)),
    "SVDF": ("SVDFOptions", ("Rank", "FusedActivationFunction", "AsymmetricQuantizeInputs")),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        "UnidirectionalSequenceLSTMOptions",
        (
            "FusedActivationFunction", "CellClip", "ProjClip", "TimeMajor", "AsymmetricQuantizeInputs",
            "DiagonalRecurrentTensors",
        ),
    ),
}  # fmt: skip


@cache
def _names(enum: str) -> dict[int, str]:
    import tflite  # noqa: PLC0415  -- some 50 ms that a cached plan does not need

    return {number: name for name, number in vars(getattr(tflite, enum)).items() if isinstance(number, int)}


def _bounded(count: int, maximum: int, what: str, source: str) -> int:
    if not 0 <= count <= maximum:
        raise ModelFileError(f"{source}: {count} {what}, at most {maximum} are read", hint=_HINT)
    return count


def _numbers(length: Callable[[], int], item: Callable[[int], int], source: str) -> tuple[int, ...]:
    return tuple(int(item(i)) for i in range(_bounded(length(), ARGUMENTS_MAX, "numbers in a list", source)))


def _text(raw: bytes | None) -> str:
    # Control characters would break the one line of an error.
    text = (raw or b"")[:200].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in text)


def _options(op: Any, kind: str) -> dict[str, Any]:
    if kind not in _OPTIONS:
        return {}
    import tflite  # noqa: PLC0415

    class_name, fields = _OPTIONS[kind]
    table = op.BuiltinOptions()
    if table is None or op.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, class_name):
        raise _DamagedError(f"{kind} lacks its options")
    options = getattr(tflite, class_name)()
    options.Init(table.Bytes, table.Pos)
    return {name: getattr(options, name)() for name in fields}


def _quantisation(raw: Any) -> Quantisation | None:
    if raw is None or not raw.ScaleLength():
        return None
    scales = tuple(float(raw.Scale(i)) for i in range(min(raw.ScaleLength(), TENSORS_MAX)))
    zero_points = tuple(int(raw.ZeroPoint(i)) for i in range(min(raw.ZeroPointLength(), TENSORS_MAX)))
    if not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise _DamagedError("a scale that is no positive number")
    return Quantisation(scales, zero_points or (0,) * len(scales), int(raw.QuantizedDimension()))


def _tensor(model: Any, raw: Any, index: int, source: str) -> Tensor:
    name = _text(raw.Name())
    rank = 0 if raw.ShapeIsNone() else _bounded(raw.ShapeLength(), RANK_MAX, f"dimensions of tensor '{name}'", source)
    shape = tuple(int(raw.Shape(i)) for i in range(rank))
    kind = _names("TensorType").get(raw.Type(), f"type {raw.Type()}")
    if any(size <= 0 for size in shape):
        raise UnsupportedModelError(
            f"{source}: tensor '{name}' ({kind}) has the dynamic shape {list(shape)}",
            hint="export the model with fixed shapes and batch 1",
        )
    if math.prod(shape) * TYPE_BYTES.get(kind, 1) > TENSOR_BYTES_MAX:
        raise UnsupportedModelError(
            f"{source}: tensor '{name}' of shape {list(shape)} takes more than {TENSOR_BYTES_MAX} bytes",
            hint="a board holds some hundred kilobytes: use a smaller model",
        )
    if raw.Sparsity() is not None:
        raise UnsupportedModelError(
            f"{source}: tensor '{name}' is sparse", hint="export the model with dense weights"
        )
    buffer = model.Buffers(_bounded(raw.Buffer(), model.BuffersLength() - 1, "as a buffer's number", source))
    data: bytes | None = None
    if buffer.DataLength():
        data = buffer.DataAsNumpy().tobytes()
        if kind in TYPE_BYTES and len(data) != math.prod(shape) * TYPE_BYTES[kind]:
            raise _DamagedError(f"tensor '{name}' of shape {list(shape)} has {len(data)} bytes")
    return Tensor(index, name, kind, shape, data, _quantisation(raw.Quantization()), bool(raw.IsVariable()))


def _operator(model: Any, op: Any, index: int, tensors: int, source: str) -> Operator:
    code = model.OperatorCodes(_bounded(op.OpcodeIndex(), model.OperatorCodesLength() - 1, "as an operation", source))
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    kind = _names("BuiltinOperator").get(number, f"operation {number}")
    if kind == "CUSTOM":
        kind = f"CUSTOM {_text(code.CustomCode())!r}"
    inputs = _numbers(op.InputsLength, op.Inputs, source)
    outputs = _numbers(op.OutputsLength, op.Outputs, source)
    if any(not -1 <= tensor < tensors for tensor in inputs) or any(not 0 <= tensor < tensors for tensor in outputs):
        raise _DamagedError(f"{kind} names a tensor that does not exist")
    return Operator(index, kind, inputs, outputs, _options(op, kind))


def _subgraph(model: Any, raw: Any, source: str) -> Subgraph:
    count = _bounded(raw.TensorsLength(), TENSORS_MAX, "tensors", source)
    tensors = tuple(_tensor(model, raw.Tensors(i), i, source) for i in range(count))
    operators = tuple(
        _operator(model, raw.Operators(i), i, count, source)
        for i in range(_bounded(raw.OperatorsLength(), OPERATORS_MAX, "operations", source))
    )
    inputs = _numbers(raw.InputsLength, raw.Inputs, source)
    outputs = _numbers(raw.OutputsLength, raw.Outputs, source)
    if any(not 0 <= tensor < count for tensor in inputs + outputs):
        raise _DamagedError("an input or output names a tensor that does not exist")
    return Subgraph(tensors, operators, inputs, outputs)


def read_model(data: bytes, source: str) -> Model:
    """Read a whole file; `source` names it in errors. Raises ModelFileError and UnsupportedModelError."""
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise ModelFileError(f"{source} is no TensorFlow Lite model", hint="give a .tflite file")
    if len(data) > MODEL_BYTES_MAX:
        raise ModelFileError(
            f"{source}: {len(data)} bytes, at most {MODEL_BYTES_MAX} are read", hint="a board runs small models only"
        )
    import tflite  # noqa: PLC0415

    try:
        model = tflite.Model.GetRootAsModel(data, 0)
        if model.Version() != _SCHEMA_VERSION:
            raise _DamagedError(f"schema version {model.Version()}")
        count = _bounded(model.SubgraphsLength(), SUBGRAPHS_MAX, "subgraphs", source)
        if not count:
            raise _DamagedError("it holds no graph")
        return Model(source, tuple(_subgraph(model, model.Subgraphs(i), source) for i in range(count)))
    except _STUMBLES as error:
        reason = (
            _text(str(error).encode()) if isinstance(error, _DamagedError) else "an offset or a length in it is wrong"
        )
        raise ModelFileError(f"{source}: the model cannot be read: {reason}", hint=_HINT) from error
