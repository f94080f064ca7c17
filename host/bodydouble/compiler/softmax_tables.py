"""What SOFTMAX looks up, as tflite-micro computes it: exp of int8 differences, and its two curves for int16.

Sources: tensorflow/lite/micro/kernels/softmax_common.cc, tensorflow/lite/kernels/internal/reference/softmax.h, and
LUTPopulate in tensorflow/lite/kernels/internal/common.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from bodydouble.compiler.fixed_point import exp_of_negative
from bodydouble.compiler.quantise import float32, high_multiply, quantize_multiplier, round_half_away

_INTEGER_BITS = 5  # of the argument of exp
_MULTIPLIER_MAX = (1 << 31) - 1.0
_STEPS = 512
_SPAN = 65535  # between the lowest and the highest int16


@cache
def exp_table(scale: float, beta: float) -> tuple[int, ...] | None:
    """exp(-beta * scale * d) for d from 0 to 255 in units of 2**-31, 0 where TFLite takes none.

    None where TFLite stops: a factor that is too small, or no positive number.
    """
    real = min(beta * scale * (1 << (31 - _INTEGER_BITS)), _MULTIPLIER_MAX)
    if not real > 1:
        return None
    multiplier, shift = quantize_multiplier(real)
    radius = math.floor(((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)) / (1 << shift))
    return tuple(
        exp_of_negative(high_multiply(-d << shift, multiplier), _INTEGER_BITS) if d <= radius else 0
        for d in range(256)
    )


def _curve(scale: float, zero: int, function: Callable[[float], float]) -> tuple[int, ...]:
    # 513 values for interpolation, each moved by half the error in the middle of its step; float32 throughout.
    f = float32
    low, high = f(scale * (-32768 - zero)), f(scale * (32767 - zero))
    step = f(f(high - low) / _STEPS)
    half_step = f(step / 2)
    unit = f(2.0 / _SPAN)
    inverse = f(65536 / f(f(unit * 32767) - f(unit * -32768)))

    def at(i: int, offset: float = 0.0) -> float:
        return f(f(function(f(f(low + f(i * step)) + offset))) * inverse)

    def whole(value: float) -> float:
        return float(round_half_away(value))

    table = []
    for i in range(_STEPS):
        sample = whole(at(i))
        middle = whole(f(f(at(i + 1) + sample) / 2)) - whole(at(i, half_step))
        table.append(sample - whole(middle / 2))
    table.append(whole(f(f(function(high)) * inverse)))
    return tuple(int(max(-32768, min(32767, value))) for value in table)


@cache
def exp_curve() -> tuple[int, ...]:
    """exp from -10 to 0 in units of 2**-15, at 513 places."""
    return _curve(float32(10.0 / _SPAN), 32767, math.exp)


@cache
def reciprocal_curve() -> tuple[int, ...]:
    """1 / (1 + x) for x from 0 to 1 in units of 2**-15, at 513 places."""
    return _curve(float32(1.0 / _SPAN), -32768, lambda x: 1.0 / float32(1.0 + x))
