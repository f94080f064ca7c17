"""Operations with a state for random graphs: SVDF of all ranks, memories and types of state."""

from __future__ import annotations

import numpy as np

from support.graphs import RandomGraph, Value


def svdf(g: RandomGraph, value: Value) -> Value:
    """A dense layer with a memory; its results at times saturate, its sums at times wrap around."""
    elements = int(np.prod(value.shape))
    batch = next(n for n in (g.int(1, 3), 2, 1) if elements % n == 0) if g.chance(0.3) else 1
    depth = elements // batch
    x = g.reshape(value, (batch, depth))
    rank, units, memory = g.int(1, 3), g.int(1, 10), g.int(1, 12)
    kind = str(g.rng.choice(["INT8", "INT16"]))
    feature, base, _ = g.weights((rank * units, depth), 0, per_channel=False)
    high = 127 if kind == "INT8" else int(g.rng.choice([100, 3000, 32767]))
    time = g.rng.integers(-high, high + 1, (rank * units, memory)).astype(kind.lower())
    spread = x.scale * base * 74 * 74 * max(depth, 1) ** 0.5
    state_scale = spread / (60 if kind == "INT8" else 16000) * float(g.rng.choice([0.3, 1, 1, 3]))
    time_scale = 1e-6 / state_scale if g.chance(0.2) else 5e-6 / state_scale
    reach = high * 74 * (memory * rank) ** 0.5 * (1 if kind == "INT8" else 200)
    out = g.new((batch, units), time_scale * state_scale * reach / 60 * float(g.rng.uniform(0.5, 3)), g.zero())
    bias = g.rng.integers(-20000, 20000, units).astype(np.int32)
    inputs = [
        x.index,
        feature,
        g.b.tensor(time.shape, time_scale, 0, kind, time),
        g.b.tensor((units,), state_scale * time_scale, 0, "INT32", bias),
        g.b.tensor((batch, memory * rank * units), state_scale, 0, kind, variable=True),
    ]
    g.b.op("SVDF", inputs, [out.index], rank=rank, fusedActivationFunction=g.activation())
    return out


OPERATIONS = [(("INT8",), svdf)]
