"""LSTMs for random graphs: both activation types, odd sizes, clipped cells, gates that saturate."""

from __future__ import annotations

import numpy as np

from support.graphs import RandomGraph, Value

ABSENT = -1


def lstm(g: RandomGraph, value: Value) -> Value:
    """One layer over [batch 1, time, inputs], in either order of batch and time."""
    elements = int(np.prod(value.shape))
    times = next(n for n in (g.int(1, 9), 4, 3, 2, 1) if elements % n == 0)
    inputs, units = elements // times, g.int(1, 12)
    time_major = g.chance(0.3)
    order = (lambda n: (times, 1, n)) if time_major else (lambda n: (1, times, n))
    wide = value.kind == "INT16"
    x = g.reshape(value, order(inputs))
    hidden_zero = 0 if wide else g.zero()
    hidden_scale = 1 / 32768 if wide else float(g.rng.choice([1 / 128, 1 / 128, 1 / 100, 1 / 60]))
    cell_scale = 2.0 ** g.int(-15, -9)
    limit = 16000 if wide else 100

    def weights(depth: int, x_scale: float) -> int:
        # Gates of about 1 on average, at times far more.
        scale = float(g.rng.choice([0.5, 1, 4])) / (x_scale * limit * 74 * max(depth, 1) ** 0.5)
        data = g.rng.integers(-127, 128, (units, depth)).astype(np.int8)
        return g.b.tensor(data.shape, scale, 0, data=data)

    def bias(scale: float) -> int:
        data = g.rng.integers(-2000, 2000, units)
        kind = "INT64" if wide else "INT32"
        return g.b.tensor((units,), scale, 0, kind, data.astype(kind.lower()))

    # Converters put the output's tensor of each inference and the hidden state on one scale.
    out = g.new(order(units), hidden_scale, hidden_zero, value.kind)
    inputs_of = [
        x.index,
        *(weights(inputs, x.scale) for _ in range(4)),
        *(weights(units, hidden_scale) for _ in range(4)),
        *[ABSENT] * 3,
        *(bias(1e-4) for _ in range(4)),
        *[ABSENT] * 2,
        g.b.tensor((1, units), hidden_scale, hidden_zero, value.kind, variable=True),
        g.b.tensor((1, units), cell_scale, 0, "INT16", variable=True),
        *[ABSENT] * 4,
    ]
    clip = float(g.rng.choice([0, 0, cell_scale * 9000, cell_scale * 500]))
    g.b.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", inputs_of, [out.index],
        fusedActivationFunction=4, cellClip=clip, timeMajor=time_major,
    )  # fmt: skip
    return out


OPERATIONS = [(("INT8", "INT16"), lstm)]
