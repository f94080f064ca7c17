"""SVDF: int8 with a state of int8 or int16."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator, Quantisation, Tensor
from bodydouble.compiler.quantise import RANGES, float32, quantize_multiplier
from bodydouble.compiler.steps_move import Fill
from bodydouble.compiler.steps_recurrent import STATE_ITEM, Svdf
from bodydouble.compiler.views import Storage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEATURE, _TIME, _BIAS, _STATE = 1, 2, 3, 4
_BIAS_SCALES_APART = 1e-5


def _weights(ctx: Lowering, op: Operator, position: int) -> tuple[NDArray[np.int16], Quantisation]:
    import numpy as np  # noqa: PLC0415  -- not needed when the plan is cached

    tensor = ctx.tensor(op, position)
    q = ctx.quantisation(op, tensor)
    if tensor.data is None or len(tensor.shape) != 2 or q.zero_point:
        ctx.refuse(op, f"has weights '{tensor.name}' that are no constant of 2 dimensions with zero point 0")
    dtype = np.dtype(np.int8 if tensor.type == "INT8" else "<i2")
    return np.frombuffer(tensor.data, dtype).reshape(tensor.shape).astype(np.int16), q


def _state(ctx: Lowering, op: Operator, shape: tuple[int, int]) -> tuple[Tensor, Quantisation]:
    tensor = ctx.tensor(op, _STATE)
    q = ctx.quantisation(op, tensor)
    if not tensor.variable or tensor.data is not None or tensor.shape != shape or q.zero_point:
        ctx.refuse(op, f"needs a variable of shape {list(shape)} and zero point 0 as state '{tensor.name}'")
    ends = {*ctx.graph.inputs, *ctx.graph.outputs, *ctx.producers}
    if ctx.consumers[tensor.index] != [op] or tensor.index in ends:
        ctx.refuse(op, f"shares its state '{tensor.name}'")
    return tensor, q


def svdf(ctx: Lowering, op: Operator) -> None:
    """A dense layer whose last results are weighted by time. tflite-micro ignores the activation of integer ones."""
    import numpy as np  # noqa: PLC0415

    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "INT8")
    ctx.require_type(op, out, "INT8")
    ctx.require_type(op, ctx.tensor(op, _FEATURE), "INT8")
    ctx.require_type(op, ctx.tensor(op, _TIME), "INT8", "INT16")
    ctx.require_type(op, ctx.tensor(op, _STATE), ctx.tensor(op, _TIME).type)
    ctx.require_type(op, ctx.tensor(op, _BIAS), "INT32")
    feature, feature_q = _weights(ctx, op, _FEATURE)
    time, time_q = _weights(ctx, op, _TIME)
    rank, (filters, memory) = op.options["Rank"], time.shape
    if rank < 1 or filters % rank:
        ctx.refuse(op, f"has {filters} filters of rank {rank}")
    batches, units = source.shape[0] if source.shape else 0, filters // rank
    if source.shape != (batches, feature.shape[1]) or feature.shape[0] != filters or out.shape != (batches, units):
        ctx.refuse(
            op, f"takes {list(source.shape)} by {list(feature.shape)} and {list(time.shape)} to {list(out.shape)}"
        )
    state, state_q = _state(ctx, op, (batches, filters * memory))
    x, out_q = ctx.quantisation(op, source), ctx.quantisation(op, out)
    biases, bias_q = ctx.integers(op, _BIAS), ctx.tensor(op, _BIAS).quantisation
    product_scale = float32(state_q.scale * time_q.scale)
    if len(biases) != units or abs((bias_q.scale if bias_q else 0.0) - product_scale) >= _BIAS_SCALES_APART:
        ctx.refuse(op, f"has {len(biases)} biases for {units} units, or of another scale than state times weights")
    scales = float32(float32(x.scale * feature_q.scale) / state_q.scale), float32(product_scale / out_q.scale)
    if not all(map(math.isfinite, scales)):
        ctx.refuse(op, "has scales whose products are no float32")
    feature_multiplier, multiplier = map(quantize_multiplier, scales)
    low, limit = RANGES[state.type]
    x_zero = x.zero_point + 128
    reach = np.abs(feature.astype(np.int64)).sum(1).max() * max(x_zero, 255 - x_zero)
    time_reach = np.abs(time.astype(np.int64)).reshape(units, -1).sum(1) * -low + np.abs(np.array(biases, np.int64))
    # Sums over time wrap around on both sides, if ever; only their way to the output must not overflow.
    if not feature_multiplier.fits(int(reach)) or not (
        multiplier.shift < 0 or multiplier.fits(int(time_reach.max()))
    ):
        ctx.refuse(op, "has sums that do not fit 32 bits")
    memories = Storage(f"state {state.name}", batches * filters * memory * STATE_ITEM, persistent=True)
    ctx.setup.append(Fill(memories, 0, memories.size, 0, operator=op.index, label="first value"))
    view, target = ctx.dense(op, 0, ("INT8",)), ctx.place(out)
    ctx.emit(
        Svdf(
            target, view, memories, rank, feature.astype(np.int8),
            tuple(int(total) for total in -x_zero * feature.astype(np.int64).sum(1)), feature_multiplier, limit,
            time, tuple(biases), multiplier, out_q.zero_point + 128,
            operator=op.index, tensor=out.index, label="svdf",
        )
    )  # fmt: skip
    ctx.define(out, target)


RULES = {"SVDF": Rule(svdf, (5, 5), places=True)}
