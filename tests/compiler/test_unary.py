"""Operations on single numbers: every value of 8 bits against tflite-micro, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bodydouble.compiler import UnsupportedModelError, compile_model, curves
from bodydouble.compiler.quantise import float32
from support import tflm
from support.tflite_build import GraphBuilder

_LOWEST = {"INT8": -128, "UINT8": 0}


def _model(
    op: str, ends: tuple[tuple[str, float, int], tuple[str, float, int]], count: int = 256, **options: Any
) -> bytes:
    b = GraphBuilder()
    x, y = (
        b.tensor((1, count), None if kind == "FLOAT32" else scale, zero, kind, name=name)
        for (kind, scale, zero), name in zip(ends, ("a", "b"), strict=True)
    )
    b.op(op, [x], [y], **options)
    return b.build([x], [y])


def _through_tflm(op: str, cases: list[tuple[float, int, float, int]]) -> list[np.ndarray]:
    values = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)
    jobs = [tflm.Job(_model(op, (("INT8", s, z), ("INT8", t, y))), values) for s, z, t, y in cases]
    return [golden.outputs.reshape(-1) for golden in tflm.run_many(jobs)]


def _drawn(rng: np.random.Generator, count: int, lowest: float, highest: float) -> list[tuple[float, int]]:
    zeros = (-128, 127, 0)
    return [
        (
            float32(2.0 ** rng.uniform(lowest, highest)),
            int(rng.choice(zeros)) if rng.random() < 0.5 else int(rng.integers(-128, 128)),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(("op", "out_zero"), [("LOGISTIC", -128), ("TANH", 0)])
def test_curves_equal_tflite_micro(op: str, out_zero: int, soak: bool) -> None:
    """Over all scales that are defined, whatever the output's scale says."""
    rng = np.random.default_rng(5)
    wake_models = [(0.18955581, 24), (0.09474028, 36), (0.3249613, 14), (0.10491189, -5)]
    ends = [(2.0**-28, 3), (2.0**-27, -9), (float32(2.0**35 * (1 - 2**-24)), 0), (2.0**30, 1)]
    drawn = _drawn(rng, 3000 if soak else 12, -28, 34) + _drawn(rng, 3000 if soak else 12, -8, 3)
    cases = [(float32(s), z, float32(2.0 ** rng.uniform(-9, 0)), out_zero) for s, z in wake_models + ends + drawn]
    function = curves.logistic if op == "LOGISTIC" else curves.tanh
    for (scale, zero, _, _), values in zip(cases, _through_tflm(op, cases), strict=True):
        assert list(map(function(scale, zero), range(-128, 128))) == values.tolist(), (scale, zero)
    print(f"\n{256 * len(cases):,} values of {op} equal to tflite-micro's")


def test_hard_swish_equals_tflite_micro(soak: bool) -> None:
    rng = np.random.default_rng(6)
    cases = []
    for (scale, zero), (ratio, out_zero) in zip(
        _drawn(rng, 6000 if soak else 25, -10, 3), _drawn(rng, 6000 if soak else 25, -6.9, 7), strict=True
    ):
        cases.append((scale, zero, float32(scale * ratio), out_zero))
    for case, values in zip(cases, _through_tflm("HARD_SWISH", cases), strict=True):
        function = curves.hard_swish(*case)
        assert function is not None
        assert list(map(function, range(-128, 128))) == values.tolist(), case
    print(f"\n{256 * len(cases):,} values of HARD_SWISH equal to tflite-micro's")


_INT8 = ("INT8", 0.1, 0)
_INT16 = ("INT16", 0.1, 0)
_FLOAT = ("FLOAT32", 0.0, 0)
_CURVE = ("INT16", 2.0**-15, 0)


@pytest.mark.parametrize(
    ("op", "ends", "words"),
    [
        ("LOGISTIC", (_INT8, _INT8), ["zero point is not -128"]),
        ("LOGISTIC", (("INT8", 2.0**-29, 0), ("INT8", 1 / 256, -128)), ["scale"]),
        ("LOGISTIC", (_INT8, _INT16), ["'b'", "INT16"]),
        ("LOGISTIC", (_INT16, _INT16), ["1/32768"]),
        ("TANH", (("INT16", 2.7, 0), _CURVE), ["scale 2.7"]),
        ("TANH", (("INT16", 0.1, 1), _CURVE), ["zero point", "'a'"]),
        ("TANH", (_FLOAT, _FLOAT), ["FLOAT32"]),
        ("RELU", (("INT16", 0.1, 0), ("INT16", 0.1, 5)), ["zero point", "'b'"]),
        ("RELU", (("INT8", 1e6, 0), ("INT8", 1e-3, 0)), ["32 bits"]),
        ("RELU", (("UINT8", 0.1, 0), ("UINT8", 0.1, 0)), ["UINT8"]),
        ("RELU6", (("INT8", 1e-9, 0), ("INT8", 1e-9, 0)), ["scale 1e-09"]),
        ("HARD_SWISH", (("INT8", 1.0, 0), ("INT8", 1e-3, 0)), ["scale 1 to 0.001"]),
        ("HARD_SWISH", (_INT16, _INT16), ["INT16"]),
        ("QUANTIZE", (("UINT8", 0.1, 0), ("UINT8", 0.2, 0)), ["UINT8"]),
        ("QUANTIZE", (("INT16", 0.1, 0), ("UINT8", 0.1, 0)), ["UINT8"]),
        ("QUANTIZE", (_FLOAT, ("UINT8", 0.1, 0)), ["UINT8"]),
        ("QUANTIZE", (_FLOAT, ("INT8", 1e-38, 0)), ["scale 1e-38"]),
        ("QUANTIZE", (("INT16", 1e5, 0), ("INT32", 0.1, 0)), ["32 bits"]),
        ("DEQUANTIZE", (("INT32", 0.1, 0), _FLOAT), ["INT32"]),
        ("DEQUANTIZE", (_INT8, _INT8), ["'b'", "INT8"]),
    ],
)
def test_refused(op: str, ends: tuple[tuple[str, float, int], tuple[str, float, int]], words: list[str]) -> None:
    """In one line, what tflite-micro refuses or leaves undefined."""
    with pytest.raises(UnsupportedModelError) as caught:
        compile_model(_model(op, ends), "m")
    for word in (op, *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("alpha", [float("nan"), float("inf")])
def test_a_slope_that_is_no_number(alpha: float) -> None:
    with pytest.raises(UnsupportedModelError, match="slope"):
        compile_model(_model("LEAKY_RELU", (_INT8, _INT8), alpha=alpha), "m")


def test_a_quantize_that_changes_no_byte_costs_nothing() -> None:
    """int8 is held plus 128, so int8 to uint8 of the same scale is the same bytes."""
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, -128), b.tensor((1, 4), 1 / 256, -128)
    z = b.tensor((1, 4), 1 / 256, 0, "UINT8")
    b.op("LOGISTIC", [x], [y])
    b.op("QUANTIZE", [y], [z])
    assert [op.label for op in compile_model(b.build([x], [z]), "m").ops] == ["logistic"]


def test_wider_types_that_change_no_byte_cost_nothing() -> None:
    """int16 of the same scale and zero point is the input itself: one copy gives it a place of its own."""
    plan = compile_model(_model("QUANTIZE", (("INT16", 0.3, 7), ("INT16", 0.3, 7))), "m")
    assert [op.kind for op in plan.ops] == ["copy"]
