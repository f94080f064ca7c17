"""Constant folding: values as tflite-micro computes them, and nothing left on the board of what is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bodydouble.compiler import compile_model
from bodydouble.compiler.fold import fold
from bodydouble.compiler.plan import RULES
from bodydouble.compiler.reader import read_model
from support import tflm
from support.nn import DTYPES
from support.tflite_build import GraphBuilder

Build = Callable[[GraphBuilder, np.random.Generator], int]


def _int32(b: GraphBuilder, rng: np.random.Generator, shape: tuple[int, ...]) -> int:
    return b.tensor(shape, kind="INT32", data=rng.integers(-(2**31), 2**31, shape).astype(np.int32))


def _arithmetic(kind: str) -> Build:
    def build(b: GraphBuilder, rng: np.random.Generator) -> int:
        y = b.tensor((2, 3), kind="INT32")
        b.op(kind, [_int32(b, rng, (2, 3)), _int32(b, rng, (1, 3))], [y])
        return y

    return build


def _dequantize(kind: str) -> Build:
    def build(b: GraphBuilder, rng: np.random.Generator) -> int:
        limits = np.iinfo(DTYPES[kind])
        data = rng.integers(limits.min, limits.max + 1, 300).astype(DTYPES[kind])
        zero = 0 if kind == "INT16" else int(rng.integers(limits.min, limits.max + 1))
        y = b.tensor((300,), kind="FLOAT32")
        b.op("DEQUANTIZE", [b.tensor((300,), float(rng.uniform(1e-4, 3)), zero, kind, data)], [y])
        return y

    return build


def _quantize(kind: str) -> Build:
    def build(b: GraphBuilder, rng: np.random.Generator) -> int:
        # Halves, where rounding decides, and what is far out of range.
        data = np.concatenate([(np.arange(200) - 100) / 4, rng.normal(0, 1e4, 100)]).astype(np.float32)
        y = b.tensor((300,), 0.5, 0 if kind == "INT16" else 7, kind)
        b.op("QUANTIZE", [b.tensor((300,), kind="FLOAT32", data=data)], [y])
        return y

    return build


def _requantize(b: GraphBuilder, _rng: np.random.Generator) -> int:
    y = b.tensor((256,), 0.03, -3)
    b.op("QUANTIZE", [b.tensor((256,), 0.07, 5, data=np.arange(-128, 128).astype(np.int8))], [y])
    return y


def _moves(b: GraphBuilder, rng: np.random.Generator) -> int:
    a = b.tensor((2, 3, 4), 0.5, 3, data=rng.integers(-128, 128, (2, 3, 4)).astype(np.int8))
    shapes: tuple[tuple[int, ...], ...] = ((4, 2, 3), (4, 1, 2, 3), (4, 2, 2, 3), (2, 2, 3), (2, 3, 5), (2, 3, 5))
    turned, wide, joined, picked, padded, out = (b.tensor(shape, 0.5, 3) for shape in shapes)
    b.op("TRANSPOSE", [a, b.constant([2, 0, 1])], [turned])
    b.op("EXPAND_DIMS", [turned, b.constant(1)], [wide])
    b.op("CONCATENATION", [wide, wide], [joined], axis=1)
    rows = b.tensor((2, 2, 2, 3), 0.5, 3)
    b.op("GATHER", [joined, b.constant([3, 0])], [rows], axis=0)
    b.op("STRIDED_SLICE", [rows, *(b.constant(v) for v in ([0, 1, 0, 0], [2, 2, 2, 3], [1] * 4))], [picked],
         shrinkAxisMask=2)  # fmt: skip
    b.op("PAD", [picked, b.constant([[0, 0], [0, 1], [1, 1]])], [padded])
    b.op("STRIDED_SLICE", [padded, *(b.constant(v) for v in ([1, 2, 4], [-3, -4, -6], [-1] * 3))], [out])
    return out


@pytest.mark.parametrize(
    "build",
    [
        *(_arithmetic(kind) for kind in ("ADD", "SUB", "MUL")),
        *(_dequantize(kind) for kind in ("INT8", "UINT8", "INT16")),
        *(_quantize(kind) for kind in ("INT8", "INT16")),
        _requantize,
        _moves,
    ],
)
def test_values_are_those_of_tflite_micro(build: Build) -> None:
    b = GraphBuilder()
    x, copy = b.tensor((1, 2), 0.5, 0), b.tensor((2,), 0.5, 0)
    y = build(b, np.random.default_rng(3))
    b.op("RESHAPE", [x, b.constant([2])], [copy])
    data = b.build([x], [copy, y])
    golden = tflm.run(data, np.zeros((1, 1, 2), np.int8), [y]).tensors[y][0]
    graph = fold(read_model(data, "m"), RULES).subgraphs[0]
    assert [op.kind for op in graph.operators] == ["RESHAPE"]
    assert graph.tensors[y].data == golden.tobytes()
    assert {op.kind for op in compile_model(data, "m").ops} == {"copy", "constant"}


def test_a_shape_that_is_computed_costs_nothing() -> None:
    b = GraphBuilder()
    x, y = b.tensor((1, 6, 4), 0.5, 0), b.tensor((6, 4), 0.5, 0)
    shape, last, size, given = (b.tensor((n,), kind="INT32") for n in (3, 1, 1, 2))
    b.op("SHAPE", [x], [shape], outType=2)
    b.op("SLICE", [shape, b.constant([2]), b.constant([1])], [last])
    b.op("MUL", [last, b.constant([-1])], [size])
    b.op("CONCATENATION", [size, last], [given], axis=0)
    b.op("RESHAPE", [x, given], [y])
    plan = compile_model(b.build([x], [y]), "m")
    assert [op.label for op in plan.ops] == ["input", "output"]
    assert plan.arena_bytes == 24


def test_what_nothing_reads_is_dropped() -> None:
    b = GraphBuilder()
    x, y, dead = b.tensor((1, 4), 0.1, 0), b.tensor((4,), 0.1, 0), b.tensor((1, 4), 0.1, 0)
    b.op("RESHAPE", [x, b.constant([4])], [y])
    b.op("L2_NORMALIZATION", [x], [dead])
    assert [op.label for op in compile_model(b.build([x], [y]), "m").ops] == ["input", "output"]


def test_folding_stops_before_it_takes_long() -> None:
    """A large constant read again and again is left to the board, or refused there."""
    b = GraphBuilder()
    x, y = b.tensor((1,), 0.1, 0), b.tensor((1, 1), 0.1, 0)
    large = b.tensor((1 << 22,), 0.1, 0, data=np.zeros(1 << 22, np.int8))
    parts = [b.tensor((1,), 0.1, 0) for _ in range(40)]
    for part in parts:
        b.op("SLICE", [large, b.constant([7]), b.constant([1])], [part])
    b.op("RESHAPE", [x, b.constant([1, 1])], [y])
    model = read_model(b.build([x], [y, *parts[:7]]), "m")
    graph = fold(model, RULES).subgraphs[0]
    assert 0 < sum(graph.tensors[part].data is not None for part in parts) < 20
