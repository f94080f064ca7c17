"""Pooling and reductions for random graphs: windows, strides, paddings and axes of all kinds, int8 and int16."""

from __future__ import annotations

import numpy as np

from support.graphs import RandomGraph, Value

_EXTRAS_MAX = 3


def image(g: RandomGraph, value: Value) -> Value:
    """`value` as 4 dimensions, at times of several batches."""
    if len(value.shape) == 4:
        return value
    elements = int(np.prod(value.shape))
    depth = next(d for d in (g.int(1, 20), 4, 3, 2, 1) if elements % d == 0)
    batch = next(n for n in (g.int(1, 3), 1) if elements // depth % n == 0)
    return reshape(g, value, (batch, elements // depth // batch, 1, depth))


def reshape(g: RandomGraph, value: Value, shape: tuple[int, ...]) -> Value:
    """The same elements in another shape, of any type."""
    out = g.new(shape, value.scale, value.zero, value.kind)
    g.b.op("RESHAPE", [value.index, g.b.constant(list(shape))], [out.index])
    return out


def pool(g: RandomGraph, value: Value) -> Value:
    """The mean or the largest of windows; TFLite lets scales differ by a millionth."""
    value = image(g, value)
    same = g.chance(0.5)
    sizes, options = [], {"padding": 0 if same else 1}
    for size, axis, name in ((value.shape[1], "H", "Height"), (value.shape[2], "W", "Width")):
        window = size if g.chance(0.3) else g.int(1, size + 4 if same else min(size, 6))
        stride = g.int(1, 4)
        sizes.append(-(-size // stride) if same else (size - window) // stride + 1)
        options[f"stride{axis}"] = stride
        options[f"filter{name}"] = window
    scale = float(np.float32(value.scale + 4e-7)) if g.chance(0.1) else value.scale
    out = g.new((value.shape[0], *sizes, value.shape[3]), scale, value.zero, value.kind)
    kind = "AVERAGE_POOL_2D" if g.chance(0.5) else "MAX_POOL_2D"
    g.b.op(kind, [value.index], [out.index], fusedActivationFunction=g.activation(), **options)
    return out


def _factored(g: RandomGraph, value: Value) -> Value:
    # The same elements in 1 to 5 dimensions.
    if g.chance(0.4):
        return value
    rest, shape = int(np.prod(value.shape)), []
    for _ in range(g.int(0, 4)):
        size = next(d for d in (g.int(2, 7), 4, 3, 2, 1) if rest % d == 0)
        shape.append(size)
        rest //= size
    shape.insert(g.int(0, len(shape)), rest)
    return reshape(g, value, tuple(shape))


def _axes(g: RandomGraph, rank: int) -> tuple[list[int], set[int]]:
    # As given (any order, negative, twice) and as meant.
    chosen = [int(axis) for axis in g.rng.permutation(rank)[: g.int(1, rank)]]
    given = chosen + ([chosen[0]] if g.chance(0.2) else [])
    return [axis - rank if g.chance(0.3) else axis for axis in given], set(chosen)


def reduce(g: RandomGraph, value: Value) -> Value:
    """MEAN, SUM or REDUCE_MAX along any dimensions."""
    kinds = ["MEAN", "MEAN", "SUM"] + (["REDUCE_MAX"] if value.kind == "INT8" else [])
    kind = str(g.rng.choice(kinds))
    value = _factored(g, value)
    given, axes = _axes(g, len(value.shape))
    keep = g.chance(0.5)
    shape = tuple(1 if i in axes else n for i, n in enumerate(value.shape) if keep or i not in axes)
    count = int(np.prod([value.shape[axis] for axis in axes]))
    scale, zero = value.scale, value.zero
    if kind != "REDUCE_MAX" and g.chance(0.8):
        spread = count**0.5 if kind == "SUM" else count**-0.5
        scale *= spread * float(g.rng.uniform(0.4, 2)) if g.chance(0.7) else 2.0 ** g.int(-8, 12)
        scale = float(np.float32(scale))
        zero = g.zero() if value.kind == "INT8" else 0
    out = g.new(shape, scale, zero, value.kind)
    axis = g.b.constant(given[0] if len(given) == 1 and g.chance(0.5) else given)
    g.b.op(kind, [value.index, axis], [out.index], keepDims=keep)
    return out if 1 <= len(shape) <= 4 else reshape(g, out, (int(np.prod(shape)),))  # slices take no more than 4


def arg_max(g: RandomGraph, value: Value) -> Value:
    """An output beside the graph's: nothing reads its INT32."""
    if len(g.extras) == _EXTRAS_MAX:
        return value
    source = _factored(g, value)
    axis = g.int(0, len(source.shape) - 1)
    shape = source.shape[:axis] + source.shape[axis + 1 :]
    out = g.b.tensor(shape, kind="INT32")
    given = axis - len(source.shape) if g.chance(0.3) else axis
    g.b.op("ARG_MAX", [source.index, g.b.constant(given)], [out], outputType=2)
    g.extras.append(out)
    return value


OPERATIONS = [
    (("INT8", "INT16"), pool),
    (("INT8", "INT16"), reduce),
    (("INT8",), arg_max),
]
