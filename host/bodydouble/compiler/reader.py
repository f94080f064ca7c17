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
CHANNELS_MAX = 8192
RANK_MAX = 6
TENSOR_BYTES_MAX = 1 << 24
ENTRIES_MAX = 1 << 18  # tensors, operations, and numbers in lists of all graphs together
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
        (
            "Padding", "StrideW", "StrideH", "DilationWFactor", "DilationHFactor", "FusedActivationFunction",
            "QuantizedBiasType",
        ),
    ),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        (
            "Padding", "StrideW", "StrideH", "DilationWFactor", "DilationHFactor",
            "DepthMultiplier", "FusedActivationFunction",
        ),
    ),
    "FULLY_CONNECTED": (
        "FullyConnectedOptions",
        ("WeightsFormat", "KeepNumDims", "FusedActivationFunction", "QuantizedBiasType"),
    ),
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


class _File:
    """The flatbuffer, and how much of it was read: parts that are shared and read again and again could be huge."""

    def __init__(self, model: Any, source: str, size: int) -> None:
        self.model = model
        self.source = source
        self._entries = ENTRIES_MAX
        self._bytes = 4 * size
        self._buffers: dict[int, bytes | None] = {}

    def bounded(self, count: int, maximum: int, what: str) -> int:
        """`count`, which must not be larger than `maximum`."""
        if not 0 <= count <= maximum:
            raise ModelFileError(f"{self.source}: {count} {what}, at most {maximum} are read", hint=_HINT)
        return count

    def entries(self, count: int, maximum: int, what: str) -> range:
        """Indices of `count` parts, which all graphs together have no endless number of."""
        self._entries -= self.bounded(count, maximum, what)
        if self._entries < 0:
            raise ModelFileError(f"{self.source}: more than {ENTRIES_MAX} parts", hint=_HINT)
        return range(count)

    def numbers(self, length: Callable[[], int], item: Callable[[int], int]) -> tuple[int, ...]:
        """A list of integers."""
        return tuple(int(item(i)) for i in self.entries(length(), ARGUMENTS_MAX, "numbers in a list"))

    def buffer(self, index: int) -> bytes | None:
        """The constant in a buffer; None where it is empty."""
        self.bounded(index, self.model.BuffersLength() - 1, "as a buffer's number")
        if index not in self._buffers:
            raw = self.model.Buffers(index)
            data = raw.DataAsNumpy() if raw.DataLength() else None
            self._bytes -= 0 if data is None else data.nbytes
            if self._bytes < 0:
                raise _DamagedError("its buffers overlap")
            self._buffers[index] = None if data is None else data.tobytes()
        return self._buffers[index]


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


def _quantisation(file: _File, raw: Any) -> Quantisation | None:
    if raw is None or not raw.ScaleLength():
        return None
    scales = tuple(float(raw.Scale(i)) for i in file.entries(raw.ScaleLength(), CHANNELS_MAX, "scales"))
    zero_points = tuple(
        int(raw.ZeroPoint(i)) for i in file.entries(raw.ZeroPointLength(), CHANNELS_MAX, "zero points")
    )
    if not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise _DamagedError("a scale that is no positive number")
    return Quantisation(scales, zero_points or (0,) * len(scales), int(raw.QuantizedDimension()))


def _tensor(file: _File, raw: Any, index: int) -> Tensor:
    source = file.source
    name = _text(raw.Name())
    rank = 0 if raw.ShapeIsNone() else file.bounded(raw.ShapeLength(), RANK_MAX, f"dimensions of tensor '{name}'")
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
    data = file.buffer(raw.Buffer())
    if data is not None and kind in TYPE_BYTES and len(data) != math.prod(shape) * TYPE_BYTES[kind]:
        raise _DamagedError(f"tensor '{name}' of shape {list(shape)} has {len(data)} bytes")
    return Tensor(index, name, kind, shape, data, _quantisation(file, raw.Quantization()), bool(raw.IsVariable()))


def _operator(file: _File, op: Any, index: int, tensors: int) -> Operator:
    codes = file.model.OperatorCodesLength()
    code = file.model.OperatorCodes(file.bounded(op.OpcodeIndex(), codes - 1, "as an operation"))
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    kind = _names("BuiltinOperator").get(number, f"operation {number}")
    if kind == "CUSTOM":
        kind = f"CUSTOM {_text(code.CustomCode())!r}"
    inputs = file.numbers(op.InputsLength, op.Inputs)
    outputs = file.numbers(op.OutputsLength, op.Outputs)
    if any(not -1 <= tensor < tensors for tensor in inputs) or any(not 0 <= tensor < tensors for tensor in outputs):
        raise _DamagedError(f"{kind} names a tensor that does not exist")
    return Operator(index, kind, inputs, outputs, _options(op, kind))


def _subgraph(file: _File, raw: Any) -> Subgraph:
    count = raw.TensorsLength()
    tensors = tuple(_tensor(file, raw.Tensors(i), i) for i in file.entries(count, TENSORS_MAX, "tensors"))
    operators = tuple(
        _operator(file, raw.Operators(i), i, count)
        for i in file.entries(raw.OperatorsLength(), OPERATORS_MAX, "operations")
    )
    inputs, outputs = file.numbers(raw.InputsLength, raw.Inputs), file.numbers(raw.OutputsLength, raw.Outputs)
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
        file = _File(model, source, len(data))
        graphs = file.entries(model.SubgraphsLength(), SUBGRAPHS_MAX, "subgraphs")
        if not graphs:
            raise _DamagedError("it holds no graph")
        return Model(source, tuple(_subgraph(file, model.Subgraphs(i)) for i in graphs))
    except _STUMBLES as error:
        reason = (
            _text(str(error).encode()) if isinstance(error, _DamagedError) else "an offset or a length in it is wrong"
        )
        raise ModelFileError(f"{source}: the model cannot be read: {reason}", hint=_HINT) from error
