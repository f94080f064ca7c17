"""Pooling, reductions, softmax and SVDF: what is refused, and that views and slots spare copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bodydouble.compiler import UnsupportedModelError, compile_model
from support.tflite_build import GraphBuilder

_WINDOW = {"filterHeight": 2, "filterWidth": 2, "strideH": 1, "strideW": 1, "padding": 1}


def _pool(
    *,
    kinds: tuple[str, str] = ("INT8", "INT8"),
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((1, 4, 4, 2), (1, 3, 3, 2)),
    out: tuple[float, int] = (0.1, 0),
    op: str = "AVERAGE_POOL_2D",
    **options: int,
) -> bytes:
    b = GraphBuilder()
    x, y = b.tensor(shapes[0], 0.1, 0, kinds[0], name="a"), b.tensor(shapes[1], *out, kinds[1], name="b")
    b.op(op, [x], [y], **{**_WINDOW, **options})
    return b.build([x], [y])


def _reduce(
    op: str,
    *,
    kinds: tuple[str, str] = ("INT8", "INT8"),
    axes: Any = (1,),
    axis_kind: str = "INT32",
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((2, 3, 4), (2, 4)),
    scales: tuple[float, float] = (0.1, 0.1),
    **options: Any,
) -> bytes:
    b = GraphBuilder()
    x, y = (
        b.tensor(shapes[0], scales[0], 0, kinds[0], name="a"),
        b.tensor(shapes[1], scales[1], 0, kinds[1], name="b"),
    )
    data = np.array(axes, axis_kind.lower())
    b.op(op, [x, b.tensor(data.shape, kind=axis_kind, data=data)], [y], **options)
    return b.build([x], [y])


def _softmax(
    kinds: tuple[str, str] = ("INT8", "INT8"),
    out: tuple[float, int] = (1 / 256, -128),
    scale: float = 0.1,
    beta: float = 1.0,
    zero: int = 0,
    depth: int = 5,
) -> bytes:
    b = GraphBuilder()
    x, y = b.tensor((2, depth), scale, zero, kinds[0], name="a"), b.tensor((2, depth), *out, kinds[1], name="b")
    b.op("SOFTMAX", [x], [y], beta=beta)
    return b.build([x], [y])


def _svdf(
    *,
    state: str = "INT16",
    time: str = "INT16",
    state_zero: int = 0,
    variable: bool = True,
    rank: int = 2,
    bias_scale: float = 1e-4,
    state_scale: float = 0.01,
    shared: bool = False,
    units: int = 3,
) -> bytes:
    b = GraphBuilder()
    x, y = b.tensor((1, 5), 0.1, 0, name="a"), b.tensor((1, units), 0.1, 0, name="b")
    weights = b.tensor((6, 5), 0.1, data=np.ones((6, 5), np.int8), name="feature")
    times = b.tensor((6, 4), 0.01, 0, time, np.ones((6, 4), time.lower()), name="time")
    bias = b.tensor((3,), bias_scale, 0, "INT32", np.zeros(3, np.int32), name="bias")
    memory = b.tensor((1, 24), state_scale, state_zero, state, name="memory", variable=variable)
    b.op("SVDF", [x, weights, times, bias, memory], [y], rank=rank)
    return b.build([x], [y, memory] if shared else [y])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_pool(kinds=("UINT8", "UINT8")), ["AVERAGE_POOL_2D", "'a'", "UINT8"]),
        (_pool(kinds=("INT8", "INT16")), ["'b'", "INT16"]),
        (_pool(shapes=((1, 4, 4), (1, 3, 3))), ["shape"]),
        (_pool(shapes=((1, 4, 4, 2), (1, 3, 3, 1))), ["shape"]),
        (_pool(shapes=((1, 4, 4, 2), (1, 3, 2, 2))), ["gives 3 rows", "2"]),
        (_pool(filterHeight=5), ["gives 0 rows"]),
        (_pool(strideH=0), ["strides (0, 1)"]),
        (_pool(filterWidth=0), ["windows of (2, 0)"]),
        (_pool(padding=2), ["padding 2"]),
        (_pool(out=(0.2, 0)), ["scale"]),
        (_pool(out=(0.1, 1), op="MAX_POOL_2D"), ["MAX_POOL_2D", "zero point"]),
        (_pool(fusedActivationFunction=4), ["activation 4"]),
        (_reduce("MEAN", kinds=("UINT8", "UINT8")), ["MEAN", "UINT8"]),
        (_reduce("SUM", axes=(3,)), ["SUM", "[3] of 3"]),
        (_reduce("SUM", axis_kind="INT64"), ["INT64"]),
        (_reduce("SUM", keepDims=True), ["[2, 1, 4]", "[2, 4]"]),
        (_reduce("SUM", scales=(1e6, 1e-6)), ["32 bits"]),
        (_reduce("MEAN", kinds=("INT16", "INT16"), axes=(0,), shapes=((70_000, 1, 1), (1, 1))), ["70000", "32 bits"]),
        (_reduce("REDUCE_MAX", kinds=("INT16", "INT16")), ["REDUCE_MAX", "INT16"]),
        (_reduce("REDUCE_MAX", scales=(0.1, 0.2)), ["another scale"]),
        (_reduce("ARG_MAX", kinds=("INT8", "INT64")), ["ARG_MAX", "INT64"]),
        (_reduce("ARG_MAX", kinds=("INT16", "INT32")), ["ARG_MAX", "INT16"]),
        (_reduce("ARG_MAX", kinds=("INT8", "INT32"), axes=(0, 1)), ["[0, 1] of 3"]),
        (_reduce("ARG_MAX", kinds=("INT8", "INT32"), axes=-1), ["[2, 3]", "[2, 4]"]),
        (_softmax(out=(1 / 256, 0)), ["SOFTMAX", "zero point 0"]),
        (_softmax(out=(1 / 255, -128)), ["scale"]),
        (_softmax(("INT16", "INT8")), ["INT8"]),
        (_softmax(("INT8", "INT16"), (1 / 32768, 0)), ["scale"]),
        (_softmax(("INT16", "INT16"), (1 / 32768, 0), zero=1), ["zero point 1"]),
        (_softmax(("INT16", "INT16"), (1 / 32768, 0), scale=10.0), ["32 bits"]),
        (_softmax(("INT16", "INT16"), (1 / 32768, 0), beta=0.0), ["beta 0"]),
        (_softmax(beta=-1.0), ["beta -1"]),
        (_softmax(beta=float("nan")), ["beta nan"]),
        (_softmax(depth=512), ["512 classes"]),
        (_svdf(state="INT8"), ["SVDF", "'memory'", "INT8"]),
        (_svdf(state_zero=3), ["'memory'", "zero point 0"]),
        (_svdf(variable=False), ["'memory'", "variable"]),
        (_svdf(rank=4), ["6 filters of rank 4"]),
        (_svdf(units=4), ["[1, 4]"]),
        (_svdf(bias_scale=0.1), ["biases"]),
        (_svdf(shared=True), ["shares", "'memory'"]),
        (_svdf(state_scale=1e-12, bias_scale=1e-14), ["32 bits"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refused(data: bytes, words: list[str]) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        compile_model(data, "m")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), caught.value


@pytest.mark.parametrize(
    ("data", "macs"),
    [(_pool(), 0), (_reduce("MEAN"), 0), (_softmax(), 0), (_svdf(), 54)],
    ids=["pool", "mean", "soft", "svdf"],
)
def test_the_plain_ones_compile(data: bytes, macs: int) -> None:
    """Else the refusals above would prove nothing."""
    assert compile_model(data, "m").macs == macs


def test_views_are_read_and_slots_written_in_place() -> None:
    """A slice of an image is pooled where it lies, and the pools of two write what joins them."""
    b = GraphBuilder()
    x = b.tensor((1, 6, 6, 4), 0.1, 0, "UINT8")
    first = b.tensor((1, 6, 6, 4), 0.1, -128)
    b.op("QUANTIZE", [x], [first])
    cut = b.tensor((1, 4, 4, 4), 0.1, -128)
    b.op("STRIDED_SLICE", [first, *(b.constant(v) for v in ([0, 1, 1, 0], [1, 5, 5, 4], [1, 1, 1, 1]))], [cut])
    pools = [b.tensor((1, 3, 3, 4), 0.1, -128) for _ in range(2)]
    for pool, op in zip(pools, ("AVERAGE_POOL_2D", "MAX_POOL_2D"), strict=True):
        b.op(op, [cut], [pool], **_WINDOW)
    joined = b.tensor((1, 6, 3, 4), 0.1, -128)
    b.op("CONCATENATION", pools, [joined], axis=1)
    total = b.tensor((1, 4), 0.1, -128)
    b.op("SUM", [joined, b.constant([1, 2])], [total])
    out = b.tensor((1, 4), 0.1, 0, "UINT8")
    b.op("QUANTIZE", [total], [out])
    kinds = [op.kind for op in compile_model(b.build([x], [out]), "m").ops]
    assert [kind for kind in kinds if kind not in ("lookup", "copy")] == ["pool", "pool", "sum"]
    assert kinds.count("copy") == 0
