"""Sums, differences and products for random graphs: constants, a tensor with itself, residuals, repeated operands."""

from __future__ import annotations

import numpy as np

from support.graph_unary import requantised, scaled, zero_of
from support.graphs import RandomGraph, Value


def _smaller(g: RandomGraph, shape: tuple[int, ...]) -> tuple[int, ...]:
    # A shape that is repeated to `shape`.
    found = [1 if g.chance(0.5) else size for size in shape]
    while len(found) > 1 and found[0] == 1 and g.chance(0.5):
        found.pop(0)
    return tuple(found)


def _other(g: RandomGraph, value: Value) -> Value:
    # What `value` is joined with, of the same type.
    how = g.int(0, 4)
    scale, zero = scaled(g, value.scale, -6, 6), zero_of(g, value.kind)
    if how == 0:
        return value
    if how == 1:
        return requantised(g, value, value.kind, scale)
    if how == 2 and 1 < len(value.shape) <= 4 and value.shape[-1] > 1:
        shape = (*value.shape[:-1], 1)
        part = g.new(shape, value.scale, value.zero, value.kind)
        rank = len(shape)
        arguments = [g.b.constant(v) for v in ([0] * rank, list(shape), [1] * rank)]
        g.b.op("STRIDED_SLICE", [value.index, *arguments], [part.index])
        return part
    shape = value.shape if how == 3 else _smaller(g, value.shape)
    if g.chance(0.2):  # the first operand is the one that is repeated
        behind = value.shape[len(value.shape) - len(shape) :]
        shape = tuple(g.int(1, 3) if theirs == 1 else size for size, theirs in zip(shape, behind, strict=True))
    return g.constant(shape, scale, zero, value.kind)


def binary(g: RandomGraph, value: Value) -> Value:
    """ADD, SUB or MUL with a fused activation."""
    other = _other(g, value)
    operands = [value, other] if g.chance(0.6) else [other, value]
    shape = tuple(int(n) for n in np.broadcast_shapes(value.shape, other.shape))
    kind = str(g.rng.choice(["ADD", "SUB", "MUL"]))
    if kind == "MUL":
        spread = 64 if value.kind == "INT8" else 1 << 14
        scale = scaled(g, value.scale * other.scale * spread, -4, 3)
    else:
        scale = scaled(g, max(value.scale, other.scale), -2, 3)
    out = g.new(shape, scale, zero_of(g, value.kind), value.kind)
    activation = g.activation() if scale > 1e-8 else 0  # TFLite refuses 6 / scale beyond 32 bits
    g.b.op(kind, [one.index for one in operands], [out.index], fusedActivationFunction=activation)
    return out


OPERATIONS = [(("INT8", "INT16"), binary), (("INT8", "INT16"), binary)]
