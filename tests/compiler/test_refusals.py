"""What cannot be compiled: one clear line that names operation, tensor and file; never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pymicro_wakeword
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from bodydouble.compiler import ModelFileError, UnsupportedModelError, compile_model
from bodydouble.errors import ExitCode, InputError
from support.tflite_build import GraphBuilder

ALEXA = (Path(pymicro_wakeword.__file__).parent / "models" / "alexa.tflite").read_bytes()


def _conv(
    *,
    kind: str = "INT8",
    weights: str = "INT8",
    out: str = "INT8",
    shape: tuple[int, ...] = (1, 4, 1, 2),
    constant: bool = True,
    zero: int = 0,
    bias: int = 0,
    **options: Any,
) -> bytes:
    b = GraphBuilder()
    x = b.tensor(shape, 0.1, 0, kind, name="the_input")
    sizes = {"INT8": np.int8, "INT16": np.int16, "FLOAT32": np.float32}
    data = np.ones((3, 2, 1, 2), sizes.get(weights, np.int8)) if constant else None
    if weights == "INT4":
        data = np.ones(6, np.int8)
    w = b.tensor((3, 2, 1, 2), [0.1] * 3, zero, weights, data, name="the_weights")
    biases = b.tensor((3,), [0.01] * 3, 0, "INT32", np.full(3, bias, np.int32))
    y = b.tensor((1, 3, 1, 3), 0.1, 0, out, name="the_output")
    given = {"padding": 1, "strideH": 1, "strideW": 1, **options}
    b.op("CONV_2D", [x, w, biases], [y], **given)
    return b.build([x], [y])


def _one_op(op: str, kind: str = "INT8", **options: Any) -> bytes:
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, 0, kind, name="a"), b.tensor((1, 4), 0.1, 0, kind, name="b")
    b.op(op, [x], [y], **options)
    return b.build([x], [y])


def _weights_from_halves() -> bytes:
    b = GraphBuilder()
    x = b.tensor((1, 4, 1, 2), kind="FLOAT32", name="the_input")
    w16 = b.tensor((3, 2, 1, 2), kind="FLOAT16", data=np.ones((3, 2, 1, 2), np.float16), name="the_halves")
    w, y = b.tensor((3, 2, 1, 2), kind="FLOAT32"), b.tensor((1, 3, 1, 3), kind="FLOAT32")
    b.op("DEQUANTIZE", [w16], [w])
    b.op("CONV_2D", [x, w], [y], padding=1, strideH=1, strideW=1)
    return b.build([x], [y])


def _sparse() -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(_conv(), 0))
    model.subgraphs[0].tensors[1].sparsity = schema.SparsityParametersT()
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _branches() -> bytes:
    """Control flow: a condition, and a graph for each of its values."""
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, 0, name="a"), b.tensor((1, 4), 0.1, 0, name="b")
    condition = b.tensor((1,), kind="BOOL", name="condition")
    b.op("IF", [condition, x], [y], thenSubgraphIndex=1, elseSubgraphIndex=1)
    b.second_graph()
    b.graphs[1].inputs = b.graphs[1].outputs = [b.tensor((1, 4), 0.1, 0)]
    return b.build([x, condition], [y])


def _initialised_by(op: str) -> bytes:
    """A variable whose first value is not known before the model runs."""
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, 0), b.tensor((1, 4), 0.1, 0)
    handle = b.tensor((), kind="RESOURCE", name="v")
    b.op("CALL_ONCE", [], [], initSubgraphIndex=1)
    b.op("VAR_HANDLE", [], [handle], sharedName=b"v", container=b"")
    b.op("READ_VARIABLE", [handle], [y])
    b.op("ASSIGN_VARIABLE", [handle, x], [])
    b.second_graph()
    handle, other = b.tensor((), kind="RESOURCE"), b.tensor((), kind="RESOURCE")
    value = b.tensor((1, 4), 0.1, 0)
    b.op("VAR_HANDLE", [], [handle], sharedName=b"v", container=b"")
    b.op("VAR_HANDLE", [], [other], sharedName=b"w", container=b"")
    b.op(op, [other], [value])
    b.op("ASSIGN_VARIABLE", [handle, value], [])
    return b.build([x], [y])


def _many_outputs() -> bytes:
    b = GraphBuilder()
    x = b.tensor((1, 9), 0.1, 0)
    parts = [b.tensor((1, 1), 0.1, 0) for _ in range(9)]
    b.op("SPLIT", [b.constant(1), x], parts, numSplits=9)
    return b.build([x], parts)


def _input_twice() -> bytes:
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, 0, name="the_input"), b.tensor((1, 4), 0.1, 0)
    b.op("QUANTIZE", [x], [y])
    return b.build([x, x], [y])


def _large(elements: int, times: int) -> bytes:
    """A product of more numbers than a board takes."""
    b = GraphBuilder()
    x = b.tensor((elements, times), 0.1, 0)
    w = b.tensor((2048, times), 0.1, 0, data=np.ones((2048, times), np.int8))
    y = b.tensor((elements, 2048), 0.1, 0)
    b.op("FULLY_CONNECTED", [x, w], [y])
    return b.build([x], [y])


def _long_chain(count: int) -> bytes:
    b = GraphBuilder()
    value = x = b.tensor((1, 4), 0.1, 0)
    bounds = [b.constant(v) for v in ([0, 3], [1, -5], [1, -1])]
    for _ in range(count):
        value, before = b.tensor((1, 4), 0.1, 0), value
        b.op("STRIDED_SLICE", [before, *bounds], [value])
    return b.build([x], [value])


def test_the_plain_one_compiles() -> None:
    """Else the refusals below would prove nothing."""
    assert compile_model(_conv(), "m").macs == 36


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_conv(kind="FLOAT32", weights="FLOAT32", out="FLOAT32"), ["CONV_2D", "FLOAT32", "a float model"]),
        (_conv(weights="INT16"), ["CONV_2D", "the_weights", "INT16"]),
        (_conv(kind="INT16"), ["CONV_2D", "INT8", "the_output"]),
        (_conv(kind="FLOAT32", out="FLOAT32"), ["FLOAT32", "the_input", "only its weights are quantised"]),
        (_weights_from_halves(), ["DEQUANTIZE", "the_halves", "FLOAT16", "16-bit floats"]),
        (_sparse(), ["the_weights", "sparse", "dense weights"]),
        (_branches(), ["IF", "'b'", "without control flow"]),
        (_initialised_by("READ_VARIABLE"), ["CALL_ONCE", "READ_VARIABLE", "constants"]),
        (_many_outputs(), ["1 inputs and 9 outputs"]),
        (_input_twice(), ["the_input", "named twice"]),
        (_large(4096, 64), ["FULLY_CONNECTED", "steps", "smaller model"]),
        (_large(2048, 8192), ["bytes of arena", "takes 16,777,216"]),
        (_long_chain(4100), ["4096 steps"]),
        (_conv(constant=False), ["CONV_2D", "the_weights", "no constant"]),
        (_conv(zero=3), ["CONV_2D", "the_weights", "zero point"]),
        (_conv(shape=(2, 4, 1, 2)), ["CONV_2D", "one batch"]),
        (_conv(shape=(1, -1, 1, 2)), ["the_input", "dynamic", "fixed shapes"]),
        (_conv(strideH=0), ["CONV_2D", "strides"]),
        (_conv(strideH=2), ["CONV_2D", "the_output", "rows"]),
        (_conv(fusedActivationFunction=4), ["CONV_2D", "activation 4"]),
        (_conv(bias=2**31 - 1), ["CONV_2D", "32 bits"]),
        (_one_op("L2_NORMALIZATION"), ["L2_NORMALIZATION", "'b'", "does not run"]),
        (_one_op("WHILE"), ["WHILE", "does not run", "without control flow"]),
        (_one_op("CUSTOM"), ["CUSTOM", "does not run", "replace the custom operation"]),
        (_one_op("LOGISTIC"), ["LOGISTIC", "zero point"]),
        (_one_op("LOGISTIC", "UINT8"), ["UINT8"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_unsupported(data: bytes, words: list[str]) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        compile_model(data, "m", "folder/m.tflite")
    text = str(caught.value)
    assert isinstance(caught.value, InputError)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.hint
    assert "\n" not in text
    assert text.startswith("folder/m.tflite: ")
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "m.tflite is no TensorFlow Lite model (give a .tflite file)"),
        (b"RIFF....WAVEfmt ", "m.tflite is no TensorFlow Lite model (give a .tflite file)"),
        (b"PK\x03\x04" + bytes(100), "m.tflite is no TensorFlow Lite model (give a .tflite file)"),
        (ALEXA[:8], "m.tflite: the model cannot be read: an offset or a length in it is wrong"),
        (ALEXA[:3000], "m.tflite: the model cannot be read"),
        (b"\0\0\0\0TFL3" + bytes(200), "m.tflite: the model cannot be read"),
    ],
    ids=["empty", "wav", "zip", "head", "truncated", "zeros"],
)
def test_no_model(data: bytes, text: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        compile_model(data, "m", "m.tflite")
    assert str(caught.value).startswith(text)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in str(caught.value)
