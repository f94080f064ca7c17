"""Operations on single numbers for random graphs: int8, int16 and float32, factors and zero points at their ends."""

from __future__ import annotations

import numpy as np

from bodydouble.compiler import curves
from support.graphs import RandomGraph, Value


def scaled(g: RandomGraph, scale: float, lowest: float = -4, highest: float = 4) -> float:
    """`scale` times a power of 2 between these."""
    return float(np.float32(scale * 2.0 ** g.rng.uniform(lowest, highest)))


def zero_of(g: RandomGraph, kind: str) -> int:
    """A zero point; int16 has none."""
    return g.zero() if kind == "INT8" else 0


def requantised(g: RandomGraph, value: Value, kind: str, scale: float | None = None) -> Value:
    """`value` as another type, its range about as wide, or at `scale`."""
    if scale is None:
        wide = {"INT8": 8, "INT16": 16, "FLOAT32": 0}
        shift = wide[value.kind] - wide[kind] if value.kind != "FLOAT32" else 0
        scale = value.scale if g.chance(0.2) else scaled(g, value.scale * 2.0**shift, -3, 3)
    out = g.new(value.shape, scale, zero_of(g, kind), kind)
    g.b.op("QUANTIZE", [value.index], [out.index])
    return out


def to_int16(g: RandomGraph, value: Value) -> Value:
    return requantised(g, value, "INT16")


def to_int8(g: RandomGraph, value: Value) -> Value:
    return requantised(g, value, "INT8")


def through_float(g: RandomGraph, value: Value) -> Value:
    """To float32, and mostly back to integers of about the same scale, so that many a value is near a tie."""
    middle = Value(g.b.tensor(value.shape, kind="FLOAT32"), value.shape, value.scale, 0, "FLOAT32")
    g.b.op("DEQUANTIZE", [value.index], [middle.index])
    kind = "INT8" if g.chance(0.6) else "INT16"
    factor = float(g.rng.choice([1, 2, 4, 0.5, g.rng.uniform(0.2, 5)]))
    return middle if g.chance(0.2) else requantised(g, middle, kind, float(np.float32(value.scale * factor)))


def from_float(g: RandomGraph, value: Value) -> Value:
    return requantised(g, value, "INT8" if g.chance(0.5) else "INT16")


def activation(g: RandomGraph, value: Value) -> Value:
    """RELU, RELU6 or LEAKY_RELU; a third of them change no scale, and may join what comes before."""
    kind = str(g.rng.choice(["RELU", "RELU6", "LEAKY_RELU"]))
    if kind == "RELU6" and value.scale < 1e-8:
        kind = "RELU"  # 6 / scale does not fit 32 bits
    scale, zero = value.scale, value.zero
    if kind != "RELU6" and g.chance(0.6):
        scale, zero = scaled(g, scale, -3, 3), zero_of(g, value.kind)
    out = g.new(value.shape, scale, zero, value.kind)
    options = {"alpha": float(g.rng.choice([0.01, 0.3, 1.0, 0.0, g.rng.uniform(-2, 2)]))}
    g.b.op(kind, [value.index], [out.index], **(options if kind == "LEAKY_RELU" else {}))
    return out


def curve(g: RandomGraph, value: Value) -> Value:
    """LOGISTIC or TANH; of int16 at times at the scales that TFLite treats apart."""
    kind = "LOGISTIC" if g.chance(0.5) else "TANH"
    if value.kind == "INT8" and not curves.SCALES[0] <= value.scale < curves.SCALES[1]:
        return activation(g, value)
    if value.kind == "INT16":
        scale = float(g.rng.choice([2.0**-12, 2.0**-11, scaled(g, 1, -20, 1)]))
        if scale < value.scale / 4096:  # more than 32 bits hold
            return activation(g, value)
        value = requantised(g, value, "INT16", scale)
        out = g.new(value.shape, 2.0**-15, 0, "INT16")
    else:
        out = g.new(value.shape, 1 / 256 if kind == "LOGISTIC" else 1 / 128, -128 if kind == "LOGISTIC" else 0)
    g.b.op(kind, [value.index], [out.index])
    return out


def hard_swish(g: RandomGraph, value: Value) -> Value:
    if not 1e-6 < value.scale < 1e6:  # where its shifts end
        return activation(g, value)
    out = g.new(value.shape, scaled(g, value.scale, -6, 4), g.zero())
    g.b.op("HARD_SWISH", [value.index], [out.index])
    return out


OPERATIONS = [
    (("INT8",), to_int16),
    (("INT16",), to_int8),
    (("INT8", "INT16"), through_float),
    (("FLOAT32",), from_float),
    (("INT8", "INT16"), activation),
    (("INT8", "INT16"), curve),
    (("INT8",), hard_swish),
]
