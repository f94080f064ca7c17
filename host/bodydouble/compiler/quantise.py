"""TFLite's integer arithmetic, as tflite-micro's reference kernels do it: multipliers, activations, tables.

Sources: tensorflow/lite/kernels/internal/quantization_util.cc, common.h, and reference/integer_ops/logistic.h.
"""

from __future__ import annotations

import math
import struct
from functools import cache

_INT32_MAX = (1 << 31) - 1
_INT32_MIN = -(1 << 31)
ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}


def float32(value: float) -> float:
    """The nearest float32, as a Python float."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def round_half_away(value: float) -> int:
    """C's round()."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """`real` as a 31-bit multiplier and a shift: real = multiplier * 2**(shift - 31)."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def high_multiply(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul: the high half of 2ab, rounded; ties go up."""
    if a == b == _INT32_MIN:
        return _INT32_MAX
    return (a * b + (1 << 30)) >> 31


def rounding_shift(value: int, exponent: int) -> int:
    """RoundingDivideByPOT: value / 2**exponent, ties away from zero."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (value < 0)
    return (value >> exponent) + ((value & mask) > threshold)


def requantise(value: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier, double rounding."""
    left, right = max(shift, 0), max(-shift, 0)
    return rounding_shift(high_multiply(value << left, multiplier), right)


def activation_range(activation: int, scale: float, zero_point: int, lowest: int, highest: int) -> tuple[int, int]:
    """Where a fused activation clamps, in the output's quantised units."""

    def quantised(real: float) -> int:
        return zero_point + round_half_away(float32(real / scale))

    if activation == 1:
        return max(lowest, zero_point), highest
    if activation == 2:
        return max(lowest, quantised(-1.0)), min(highest, quantised(1.0))
    if activation == 3:
        return max(lowest, zero_point), min(highest, quantised(6.0))
    return lowest, highest


def requantise_table(
    scale: float, zero_point: int, low: int, out_scale: float, out_zero: int, out_low: int
) -> list[int]:
    """QUANTIZE from one 8-bit type to another: 256 values, by input from `low` up. `low` is -128 or 0."""
    multiplier, shift = quantize_multiplier(scale / out_scale)
    return [
        min(max(requantise(value - zero_point, multiplier, shift) + out_zero, out_low), out_low + 255)
        for value in range(low, low + 256)
    ]


# Fixed point after gemmlowp: an int32 with so many integer bits, the rest after the point.


def _wrap(value: int) -> int:
    return ((value + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def _saturate(value: int) -> int:
    return max(_INT32_MIN, min(_INT32_MAX, value))


def _exp_on_quarter(a: int) -> int:
    # exp(a) for a in [-1/4, 0), no integer bits: a Taylor polynomial around -1/8.
    exp_minus_eighth, third = 1895147668, 715827883
    x = _wrap(a + (1 << 28))
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4 = high_multiply(x2, x2)
    quarter = rounding_shift(x4, 2)
    tail = rounding_shift(_wrap(high_multiply(_wrap(quarter + x3), third) + x2), 1)
    return _wrap(exp_minus_eighth + high_multiply(exp_minus_eighth, _wrap(x + tail)))


_EXP_STEPS = (
    (-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401), (4, 242),
)  # fmt: skip


def _exp_of_negative(a: int, integer_bits: int) -> int:
    # exp(a) for a <= 0: the polynomial for the part below 1/4, a factor per bit above.
    if a == 0:
        return _INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    below = (a & (quarter - 1)) - quarter
    result = _exp_on_quarter(_saturate(below << integer_bits))
    rest = _wrap(below - a)
    for exponent, factor in _EXP_STEPS:
        if integer_bits > exponent and rest & (1 << (fraction_bits + exponent)):
            result = high_multiply(result, factor)
    return result


def _one_over_one_plus(a: int) -> int:
    # 1 / (1 + a) for a in [0, 1]: three Newton-Raphson steps, two integer bits.
    total = a + _INT32_MAX
    half = (total + 1) >> 1
    x = _wrap(1515870810 + high_multiply(half, -1010580540))
    for _ in range(3):
        product = high_multiply(half, x)
        x = _wrap(x + _saturate(high_multiply(x, _wrap((1 << 29) - product)) << 2))
    return _saturate(x << 1)


def _logistic(a: int, integer_bits: int) -> int:
    if a == 0:
        return 1 << 30
    positive = _one_over_one_plus(_exp_of_negative(-abs(a), integer_bits))
    return positive if a > 0 else _INT32_MAX - positive


_LOGISTIC_INTEGER_BITS = 4
LOGISTIC_SCALES = (2.0**-27, 2.0**30)  # outside, TFLite's own shift is undefined


@cache
def logistic_table(scale: float, zero_point: int) -> tuple[int, ...]:
    """LOGISTIC of int8: 256 int8 values by input from -128; the output has scale 1/256 and zero point -128."""
    multiplier, shift = quantize_multiplier(scale * (1 << (31 - _LOGISTIC_INTEGER_BITS)))
    radius = math.floor(
        ((1 << _LOGISTIC_INTEGER_BITS) - 1) * (1 << (31 - _LOGISTIC_INTEGER_BITS)) / math.ldexp(1.0, shift)
    )
    table = []
    for value in range(-128, 128):
        centred = value - zero_point
        if centred <= -radius:
            table.append(-128)
        elif centred >= radius:
            table.append(127)
        else:
            fixed = _logistic(requantise(centred, multiplier, shift), _LOGISTIC_INTEGER_BITS)
            table.append(max(-128, min(127, min(rounding_shift(fixed, 23), 255) - 128)))
    return tuple(table)
