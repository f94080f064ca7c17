"""Curved functions as tflite-micro computes them: value by value of int8, or what the board needs for int16.

Sources: tensorflow/lite/kernels/internal/reference/integer_ops/{logistic,tanh}.h, reference/hard_swish.h, and the
preparation in tensorflow/lite/micro/kernels/{logistic_common,tanh,hard_swish_common}.cc.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from bodydouble.compiler import fixed_point
from bodydouble.compiler.quantise import Multiplier, quantize_multiplier, round_half_away, rounding_shift

Function = Callable[[int], int]
_INTEGER_BITS = 4
SCALES = (2.0**-28, 2.0**35)  # of the input of an int8 LOGISTIC or TANH: outside, TFLite's own shift is undefined


def _curve(scale: float, zero_point: int, low: int, high: int, inside: Function) -> Function:
    # Saturates where the fixed-point input would overflow.
    multiplier = quantize_multiplier(scale * (1 << (31 - _INTEGER_BITS)))
    radius = math.floor(((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)) / math.ldexp(1.0, multiplier.shift))

    def value(x: int) -> int:
        centred = x - zero_point
        if centred <= -radius:
            return low
        if centred >= radius:
            return high
        return max(low, min(high, inside(multiplier.scale(centred))))

    return value


def logistic(scale: float, zero_point: int) -> Function:
    """LOGISTIC of int8, in units of 1/256 from -128."""
    return _curve(
        scale,
        zero_point,
        -128,
        127,
        lambda x: rounding_shift(fixed_point.logistic(x, _INTEGER_BITS), 23) - 128,
    )


def tanh(scale: float, zero_point: int) -> Function:
    """TANH of int8, in units of 1/128."""
    return _curve(scale, zero_point, -128, 127, lambda x: rounding_shift(fixed_point.tanh(x, _INTEGER_BITS), 24))


def _saturate16(value: int) -> int:
    return max(-32768, min(32767, value))


def _high_multiply16(a: int, b: int) -> int:
    # The high half of 2ab, rounded; ties go up.
    return _saturate16((a * b + (1 << 14)) >> 15)


def _narrow(multiplier: Multiplier) -> int:
    # A 31-bit multiplier in 15 bits.
    return min((multiplier.multiplier + (1 << 15)) >> 16, 32767)


def hard_swish(scale: float, zero_point: int, out_scale: float, out_zero: int) -> Function | None:
    """HARD_SWISH of int8 in 16-bit arithmetic; None where tflite-micro refuses the scales or is undefined."""
    fine = scale / 128
    output = quantize_multiplier(fine / out_scale)
    gate = quantize_multiplier(fine / (3 / 32768))
    if not -15 <= output.shift <= 0 or not -15 <= gate.shift <= 30:
        return None

    def value(x: int) -> int:
        centred = (x - zero_point) << 7
        product = _high_multiply16(centred, _narrow(output))
        # The input from -3 to 3 becomes -1 to 1, saturating, then 0 to 1.
        opening = centred
        if gate.shift > 0:
            opening = _saturate16(opening << (gate.shift - 1))
        opening = _high_multiply16(opening, _narrow(gate))
        if gate.shift > 0:
            opening = _saturate16(opening << 1)
        if gate.shift < 0:
            opening = rounding_shift(opening, -gate.shift)
        opening = (opening + (1 << 15)) >> 1
        passed = abs(opening * product) >> 15
        passed = passed if product >= 0 else -passed
        return max(-128, min(127, rounding_shift(passed, -output.shift) + out_zero))

    return value


@cache
def sigmoid_table() -> tuple[int, ...]:
    """65536 / (1 + exp(-i / 24)) for i < 256: each moved by half the error of the chords at its sides."""

    def exact(i: float) -> float:
        return 65536 / (1 + math.exp(-i / 24))

    def chord_error(a: float, b: float) -> float:
        return exact((a + b) / 2) - (exact(a) + exact(b)) / 2

    inner = [round_half_away(exact(i) + (chord_error(i - 1, i) + chord_error(i, i + 1)) / 4) for i in range(255)]
    return (*inner, 65535)


@dataclass(frozen=True)
class Curve:
    """int16 LOGISTIC or TANH by interpolation in `sigmoid_table` (record CURVE of firmware/PLAN.md)."""

    multiplier: int
    shift: int
    fraction_bits: int
    saturated: int
    above: int
    below: int
    final_shift: int


def _power_of_two(scale: float) -> tuple[int, bool] | None:
    # CheckedLog2: the nearest power, and whether it is one, give or take; None too near to that to be sure.
    exact = math.log2(scale)
    power = round_half_away(exact)
    distance = abs(abs(exact - power) - 1e-3)
    return None if distance < 1e-5 else (power, abs(exact - power) < 1e-3)


def curve(kind: str, scale: float, out_scale: float) -> Curve | None:
    """What int16 LOGISTIC or TANH does to an input of `scale`; None where tflite-micro refuses or is undefined."""
    power, out_power = _power_of_two(scale), _power_of_two(out_scale)
    if power is None or out_power != (-15, True):
        return None
    shift = power[0] + 12
    if power[1] and (shift == 0 or (shift == 1 and kind == "TANH")):
        multiplier, shift = 3 << shift, 0
    else:
        real, shift = scale * 4096 * 3, 0
        while real <= 32767 / 2 and shift <= 30:
            real, shift = real * 2, shift + 1
        multiplier = int(real)
    if not 0 < multiplier <= 32767:
        return None
    if kind == "LOGISTIC":
        return Curve(multiplier, shift, 9, 0x7FFF << 10, 1 << 9, (1 << 25) + (1 << 9) - 1, 10)
    return Curve(multiplier, shift, 8, 0xFFFF << 8, (1 << 7) - (1 << 23), (1 << 23) + (1 << 7) - 1, 8)
