"""Random operations that move or show bytes: pads, slices, splits, stacks, transposes, gathers, variables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from support.graphs import LIMITS, RandomGraph, Value

_ELEMENTS_MAX = 3000


def _new(g: RandomGraph, value: Value, shape: tuple[int, ...]) -> Value:
    return g.new(shape, value.scale, value.zero, value.kind)


def _axis(g: RandomGraph, axis: int, rank: int) -> int:
    return axis - rank if g.chance(0.3) else axis


def _integers(g: RandomGraph, values: NDArray[np.int64] | list[int]) -> int:
    """A constant, at times one that has to be computed from constants."""
    values = [int(n) for n in values]
    whole = g.b.constant(values)
    if not values or g.chance(0.7):
        return whole
    out = g.b.tensor((len(values),), kind="INT32")
    if g.chance(0.5):
        wider = g.b.constant([7, *values, 7])
        bounds = [g.b.constant([n]) for n in (1, len(values) + 1, 1)]
        g.b.op("STRIDED_SLICE", [wider, *bounds], [out])
    else:
        g.b.op("PACK", [g.b.constant(n) for n in values], [out], axis=0, valuesCount=len(values))
    return out


def pad(g: RandomGraph, value: Value) -> Value:
    rank = len(value.shape)
    pads = g.rng.integers(0, 3, (rank, 2))
    pads[g.rng.random((rank, 2)) < 0.5] = 0
    if int(np.prod(np.array(value.shape) + pads.sum(1))) > _ELEMENTS_MAX or rank > 5:
        return value
    out = _new(g, value, tuple(int(n) for n in np.array(value.shape) + pads.sum(1)))
    if g.chance(0.5):
        g.b.op("PAD", [value.index, g.b.constant(pads.tolist())], [out.index])
    else:
        low, high = LIMITS[value.kind]
        number = np.array(g.int(low, high), value.kind.lower())
        given = g.b.tensor((1,) * g.int(0, 1), value.scale, value.zero, value.kind, number)
        g.b.op("PADV2", [value.index, g.b.constant(pads.tolist()), given], [out.index])
    return out


def squeeze(g: RandomGraph, value: Value) -> Value:
    ones = [i for i, size in enumerate(value.shape) if size == 1]
    if not ones or len(ones) == len(value.shape):
        return value
    dims = [] if g.chance(0.4) else [i for i in ones if g.chance(0.6)]
    gone = dims or ones
    out = _new(g, value, tuple(n for i, n in enumerate(value.shape) if i not in gone))
    g.b.op("SQUEEZE", [value.index], [out.index], squeezeDims=[_axis(g, i, len(value.shape)) for i in dims])
    return out


def expand(g: RandomGraph, value: Value) -> Value:
    rank = len(value.shape)
    if rank > 4:
        return value
    axis = g.int(0, rank)
    out = _new(g, value, (*value.shape[:axis], 1, *value.shape[axis:]))
    g.b.op("EXPAND_DIMS", [value.index, g.b.constant(_axis(g, axis, rank + 1))], [out.index])
    return out


def transpose(g: RandomGraph, value: Value) -> Value:
    rank = len(value.shape)
    if rank > 5:
        return value
    order = [int(i) for i in g.rng.permutation(rank)]
    out = _new(g, value, tuple(value.shape[i] for i in order))
    g.b.op("TRANSPOSE", [value.index, g.b.constant(order)], [out.index])
    return out


def slice_(g: RandomGraph, value: Value) -> Value:
    if len(value.shape) > 5:
        return value
    begins = [g.int(0, size - 1) if g.chance(0.4) else 0 for size in value.shape]
    sizes = [g.int(1, size - begin) for size, begin in zip(value.shape, begins, strict=True)]
    out = _new(g, value, tuple(sizes))
    rest = [size == whole - begin for size, begin, whole in zip(sizes, begins, value.shape, strict=True)]
    given = [-1 if to_end and g.chance(0.5) else size for size, to_end in zip(sizes, rest, strict=True)]
    g.b.op("SLICE", [value.index, _integers(g, begins), _integers(g, given)], [out.index])
    return out


def strided(g: RandomGraph, value: Value) -> Value:
    """Steps of both signs, bounds beyond the ends, every mask."""
    rank = len(value.shape)
    if rank > 4:
        return value
    bounds, masks, shape = [], {"begin": 0, "end": 0, "shrinkAxis": 0}, []
    for axis, size in enumerate(value.shape):
        step = int(g.rng.choice([1, 1, 1, 2, 3, -1, -2]))
        picked = range(size)[::step]
        first = g.int(0, len(picked) - 1) if g.chance(0.5) else 0
        count = g.int(1, len(picked) - first)
        if len(shape) + rank - axis > 1 and g.chance(0.2):
            step, picked, count = 1, range(size), 1
            first = g.int(0, size - 1)
            masks["shrinkAxis"] |= 1 << axis
        else:
            shape.append(count)
        begin, end = picked[first], picked[first] + step * count
        if end < 0:
            end = -size - 1 - g.int(0, 2)
        elif end >= size and g.chance(0.5) and not masks["shrinkAxis"] >> axis & 1:
            end += g.int(0, 5)
        if begin == (0 if step > 0 else size - 1) and g.chance(0.4):
            begin, masks["begin"] = g.int(-size, size), masks["begin"] | 1 << axis
        elif g.chance(0.3):
            begin -= size
        if first + count == len(picked) and g.chance(0.4):
            end, masks["end"] = g.int(-size, size), masks["end"] | 1 << axis
        bounds.append((begin, end, step))
    out = _new(g, value, tuple(shape))
    arguments = [g.b.constant([b[i] for b in bounds]) for i in range(3)]
    options = {f"{name}Mask": bits for name, bits in masks.items()}
    if g.chance(0.1):
        options["newAxisMask"] = options["ellipsisMask"] = 1  # which tflite-micro does not look at
    g.b.op("STRIDED_SLICE", [value.index, *arguments], [out.index], **options)
    return out


def split(g: RandomGraph, value: Value) -> Value:
    """Equal parts, some of them joined again."""
    axis = g.int(0, len(value.shape) - 1)
    size = value.shape[axis]
    count = next(n for n in (g.int(1, 4), 3, 2, 1) if size % n == 0)
    parts = [
        _new(g, value, (*value.shape[:axis], size // count, *value.shape[axis + 1 :])) for _ in range(count)
    ]  # fmt: skip
    given = g.b.constant(_axis(g, axis, len(value.shape)))
    g.b.op("SPLIT", [given, value.index], [p.index for p in parts], numSplits=count)
    chosen = [parts[g.int(0, count - 1)] for _ in range(g.int(1, 3))]
    return concatenate(g, chosen, axis)


def concatenate(g: RandomGraph, parts: list[Value], axis: int) -> Value:
    first = parts[0]
    shape = (*first.shape[:axis], sum(p.shape[axis] for p in parts), *first.shape[axis + 1 :])
    out = _new(g, first, shape)
    g.b.op("CONCATENATION", [p.index for p in parts], [out.index], axis=_axis(g, axis, len(shape)))
    return out


def unpack(g: RandomGraph, value: Value) -> Value:
    """Taken apart along a dimension, some of it stacked along another."""
    rank = len(value.shape)
    axis = g.int(0, rank - 1)
    if rank < 2 or value.shape[axis] > 12:
        return value
    shape = (*value.shape[:axis], *value.shape[axis + 1 :])
    parts = [_new(g, value, shape) for _ in range(value.shape[axis])]
    g.b.op(
        "UNPACK", [value.index], [p.index for p in parts], num=len(parts), axis=_axis(g, axis, rank)
    )  # fmt: skip
    return stack(g, [parts[g.int(0, len(parts) - 1)] for _ in range(g.int(1, 3))])


def stack(g: RandomGraph, parts: list[Value]) -> Value:
    rank = len(parts[0].shape) + 1
    axis = g.int(0, rank - 1)
    out = _new(g, parts[0], (*parts[0].shape[:axis], len(parts), *parts[0].shape[axis:]))
    g.b.op(
        "PACK", [p.index for p in parts], [out.index], valuesCount=len(parts), axis=_axis(g, axis, rank)
    )  # fmt: skip
    return out


def pack(g: RandomGraph, value: Value) -> Value:
    if len(value.shape) > 4 or int(np.prod(value.shape)) > _ELEMENTS_MAX // 3:
        return value
    others = [g.constant(value.shape, value.scale, value.zero, value.kind) for _ in range(g.int(0, 2))]
    parts = [value, *others]
    return stack(g, [parts[i] for i in g.rng.permutation(len(parts))])


def join_branches(g: RandomGraph, value: Value) -> Value:
    """Two convolutions side by side, joined along channels: each leaves gaps for the other."""
    image = g.image(value)
    parts = []
    for _ in range(g.int(2, 3)):
        w, _, scales = g.weights((g.int(1, 6), 1, 1, image.shape[3]), 0, True)
        scale = float(np.float32(value.scale * 4)) if not parts else parts[0].scale
        zero = g.zero() if not parts else parts[0].zero
        out = g.new((*image.shape[:3], len(scales)), scale, zero)
        options = {"padding": 1, "strideH": 1, "strideW": 1}
        g.b.op("CONV_2D", [image.index, w, *g.bias(image, len(scales), scales)], [out.index], **options)
        parts.append(out)
    return concatenate(g, parts, 3)


def gather(g: RandomGraph, value: Value) -> Value:
    """Indices known or of run time; those come from a second input of the graph's: an ARG_MAX of this value."""
    rank = len(value.shape)
    axis = g.int(0, rank - 1)
    size = value.shape[axis]
    batch_dims = g.int(0, axis) if g.chance(0.3) else 0
    shape = (*value.shape[:batch_dims], *(g.int(1, 4) for _ in range(g.int(0, 2))))
    if rank - 1 + len(shape) - batch_dims not in range(1, 6):
        return value
    picks = np.array(g.rng.integers(0, size, shape), np.int32)
    if len(shape) == 1 and not batch_dims and g.chance(0.4):
        picks = np.arange(size, dtype=np.int32)[:: int(g.rng.choice([1, 2, -1]))]
    rest = picks.shape[batch_dims:]
    out_shape = (*value.shape[:axis], *rest, *value.shape[axis + 1 :])
    if int(np.prod(out_shape)) > _ELEMENTS_MAX:
        return value
    out = _new(g, value, out_shape)
    indices = g.b.tensor(picks.shape, kind="INT32", data=picks)
    given = _axis(g, axis, rank)
    batch = (
        batch_dims - len(picks.shape)
        if batch_dims and batch_dims < len(picks.shape) and g.chance(0.3)
        else batch_dims
    )
    g.b.op("GATHER", [value.index, indices], [out.index], axis=given, batchDims=batch)
    return out


def variable(g: RandomGraph, value: Value) -> Value:
    """What was assigned in the inference before, read before or after it is assigned anew."""
    name = f"kept{len(g.b.graphs[0].tensors)}"
    handle = g.b.tensor((), kind="RESOURCE", name=name)
    g.b.op("VAR_HANDLE", [], [handle], sharedName=name.encode(), container=b"")
    if value.kind == "INT8" and g.chance(0.4):
        g.states.append((name, value.shape, g.rng.integers(-128, 128, value.shape).astype(np.int8)))
    old = _new(g, value, value.shape)
    if g.chance(0.7):
        g.b.op("READ_VARIABLE", [handle], [old.index])
        g.b.op("ASSIGN_VARIABLE", [handle, value.index], [])
    else:
        g.b.op("ASSIGN_VARIABLE", [handle, value.index], [])
        g.b.op("READ_VARIABLE", [handle], [old.index])
    return old


def reshape(g: RandomGraph, value: Value) -> Value:
    """To a shape that is computed from the input's."""
    rank = len(value.shape)
    if rank < 2:
        return value
    out = _new(g, value, (int(np.prod(value.shape[:-1])), value.shape[-1]))
    shape, last, given = (g.b.tensor((n,), kind="INT32") for n in (rank, 1, 2))
    g.b.op("SHAPE", [value.index], [shape], outType=2)
    g.b.op("STRIDED_SLICE", [shape, *(g.b.constant([n]) for n in (rank - 1, rank, 1))], [last])
    g.b.op("CONCATENATION", [g.b.constant([-1]), last], [given], axis=0)
    g.b.op("RESHAPE", [value.index, given], [out.index])
    return out


_BYTES: tuple[Callable[[RandomGraph, Value], Value], ...] = (
    pad, squeeze, expand, transpose, slice_, strided, split, unpack, pack, variable, reshape,
)  # fmt: skip
OPERATIONS: list[tuple[tuple[str, ...], Callable[[RandomGraph, Value], Value]]] = [
    *((("INT8", "INT16"), one) for one in _BYTES),
    (("INT8",), gather),
    (("INT8",), join_branches),
]
