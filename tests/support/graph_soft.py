"""Softmax for random graphs: scales, betas and depths of all kinds, int8 to int8 or int16, int16 to int16."""

from __future__ import annotations

import numpy as np

from support.graph_pool import reshape
from support.graphs import RandomGraph, Value

_BETAS = (1.0, 1.0, 0.1, 0.5, 2.0, 10.0, 0.0371)
_DEPTH_MAX = 511
_FACTOR16_MAX = 2.0  # of an int16 input's scale and beta: above, TFLite's products do not fit 32 bits


def softmax(g: RandomGraph, value: Value) -> Value:
    """Along the last dimension; at times from a scale where all but the largest vanish, or where all are alike."""
    elements = int(np.prod(value.shape))
    if g.chance(0.4) or value.shape[-1] > _DEPTH_MAX:
        depth = next(d for d in (g.int(1, 60), 4, 3, 2, 1) if elements % d == 0)
        value = reshape(g, value, (elements // depth, depth))
    if value.kind == "INT16" and value.zero:
        value = _symmetric(g, value)
    if value.kind == "INT16":
        out = g.new(value.shape, 1 / 32768, 0, "INT16")
    elif g.chance(0.3):
        out = g.new(value.shape, 1 / 65536 * float(g.rng.uniform(0.9995, 1.0005)), -32768, "INT16")
    else:
        out = g.new(value.shape, 1 / 256, -128)
    beta = min(float(g.rng.choice(_BETAS)), _FACTOR16_MAX / value.scale if value.kind == "INT16" else np.inf)
    g.b.op("SOFTMAX", [value.index], [out.index], beta=beta)
    return _symmetric(g, out) if out.zero == -32768 else out


def _symmetric(g: RandomGraph, value: Value) -> Value:
    # int16 with the zero point 0, which others rely on: sums over no more than one element, to another scale.
    out = g.new((1, *value.shape), value.scale * 2.0 ** g.int(-2, 14), 0, "INT16")
    g.b.op("SUM", [reshape(g, value, (1, *value.shape)).index, g.b.constant(0)], [out.index], keepDims=True)
    return reshape(g, out, value.shape)


OPERATIONS = [(("INT8", "INT16"), softmax)]
