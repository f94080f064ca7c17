"""The integer arithmetic against its definitions, and the tables against tflite-micro."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bodydouble.compiler import compile_model
from bodydouble.compiler.quantise import (
    activation_range,
    float32,
    high_multiply,
    logistic_table,
    quantize_multiplier,
    requantise_table,
    rounding_shift,
)
from support import tflm
from support.tflite_build import GraphBuilder

INT32 = st.integers(-(1 << 31), (1 << 31) - 1)


@given(INT32, INT32)
def test_high_multiply(a: int, b: int) -> None:
    """gemmlowp's SaturatingRoundingDoublingHighMul as it is written in C: a nudge, then division towards zero."""
    if a == b == -(1 << 31):
        assert high_multiply(a, b) == (1 << 31) - 1
        return
    product = a * b
    nudged = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    towards_zero = abs(nudged) >> 31
    assert high_multiply(a, b) == (towards_zero if nudged >= 0 else -towards_zero)


@given(INT32, st.integers(0, 31))
def test_rounding_shift(value: int, exponent: int) -> None:
    """To the nearest, ties away from zero."""
    exact = Fraction(value, 1 << exponent)
    nearest = int(abs(exact) + Fraction(1, 2)) * (1 if value >= 0 else -1)
    assert rounding_shift(value, exponent) == nearest


@given(st.floats(2**-25, 2**20))
def test_multiplier(real: float) -> None:
    multiplier, shift = quantize_multiplier(real)
    assert 1 << 30 <= multiplier < 1 << 31
    assert abs(multiplier * 2.0 ** (shift - 31) / real - 1) < 2**-30


def test_multiplier_of_nothing() -> None:
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(2.0**-40) == (0, 0)


def test_activation_ranges() -> None:
    assert activation_range(0, 0.1, 5, -128, 127) == (-128, 127)
    assert activation_range(1, 0.1, 5, -128, 127) == (5, 127)
    assert activation_range(3, float32(0.1), 5, -128, 127) == (5, 65)
    assert activation_range(2, float32(0.1), 5, -128, 127) == (-5, 15)


def _through_tflm(kinds: list[tuple[str, float, int, str, float, int, str]]) -> list[np.ndarray]:
    # Each operation on all 256 values of its input.
    jobs = []
    for op, scale, zero, kind, out_scale, out_zero, out_kind in kinds:
        b = GraphBuilder()
        x, y = b.tensor((1, 256), scale, zero, kind), b.tensor((1, 256), out_scale, out_zero, out_kind)
        b.op(op, [x], [y])
        low = -128 if kind == "INT8" else 0
        values = np.arange(low, low + 256).reshape(1, 1, 256).astype(np.int8 if kind == "INT8" else np.uint8)
        jobs.append(tflm.Job(b.build([x], [y]), values))
    return [golden.outputs.reshape(-1) for golden in tflm.run_many(jobs)]


def test_logistic_equals_tflite_micro() -> None:
    rng = np.random.default_rng(5)
    wake_models = [(0.18955581, 24), (0.09474028, 36), (0.3249613, 14), (0.10491189, -5)]
    drawn = [
        (2.0 ** rng.uniform(-12, 8), int(rng.choice([-128, 127, 0, rng.integers(-128, 128)]))) for _ in range(200)
    ]
    cases = [(float32(scale), zero) for scale, zero in wake_models + drawn]
    golden = _through_tflm([("LOGISTIC", s, z, "INT8", 1 / 256, -128, "INT8") for s, z in cases])
    for (scale, zero), values in zip(cases, golden, strict=True):
        assert logistic_table(scale, zero) == tuple(values.tolist()), (scale, zero)
    print(f"\n{256 * len(cases):,} values of LOGISTIC equal to tflite-micro's")


def test_quantize_equals_tflite_micro() -> None:
    rng = np.random.default_rng(6)
    cases = []
    for _ in range(150):
        kinds = [("INT8", -128), ("UINT8", 0)]
        (kind, low), (out_kind, out_low) = (kinds[int(i)] for i in rng.choice([[0, 0], [0, 1], [1, 0]]))
        scale = float32(2.0 ** rng.uniform(-10, 2))
        out_scale = scale if rng.random() < 0.2 else float32(scale * 2.0 ** rng.uniform(-6, 6))
        zeros = [int(rng.choice([first, first + 255, rng.integers(first, first + 256)])) for first in (low, out_low)]
        cases.append(("QUANTIZE", scale, zeros[0], kind, out_scale, zeros[1], out_kind))
    for case, values in zip(cases, _through_tflm(cases), strict=True):
        _, scale, zero, kind, out_scale, out_zero, out_kind = case
        low, out_low = (-128 if k == "INT8" else 0 for k in (kind, out_kind))
        assert requantise_table(scale, zero, low, out_scale, out_zero, out_low) == values.tolist(), case
    print(f"\n{256 * len(cases):,} values of QUANTIZE equal to tflite-micro's")


def test_a_quantize_that_changes_no_byte_costs_nothing() -> None:
    """int8 is held plus 128, so int8 to uint8 of the same scale is the same bytes."""
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, -128), b.tensor((1, 4), 1 / 256, -128)
    z = b.tensor((1, 4), 1 / 256, 0, "UINT8")
    b.op("LOGISTIC", [x], [y])
    b.op("QUANTIZE", [y], [z])
    assert [op.label for op in compile_model(b.build([x], [z]), "m").ops] == ["input", "logistic"]
