"""Sums of products of int16, groups, batches and transposed convolutions: what is refused, and what they become."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from bodydouble.compiler import Plan, UnsupportedModelError, compile_model
from bodydouble.compiler.ops_transpose_conv import find_phases
from support.tflite_build import GraphBuilder

_DTYPES = {"INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64}


def _model(
    op: str,
    source: tuple[int, ...],
    weights: tuple[int, ...],
    out: tuple[int, ...],
    *,
    kind: str = "INT16",
    weight_kind: str = "INT8",
    weight: int = 1,
    weight_scales: int = 1,
    dimension: int = 0,
    weight_zero: int = 0,
    zeros: tuple[int, int] = (0, 0),
    bias: tuple[str, int] | None = None,
    bias_scale: float = 0.001,
    out_scale: float = 0.1,
    named_shape: tuple[int, ...] = (),
    **options: Any,
) -> bytes:
    b = GraphBuilder()
    x = b.tensor(source, 0.01, zeros[0], kind, name="a")
    size = int(np.prod(weights))
    data = np.full((size + 1) // 2 if weight_kind == "INT4" else size, weight, np.int8)
    w = b.tensor(weights, [0.1] * weight_scales, weight_zero, weight_kind, data, dimension, name="w")
    channels = weights[3] if op == "DEPTHWISE_CONV_2D" else weights[0]
    inputs = [x, w]
    if bias:
        inputs.append(
            b.tensor((channels,), bias_scale, 0, bias[0], np.full(channels, bias[1], _DTYPES[bias[0]]), name="bias")
        )
    y = b.tensor(out, out_scale, zeros[1], kind, name="b")
    if op == "TRANSPOSE_CONV":
        inputs = [b.constant(list(named_shape or out)), w, x, *inputs[2:]]
    b.op(op, inputs, [y], **({} if op == "FULLY_CONNECTED" else {"padding": 1, "strideH": 1, "strideW": 1} | options))
    return b.build([x], [y])


def _conv(**given: Any) -> bytes:
    return _model(
        "CONV_2D", given.pop("source", (1, 4, 4, 6)), (4, 2, 2, given.pop("depth", 6)), (1, 3, 3, 4), **given
    )


def _depthwise(**given: Any) -> bytes:
    kernel = given.pop("kernel", 2)
    size = kernel + 2
    out = (1, 3, 3, 6)
    return _model("DEPTHWISE_CONV_2D", (1, size, size, 6), (1, kernel, kernel, 6), out, depthMultiplier=1, **given)


def _dense(**given: Any) -> bytes:
    depth = given.pop("depth", 6)
    return _model("FULLY_CONNECTED", (1, depth), given.pop("weights", (4, depth)), (1, 4), **given)


def _transposed(**given: Any) -> bytes:
    source, weights, out = (1, 4, 4, 6), given.pop("weights", (3, 2, 2, 6)), given.pop("out", (1, 8, 8, 3))
    return _model("TRANSPOSE_CONV", source, weights, out, **{"strideH": 2, "strideW": 2, **given})


_WHOLE = [
    _conv(), _conv(bias=("INT32", 9)), _conv(bias=("INT64", 9)), _conv(depth=3), _conv(depth=3, kind="INT8"),
    _conv(kind="INT8", weight_kind="INT4"), _depthwise(), _depthwise(bias=("INT64", 9)), _dense(),
    _dense(bias=("INT32", 9)), _dense(weights=(1, 1, 4, 6)), _dense(kind="INT8", weight_zero=-5), _transposed(),
    _transposed(bias=("INT16", 9)), _transposed(bias=("INT64", 9)), _transposed(kind="INT8", bias=("INT32", 9)),
]  # fmt: skip


def test_the_plain_ones_compile() -> None:
    """Else the refusals below would prove nothing."""
    assert all(compile_model(data, "m").macs for data in _WHOLE)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_conv(bias=("INT16", 1)), ["'bias'", "INT16", "INT64 or INT32"]),
        (_conv(bias=("INT64", 1), kind="INT8"), ["'bias'", "INT64", "INT32"]),
        (_depthwise(bias=("INT32", 1)), ["'bias'", "INT32", "INT64"]),
        (_transposed(bias=("INT32", 1)), ["'bias'", "INT32", "INT64 or INT16"]),
        (_conv(weight_kind="INT4"), ["'w'", "INT4"]),
        (_transposed(kind="INT8", weight_kind="INT4"), ["'w'", "INT4"]),
        (_dense(kind="INT8", weight_kind="INT4", weight_scales=4), ["'w'", "INT4", "scale per channel"]),
        (_conv(weight_scales=4, dimension=1), ["'w'", "dimension 1"]),
        (_conv(weight_scales=3), ["'w'", "per channel"]),
        (_conv(zeros=(3, 0)), ["int16", "zero point"]),
        (_dense(zeros=(0, -1)), ["int16", "zero point"]),
        (_conv(depth=4), ["4 channels", "[1, 4, 4, 6]"]),
        (_conv(depth=2), ["2 channels", "[1, 4, 4, 6]"]),  # 3 groups of 4 outputs
        (_conv(source=(2, 4, 4, 6)), ["one batch"]),
        (_dense(bias=("INT32", 1), bias_scale=0.5), ["'bias'", "scale"]),
        (_dense(bias=("INT64", 1 << 46)), ["47 bits"]),
        (_dense(bias=("INT64", 1 << 40)), ["31 bits"]),
        (_dense(bias=("INT32", (1 << 31) - 1)), ["32 bits"]),
        (_dense(out_scale=1e-6), ["47 bits"]),  # a factor above 2^7
        (_dense(out_scale=1e-7, bias=("INT32", 1), bias_scale=0.001), ["32 bits"]),
        (_dense(depth=600, weight=127, bias=("INT32", 1)), ["32 bits"]),
        (_dense(depth=32761), ["32768 int16", "32760"]),
        (_depthwise(kernel=17, weight=127), ["32 bits"]),
        (_transposed(named_shape=(1, 8, 9, 3)), ["[1, 8, 9, 3]", "[1, 8, 8, 3]"]),
        (_transposed(strideH=17, strideW=17), ["strides [17, 17]"]),
        (_transposed(strideH=0), ["strides [0, 2]"]),
        (_transposed(weights=(3, 11, 2, 6)), ["larger than its output"]),
        (_transposed(weights=(3, 2, 2, 5)), ["5 channels"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_unsupported(data: bytes, words: list[str]) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        compile_model(data, "m")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def _kinds(data: bytes) -> tuple[Plan, Counter[str]]:
    plan = compile_model(data, "m")
    return plan, Counter(op.kind for op in plan.ops if op.label not in ("input", "output"))


def test_a_transposed_convolution_is_one_for_each_phase() -> None:
    """Nothing is stretched, nothing multiplied in vain; a border only where kernels overlap."""
    plan, kinds = _kinds(_transposed())
    assert kinds == {"conv16": 4}
    assert plan.macs == 4 * 4 * 4 * 6 * 3
    plan, kinds = _kinds(_transposed(strideH=3, out=(1, 12, 8, 3)))
    assert kinds == {"conv16": 6}
    assert plan.macs == 4 * 4 * 4 * 6 * 3 + 2 * 4 * 4 * 3  # a third row of biases alone
    plan, kinds = _kinds(_transposed(kind="INT8", weights=(3, 3, 3, 6), padding=0))
    assert kinds == {"fill": 1, "copy": 1, "conv": 4}
    assert plan.macs == 4 * 4 * 6 * 3 * 9


@pytest.mark.parametrize("padding", [0, 1])
def test_phases_cover_every_row_once(padding: int) -> None:
    """Against the definition: row `i * stride + tap - pad` of the output gets tap `tap` of row `i` of the input."""
    for out in range(1, 12):
        for kernel in range(1, 7):
            for stride in range(1, 5):
                total = max((-(-out // stride) - 1) * stride + kernel - out, 0) if padding == 0 else 0
                found = sorted(
                    (phase.first + n * stride, phase.start + n + position, tap)
                    for phase in find_phases(out, kernel, stride, padding)
                    for n in range(phase.count)
                    for position, tap in enumerate(phase.taps)
                    if tap < kernel
                )
                assert found == sorted(
                    (i * stride + tap - total // 2, i, tap)
                    for i in range(-8, 30)
                    for tap in range(kernel)
                    if 0 <= i * stride + tap - total // 2 < out
                )


def test_groups_and_batches_are_records() -> None:
    """Each reads and writes its part in place; groups of one channel are a depthwise convolution."""
    assert _kinds(_conv(depth=3))[1] == {"conv16": 2}
    assert _kinds(_model("CONV_2D", (3, 4, 4, 6), (4, 2, 2, 3), (3, 3, 3, 4), kind="INT8"))[1] == {"conv": 6}
    assert _kinds(_model("CONV_2D", (1, 4, 4, 6), (12, 2, 2, 1), (1, 3, 3, 12)))[1] == {"depthwise16": 2}
    plan, _ = _kinds(_model("CONV_2D", (3, 4, 4, 6), (4, 2, 2, 6), (3, 3, 3, 4)))
    assert len(plan.blob) < len(_kinds(_conv())[0].blob) + 2 * 25 * 4 + 1  # one copy of the weights
