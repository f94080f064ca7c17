"""TFLite's integer arithmetic, as tflite-micro's reference kernels do it: multipliers, requantisation, activations.

Sources: tensorflow/lite/kernels/internal/quantization_util.cc, common.h and common.cc.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import NamedTuple

INT32_MAX = (1 << 31) - 1
INT32_MIN = -(1 << 31)
ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}
RANGES = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "INT32": (INT32_MIN, INT32_MAX)}
_LEFT = 32  # a shift byte of a record from here up shifts to the left before the multiplication
_PRODUCT_MAX = INT32_MAX - (1 << 17)  # what is shifted to the left, such that a zero point may still be added


def float32(value: float) -> float:
    """The nearest float32, as a Python float; infinite beyond its range."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def round_half_away(value: float) -> int:
    """C's round()."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def wrap(value: int) -> int:
    """The lower 32 bits, signed."""
    return ((value + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def saturate(value: int) -> int:
    """The nearest int32."""
    return max(INT32_MIN, min(INT32_MAX, value))


class Multiplier(NamedTuple):
    """A positive factor, multiplier * 2**(shift - 31); the multiplier is below 2**31."""

    multiplier: int
    shift: int

    @property
    def shift_byte(self) -> int:
        """The shift as a record holds it: to the right, or from 32 up to the left."""
        return _LEFT + self.shift if self.shift > 0 else -self.shift

    def fits(self, magnitude: int) -> bool:
        """True when values up to `magnitude` pass without overflow, a zero point added."""
        return magnitude << max(self.shift, 0) <= _PRODUCT_MAX

    def scale(self, value: int) -> int:
        """`value` times the factor: MultiplyByQuantizedMultiplier, double rounding."""
        left, right = max(self.shift, 0), max(-self.shift, 0)
        return rounding_shift(high_multiply(value << left, self.multiplier), right)


def quantize_multiplier(real: float) -> Multiplier:
    """`real` as a 31-bit multiplier and a shift."""
    if real == 0:
        return Multiplier(0, 0)
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return Multiplier(0, 0)
    return Multiplier(multiplier, shift)


def high_multiply(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul: the high half of 2ab, rounded; ties go up."""
    if a == b == INT32_MIN:
        return INT32_MAX
    return (a * b + (1 << 30)) >> 31


def rounding_shift(value: int, exponent: int) -> int:
    """RoundingDivideByPOT: value / 2**exponent, ties away from zero."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (value < 0)
    return (value >> exponent) + ((value & mask) > threshold)


def activation_range(activation: int, scale: float, zero_point: int, lowest: int, highest: int) -> tuple[int, int]:
    """Where a fused activation clamps, in the output's quantised units."""

    def quantised(real: float) -> int:
        ratio = float32(real / scale)
        return zero_point + (
            round_half_away(ratio) if abs(ratio) < INT32_MAX else int(math.copysign(INT32_MAX, ratio))
        )

    if activation == 1:
        return max(lowest, zero_point), highest
    if activation == 2:
        return max(lowest, quantised(-1.0)), min(highest, quantised(1.0))
    if activation == 3:
        return max(lowest, zero_point), min(highest, quantised(6.0))
    return lowest, highest


@dataclass(frozen=True)
class Rescaling:
    """out = clamp(zero_out + factor * (x - zero_in)), the factor by the difference's sign; `negate`: below is < 0."""

    zero_in: int
    above: Multiplier
    below: Multiplier
    negate: bool
    zero_out: int
    low: int
    high: int

    def fits(self, lowest: int, highest: int) -> bool:
        """True when no input from `lowest` to `highest` overflows."""
        return self.above.fits(highest - self.zero_in) and self.below.fits(self.zero_in - lowest)

    def __call__(self, value: int) -> int:
        difference = value - self.zero_in
        if difference >= 0:
            scaled = self.above.scale(difference)
        else:
            scaled = self.below.scale(difference) * (-1 if self.negate else 1)
        return min(max(scaled + self.zero_out, self.low), self.high)

    def is_identity(self, lowest: int, highest: int) -> bool:
        """True when inputs from `lowest` to `highest` stay as they are."""
        one = quantize_multiplier(1.0)
        return (
            self.above == self.below == one
            and not self.negate
            and self.zero_in == self.zero_out
            and self.low <= lowest
            and highest <= self.high
        )
