"""Sums of products for random graphs: int16 activations, batches, groups, int4 weights, transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from support.graphs import LIMITS, RandomGraph, Value

BOTH = ("INT8", "INT16")
_INT32 = 2  # in the schema
_BIAS_DTYPES = {"INT16": np.int16, "INT32": np.int32, "INT64": np.int64}
_ELEMENTS_MAX = 2000
_SCALE_MIN = 2.0**-27  # an activation's ends fit 32 bits


def shaped(g: RandomGraph, value: Value, shape: tuple[int, ...]) -> Value:
    """The same elements in another shape."""
    if shape == value.shape:
        return value
    out = g.new(shape, value.scale, value.zero, value.kind)
    g.b.op("RESHAPE", [value.index, g.b.constant(list(shape))], [out.index])
    return out


def images(g: RandomGraph, value: Value) -> Value:
    """As 4 dimensions, at times of several batches."""
    elements = int(np.prod(value.shape))
    if len(value.shape) == 4 and value.shape[0] <= 4 and g.chance(0.6):
        return value
    depth = next(n for n in (g.int(1, 9), 6, 4, 3, 2, 1) if elements % n == 0)
    rest = elements // depth
    batch = next(n for n in (g.int(1, 3), 2, 1) if rest % n == 0) if g.chance(0.4) else 1
    width = next(n for n in (g.int(1, 5), 3, 2, 1) if rest // batch % n == 0)
    return shaped(g, value, (batch, rest // batch // width, width, depth))


def _out(g: RandomGraph, value: Value, shape: tuple[int, ...], depth: int, w_scale: float) -> Value:
    # Mostly such that outputs spread over their type; at times by a factor above 1, or far too small or large.
    if value.kind == "INT8":
        return g.new(shape, max(g.out_scale(value, depth, w_scale), _SCALE_MIN), g.zero())
    factor = 1 / (74 * max(depth, 1) ** 0.5)
    if g.chance(0.3):
        factor *= 2.0 ** g.int(-12, 2)
    if g.chance(0.1):
        factor = float(g.rng.uniform(0.5, 10)) / max(depth, 1)
    return g.new(shape, max(float(np.float32(value.scale * w_scale / factor)), _SCALE_MIN), 0, "INT16")


def _weights(
    g: RandomGraph, value: Value, shape: tuple[int, ...], dimension: int, zero: int = 0, single: bool = False
) -> tuple[int, list[float]]:
    if value.kind == "INT8" and g.chance(0.15):
        data = g.rng.integers(-8, 8, shape)
        packed = np.append(data.ravel(), 0)[: (data.size + 1) // 2 * 2].reshape(-1, 2)
        nibbles = (packed[:, 0] & 15 | (packed[:, 1] & 15) << 4).astype(np.uint8)
        scale = float(np.float32(g.rng.uniform(0.01, 0.5)))
        return g.b.tensor(shape, [scale], 0, "INT4", nibbles), [scale]
    index, _, scales = g.weights(shape, dimension, g.chance(0.7) and not single, zero)
    return index, scales


def _bias(g: RandomGraph, value: Value, channels: int, scales: list[float], types: tuple[str, ...]) -> list[int]:
    if g.chance(0.25):
        return []
    kind = str(g.rng.choice(types))
    size = 20_000 if kind == "INT16" or value.kind == "INT8" else 1 << g.int(10, 22)
    data = g.rng.integers(-size, size, channels).astype(_BIAS_DTYPES[kind])
    return [g.b.tensor((channels,), [value.scale * s for s in scales], 0, kind, data)]


def _typed(value: Value, wide: tuple[str, ...]) -> tuple[str, ...]:
    return wide if value.kind == "INT16" else ("INT32",)


def convolution(g: RandomGraph, value: Value) -> Value:
    """CONV_2D of several batches, in groups."""
    value = images(g, value)
    options, kernel, size = g.spatial(value)
    inputs = value.shape[3]
    groups = next(n for n in (g.int(1, 6), 3, 2, 1) if inputs % n == 0) if g.chance(0.5) else 1
    if g.chance(0.1):
        groups = inputs
    channels, depth = groups * g.int(1, 9 if groups < 3 else 3), inputs // groups
    w, scales = _weights(g, value, (channels, *kernel, depth), 0)
    bias = _bias(g, value, channels, scales, _typed(value, ("INT64", "INT32")))
    out = _out(g, value, (value.shape[0], *size, channels), kernel[0] * kernel[1] * depth, min(scales))
    if not bias and g.chance(0.5):
        options["quantizedBiasType"] = _INT32
    g.b.op("CONV_2D", [value.index, w, *bias], [out.index], fusedActivationFunction=g.activation(), **options)
    return out


def depthwise(g: RandomGraph, value: Value) -> Value:
    """DEPTHWISE_CONV_2D of several batches."""
    value = images(g, value)
    options, kernel, size = g.spatial(value)
    every = g.int(1, 3) if g.chance(0.3) else 1
    channels = value.shape[3] * every
    w, scales = _weights(g, value, (1, *kernel, channels), 3)
    bias = _bias(g, value, channels, scales, _typed(value, ("INT64",)))
    out = _out(g, value, (value.shape[0], *size, channels), kernel[0] * kernel[1], min(scales))
    g.b.op(
        "DEPTHWISE_CONV_2D", [value.index, w, *bias], [out.index],
        depthMultiplier=every, fusedActivationFunction=g.activation(), **options,
    )  # fmt: skip
    return out


def dense(g: RandomGraph, value: Value) -> Value:
    """FULLY_CONNECTED along the last of any number of dimensions."""
    elements = int(np.prod(value.shape))
    depth = value.shape[-1] if g.chance(0.5) else elements
    channels = g.int(1, 20)
    shape = (*value.shape[:-1], channels) if depth != elements else (1, channels)
    keep = len(shape) > 2
    single = g.chance(0.5)
    zero = g.int(-128, 127) if single and g.chance(0.4) else 0
    w, scales = _weights(g, value, (channels, depth), 0, zero, single or channels == 1)
    twice = depth < 200  # a sum of 32 bits holds no more
    bias = _bias(g, value, channels, scales, _typed(value, ("INT64", "INT32") if twice else ("INT64",)))
    out = _out(g, value, shape, depth * 3, min(scales))
    options = {"quantizedBiasType": _INT32} if twice and not bias and g.chance(0.5) else {}
    g.b.op(
        "FULLY_CONNECTED", [value.index, w, *bias], [out.index],
        fusedActivationFunction=g.activation(), keepNumDims=keep, **options,
    )  # fmt: skip
    return out


def transposed(g: RandomGraph, value: Value) -> Value:
    """TRANSPOSE_CONV: strides below, at and above the kernel; outputs of the usual sizes and of others."""
    value = images(g, value)
    kernel, strides = (g.int(1, 4), g.int(1, 4)), (g.int(1, 3), g.int(1, 3))
    same = g.chance(0.5)
    size = []
    for count, taps, stride in zip(value.shape[1:3], kernel, strides, strict=True):
        usual = count * stride if same else (count - 1) * stride + max(taps, stride)
        size.append(max(usual + (g.int(-2, 3) if g.chance(0.3) else 0), 1 if same else taps))
    channels = g.int(1, 6)
    while size[0] * size[1] > _ELEMENTS_MAX // 2:
        return value
    w, scales = _weights(g, Value(0, (), 1.0, 0, "any"), (channels, *kernel, value.shape[3]), 0)
    bias = _bias(g, value, channels, scales, _typed(value, ("INT64", "INT16")))
    taps = -(-kernel[0] // strides[0]) * -(-kernel[1] // strides[1]) * value.shape[3]
    out = _out(g, value, (value.shape[0], *size, channels), taps, min(scales))
    g.b.op(
        "TRANSPOSE_CONV", [g.b.constant(list(out.shape)), w, value.index, *bias], [out.index],
        strideH=strides[0], strideW=strides[1], padding=0 if same else 1, fusedActivationFunction=g.activation(),
    )  # fmt: skip
    return out


OPERATIONS: list[tuple[tuple[str, ...], Callable[[RandomGraph, Value], Value]]] = [
    (BOTH, convolution), (BOTH, depthwise), (BOTH, dense), (BOTH, transposed),
]  # fmt: skip


class WideGraph(RandomGraph):
    """A model of these operations alone, from an int16 or int8 input."""

    def build(self) -> bytes:
        """One input, one output, of one type."""
        kind = "INT16" if self.chance(0.7) else "INT8"
        shape = (1 if self.chance(0.7) else self.int(2, 3), self.int(1, 9), self.int(1, 6), self.int(1, 12))
        scale = float(np.float32(self.rng.uniform(0.00001, 0.01)))
        value = first = self.new(shape, scale, 0 if kind == "INT16" else self.zero(), kind)
        for _ in range(self.int(1, 4)):
            choices = [dense] if int(np.prod(value.shape)) > _ELEMENTS_MAX else [f for _, f in OPERATIONS]
            value = choices[self.int(0, len(choices) - 1)](self, value)
        if value is first:
            value = convolution(self, value)
        return self.b.build([first.index], [value.index])

    def inputs(self, shape: tuple[int, ...], kind: str, count: int) -> NDArray[np.generic]:
        """Random inputs: whole range, extremes, and small ones."""
        low, high = LIMITS[kind]
        x = self.rng.integers(low, high + 1, (count, *shape))
        x[::3] = self.rng.choice([low, high], x[::3].shape)
        x[2::4] //= 64
        return x.astype(kind.lower())
