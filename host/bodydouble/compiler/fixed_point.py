"""Fixed-point exp, logistic and tanh after gemmlowp: an int32 with so many integer bits, the rest after the point.

Source: fixedpoint/fixedpoint.h of gemmlowp. Results of exp, logistic and tanh have no integer bits.
"""

from __future__ import annotations

from bodydouble.compiler.quantise import INT32_MAX, high_multiply, rounding_shift, saturate, wrap

_ONE_IN_2 = 1 << 29  # 1 with two integer bits


def _exp_on_quarter(a: int) -> int:
    # exp(a) for a in [-1/4, 0), no integer bits: a Taylor polynomial around -1/8.
    exp_minus_eighth, third = 1895147668, 715827883
    x = wrap(a + (1 << 28))
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4 = high_multiply(x2, x2)
    quarter = rounding_shift(x4, 2)
    tail = rounding_shift(wrap(high_multiply(wrap(quarter + x3), third) + x2), 1)
    return wrap(exp_minus_eighth + high_multiply(exp_minus_eighth, wrap(x + tail)))


_EXP_STEPS = (
    (-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401), (4, 242),
)  # fmt: skip


def exp_of_negative(a: int, integer_bits: int) -> int:
    """exp(a) for a <= 0 of up to 5 integer bits: the polynomial for the part below 1/4, a factor per bit above."""
    if a == 0:
        return INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    below = (a & (quarter - 1)) - quarter
    result = _exp_on_quarter(saturate(below << integer_bits))
    rest = wrap(below - a)
    for exponent, factor in _EXP_STEPS:
        if integer_bits > exponent and rest & (1 << (fraction_bits + exponent)):
            result = high_multiply(result, factor)
    return result


def _two_over_one_plus(a: int) -> int:
    # 2 / (1 + a) for a in [0, 1], two integer bits: three Newton-Raphson steps.
    half = (a + INT32_MAX + 1) >> 1
    x = wrap(1515870810 + high_multiply(half, -1010580540))
    for _ in range(3):
        product = high_multiply(half, x)
        x = wrap(x + saturate(high_multiply(x, wrap(_ONE_IN_2 - product)) << 2))
    return x


def one_over_one_plus(a: int) -> int:
    """1 / (1 + a) for a in [0, 1], without integer bits."""
    return saturate(_two_over_one_plus(a) << 1)


def logistic(a: int, integer_bits: int) -> int:
    """1 / (1 + exp(-a))."""
    if a == 0:
        return 1 << 30
    positive = one_over_one_plus(exp_of_negative(-abs(a), integer_bits))
    return positive if a > 0 else INT32_MAX - positive


def tanh(a: int, integer_bits: int) -> int:
    """(1 - exp(-2a)) / (1 + exp(-2a))."""
    if a == 0:
        return 0
    fraction = _two_over_one_plus(exp_of_negative(-abs(a), integer_bits + 1))
    positive = saturate((fraction - _ONE_IN_2) << 2)
    return positive if a > 0 else -positive
