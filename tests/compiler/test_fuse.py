"""Steps that are joined: fewer records, and the same numbers as tflite-micro's wherever a tensor still exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bodydouble.compiler import compile_model
from support import families
from support.tflite_build import GraphBuilder

Build = Callable[[GraphBuilder, int], int]


def _dense(b: GraphBuilder, x: int, scale: float = 0.1, zero: int = 5, activation: int = 0) -> int:
    data = np.arange(-12, 12, dtype=np.int8).reshape(4, 6)
    y = b.tensor((1, 4), scale, zero)
    b.op("FULLY_CONNECTED", [x, b.tensor((4, 6), 0.02, 0, data=data)], [y], fusedActivationFunction=activation)
    return y


def _depthwise(b: GraphBuilder, x: int) -> int:
    # Two outputs of each channel: a step for each.
    image = b.tensor((1, 1, 1, 6), 0.05, -3)
    b.op("RESHAPE", [x, b.constant([1, 1, 1, 6])], [image])
    data = np.arange(-6, 6, dtype=np.int8).reshape(1, 1, 1, 12)
    y = b.tensor((1, 1, 1, 12), 0.1, 5)
    options = {"padding": 1, "strideH": 1, "strideW": 1, "depthMultiplier": 2}
    b.op("DEPTHWISE_CONV_2D", [image, b.tensor(data.shape, [0.02] * 12, 0, data=data, dimension=3)], [y], **options)
    return y


def _sum(b: GraphBuilder, x: int, kind: str = "INT8") -> int:
    other = b.tensor((1, 6), 0.07, 0, kind, np.arange(-3, 3).astype(kind.lower()))
    y = b.tensor((1, 6), 0.1, 5 if kind == "INT8" else 0, kind)
    b.op("ADD", [x, other], [y])
    return y


def _then(
    b: GraphBuilder, op: str, x: int, scale: float = 0.1, zero: int = 5, kind: str = "INT8", **options: Any
) -> int:
    y = b.tensor(b.graphs[0].tensors[x].shape, None if kind == "FLOAT32" else scale, zero, kind)
    b.op(op, [x], [y], **options)
    return y


def _float(b: GraphBuilder, x: int) -> int:
    return _then(b, "DEQUANTIZE", x, kind="FLOAT32")


def _unsigned(b: GraphBuilder, x: int, scale: float = 0.1) -> int:
    # The same bytes on the board.
    return _then(b, "QUANTIZE", x, scale, 133, "UINT8")


def _curves(b: GraphBuilder, x: int) -> int:
    return _then(b, "TANH", _then(b, "HARD_SWISH", _then(b, "QUANTIZE", x, 0.02, 1), 0.05, 3), 1 / 128, 0)


def _twice(b: GraphBuilder, x: int) -> int:
    middle = _dense(b, x)
    first, y = _then(b, "RELU", middle), b.tensor((1, 4), 0.1, 2)
    b.op("MUL", [middle, first], [y])
    return y


def _padded(b: GraphBuilder, x: int) -> int:
    # The border is set between the convolution and the clamp.
    y = b.tensor((1, 6), 0.1, 5)
    pads = b.tensor((2, 2), kind="INT32", data=np.array([[0, 0], [1, 1]], np.int32))
    b.op("PAD", [_then(b, "RELU", _dense(b, x)), pads], [y])
    return _float(b, y)


def _joined(b: GraphBuilder, x: int, chained: bool) -> int:
    # Two parts are written where they are joined; the second may be made of the first.
    first = _dense(b, x)
    if chained:
        second = b.tensor((1, 4), 0.1, 5)
        other = b.tensor((1, 4), 0.1, 0, data=np.arange(-20, 20, 10, dtype=np.int8))
        b.op("ADD", [first, other], [second])
    else:
        second = _dense(b, x)
    y = b.tensor((1, 8), 0.1, 5)
    b.op("CONCATENATION", [first, second], [y], axis=1)
    return _float(b, _then(b, "RELU", y))


def _wide(b: GraphBuilder, x: int) -> int:
    return _then(b, "QUANTIZE", x, 0.001, 0, "INT16")


# What is built on an int8 input of 6 elements, and the kinds of record that remain.
CASES: dict[str, tuple[Build, list[str]]] = {
    "relu": (lambda b, x: _float(b, _then(b, "RELU", _dense(b, x))), ["copy", "conv", "lookup"]),
    "relu6": (lambda b, x: _float(b, _then(b, "RELU6", _dense(b, x))), ["copy", "conv", "lookup"]),
    "clamps behind clamps": (
        lambda b, x: _unsigned(b, _then(b, "RELU6", _dense(b, x, 0.03, 5, 2), 0.03), 0.03),
        ["copy", "conv"],
    ),
    "the other way round": (
        lambda b, x: _unsigned(b, _then(b, "RELU", _dense(b, x, 0.03, 5, 3), 0.03), 0.03),
        ["copy", "conv"],
    ),
    "two steps of one tensor": (
        lambda b, x: _float(b, _then(b, "RELU", _depthwise(b, x))),
        ["copy", "depthwise", "depthwise", "lookup"],
    ),
    "sum": (lambda b, x: _float(b, _then(b, "RELU6", _sum(b, x))), ["copy", "constant", "add", "lookup"]),
    "sum of int16": (
        lambda b, x: _float(b, _then(b, "RELU6", _sum(b, _wide(b, x), "INT16"), 0.1, 0, "INT16")),
        ["lookup", "constant", "add", "dequantize"],
    ),
    "tables": (_curves, ["lookup"]),
    "bytes, then floats": (lambda b, x: _float(b, _then(b, "LOGISTIC", x, 1 / 256, -128)), ["lookup"]),
    "a shifted zero point is no clamp": (
        lambda b, x: _unsigned(b, _then(b, "RELU", _dense(b, x), 0.1, 6)),
        ["copy", "conv", "lookup"],
    ),
    "what is set between stays": (_padded, ["copy", "conv", "fill", "lookup", "lookup"]),
    "parts of one tensor": (lambda b, x: _joined(b, x, False), ["copy", "conv", "conv", "lookup"]),
    "what reads another part stays": (
        lambda b, x: _joined(b, x, True),
        ["copy", "conv", "constant", "add", "lookup"],
    ),
    "what is read twice stays": (_twice, ["copy", "conv", "lookup", "mul", "copy"]),
}


def _model(build: Build) -> bytes:
    b = GraphBuilder()
    x = b.tensor((1, 6), 0.05, -3)
    return b.build([x], [build(b, x)])


@pytest.mark.parametrize("name", CASES)
def test_records(name: str) -> None:
    build, kinds = CASES[name]
    assert [op.kind for op in compile_model(_model(build), name).ops] == kinds


def test_numbers() -> None:
    """What remains is right."""
    inputs = np.random.default_rng(1).integers(-128, 128, (200, 1, 6)).astype(np.int8)
    families.check([families.job(name, _model(build), inputs) for name, (build, _) in CASES.items()], "viper")


def test_what_is_an_output_stays() -> None:
    b = GraphBuilder()
    x = b.tensor((1, 6), 0.05, -3)
    middle = _unsigned(b, _then(b, "HARD_SWISH", x))
    y = _then(b, "QUANTIZE", middle, 0.2, 5)
    plan = compile_model(b.build([x], [middle, y]), "m")
    assert [op.kind for op in plan.ops] == ["lookup", "lookup"]
    assert plan.outputs[0].offset != plan.outputs[1].offset


def test_joined_tensors_leave_the_places() -> None:
    b = GraphBuilder()
    x = b.tensor((1, 6), 0.05, -3)
    middle = _dense(b, x)
    last = _then(b, "RELU", middle)
    y = _float(b, last)
    places = compile_model(b.build([x], [y]), "m").places
    assert middle not in places
    assert (places[last].ops, places[y].ops) == (2, 3)
