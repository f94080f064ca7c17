"""The integer arithmetic against its definitions."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from bodydouble.compiler.quantise import (
    activation_range,
    float32,
    high_multiply,
    quantize_multiplier,
    rounding_shift,
)

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
