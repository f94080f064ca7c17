"""UNIDIRECTIONAL_SEQUENCE_LSTM: int8 or int16 activations, int8 weights, an int16 cell, as tflite-micro computes it.

Source: tensorflow/lite/micro/kernels/{lstm_eval.h,lstm_eval_common.cc}. The four gates of a step are one dense layer
of the input and one of the last output: forget, input and output gate first, whose curve is the sigmoid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bodydouble.compiler.curves import Curve
from bodydouble.compiler.curves import curve as find_curve
from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator, Tensor
from bodydouble.compiler.quantise import float32, quantize_multiplier, round_half_away
from bodydouble.compiler.steps import Step
from bodydouble.compiler.steps_dot import Requantisation, Window
from bodydouble.compiler.steps_lstm import AddClipped, DenseWide, Loop, Move, MultiplyWide
from bodydouble.compiler.steps_move import Fill
from bodydouble.compiler.steps_unary import Interpolate
from bodydouble.compiler.steps_wide import Conv16, WideRequantisation
from bodydouble.compiler.views import Storage, View, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Positions of the inputs (lstm_shared.h); the gates in the order forget, input, output, cell.
_WEIGHTS, _RECURRENT, _BIASES = (2, 1, 4, 3), (6, 5, 8, 7), (13, 12, 15, 14)
_ABSENT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, layer normalisation
_HIDDEN, _CELL = 18, 19
_TANH = 4
_GATE_SCALE = 2.0**-12
_CURVE_SCALE = 2.0**-15
_INT32_LIMIT = 1 << 31
_WIDE_SHIFT_MAX = 7
_INT16 = (-32768, 32767)


@dataclass(frozen=True)
class _Sizes:
    times: int
    inputs: int
    units: int


def _sizes(ctx: Lowering, op: Operator) -> _Sizes:
    source, out = ctx.tensor(op, 0), ctx.output(op)
    if len(op.inputs) != 24:
        ctx.refuse(op, f"has {len(op.inputs)} inputs, not 24")
    if any(op.inputs[i] >= 0 for i in _ABSENT):
        ctx.refuse(op, "has peepholes, a projection or layer normalisation", "use a plain LSTM layer")
    if op.options["FusedActivationFunction"] != _TANH:
        ctx.refuse(op, "has another activation than tanh", "use a plain LSTM layer")
    if len(source.shape) != 3:
        ctx.refuse(op, f"takes shape {list(source.shape)}, not [batch, time, inputs]")
    batch, times = source.shape[:2]
    if op.options["TimeMajor"]:
        batch, times = times, batch
    if batch != 1:
        ctx.refuse(op, f"has batch {batch}; only batch 1 runs", "export the model with batch 1")
    units = ctx.tensor(op, _HIDDEN).elements
    if out.shape != (*source.shape[:2], units):
        ctx.refuse(op, f"takes {list(source.shape)} to {list(out.shape)} with {units} units")
    return _Sizes(times, source.shape[2], units)


def _state(ctx: Lowering, op: Operator, position: int, kind: str, units: int) -> Tensor:
    tensor = ctx.tensor(op, position)
    ctx.require_type(op, tensor, kind)
    ctx.quantisation(op, tensor)
    ends = {*ctx.graph.inputs, *ctx.graph.outputs, *ctx.producers}
    shared = ctx.consumers[tensor.index] != [op] or tensor.index in ends
    if not tensor.variable or tensor.data is not None or tensor.elements != units or shared:
        ctx.refuse(op, f"needs a variable of {units} elements and its own as state '{tensor.name}'")
    return tensor


def _matrix(ctx: Lowering, op: Operator, position: int, shape: tuple[int, int]) -> tuple[NDArray[np.int8], float]:
    import numpy as np  # noqa: PLC0415  -- not needed when the plan is cached

    tensor = ctx.tensor(op, position)
    ctx.require_type(op, tensor, "INT8")
    q = ctx.quantisation(op, tensor)
    if tensor.data is None or tensor.shape != shape or q.zero_point:
        ctx.refuse(op, f"needs constant weights of shape {list(shape)} and zero point 0, not '{tensor.name}'")
    return np.frombuffer(tensor.data, np.int8).reshape(shape), q.scale


def _biases(ctx: Lowering, op: Operator, position: int, kind: str, units: int) -> list[int]:
    tensor = ctx.tensor(op, position)
    ctx.require_type(op, tensor, kind)
    if tensor.data is None or tensor.shape != (units,):
        ctx.refuse(op, f"needs {units} constant biases, not '{tensor.name}'")
    values = [tensor.data[i : i + tensor.item] for i in range(0, len(tensor.data), tensor.item)]
    return [int.from_bytes(value, "little", signed=True) for value in values]


def _gates(
    ctx: Lowering, op: Operator, source: View, x: Tensor, positions: tuple[int, ...], biases: tuple[int, ...] | None
) -> tuple[Step, View]:
    """A dense layer for all four gates: [gates, units] int16 of scale 2**-12, and where they lie."""
    import numpy as np  # noqa: PLC0415

    wide, x_q = x.type == "INT16", ctx.quantisation(op, x)
    units = ctx.tensor(op, _HIDDEN).elements
    lowest, offset = (_INT16[0], 1 << 15) if wide else (-128, x_q.zero_point + 128)
    rows, folded, multipliers, shifts = [], [], [], []
    for gate, position in enumerate(positions):
        weights, scale = _matrix(ctx, op, position, (units, source.size))
        values = _biases(ctx, op, biases[gate], "INT64" if wide else "INT32", units) if biases else [0] * units
        factor = quantize_multiplier(float32(x_q.scale * scale) / _GATE_SCALE)
        reach = max(x_q.zero_point - lowest, -lowest - 1 - x_q.zero_point)
        for row, bias in zip(weights.astype(np.int64), values, strict=True):
            largest = int(abs(row).sum()) * reach + abs(bias)
            folded.append(bias - offset * int(row.sum()))
            if wide:
                if factor.shift > _WIDE_SHIFT_MAX or largest >= 1 << 45:
                    ctx.refuse(op, "has sums that do not fit 46 bits")
                reduced = min((factor.multiplier + (1 << 15)) >> 16, 0x7FFF)
                if largest * reduced >> (15 - factor.shift) >= 1 << 30:
                    ctx.refuse(op, "has gates that do not fit 31 bits before they are clamped")
                multipliers.append(reduced)
                shifts.append(14 - factor.shift)
            else:
                if not factor.fits(largest) or abs(folded[-1]) >= _INT32_LIMIT:
                    ctx.refuse(op, "has sums that do not fit 32 bits")
                multipliers.append(factor.multiplier)
                shifts.append(factor.shift_byte)
        rows.append(weights)
    every = np.concatenate(rows)
    multiple = 8 if wide else 4
    filled = np.full((len(every), -(-source.size // multiple) * multiple), 128, np.uint8)
    filled[:, : source.size] = (every.astype(np.int16) + 128).astype(np.uint8)
    target = whole(Storage(f"{op.kind} gates", 2 * len(every)), (len(every),), 2)
    if not wide:
        rq = Requantisation(tuple(folded), tuple(multipliers), tuple(shifts), 0, 0, 0)
        source.storage.size = max(source.storage.size, source.offset + int(filled.shape[1]))
        return DenseWide(target, source, filled, rq), target
    rounding = WideRequantisation(tuple(folded), tuple(multipliers), tuple(shifts), False, *_INT16)
    window, depth = Window(1, 1, 0, 0, 1, 0, 1, 0), int(filled.shape[1])
    gather, sums = Storage("window", 2 * depth), Storage("sums", 8 * len(every))
    return Conv16(target, source, window, source.size, gather, sums, filled, 128, 0, 0, rounding), target


def _curve(kind: str) -> Curve:
    found = find_curve(kind, _GATE_SCALE, _CURVE_SCALE)
    assert found is not None  # noqa: S101 - both scales are powers of two
    return found


def _cell_curve(ctx: Lowering, op: Operator, scale: float) -> Curve:
    # lstm_eval.cc: Tanh() with the cell's power of two.
    shift = 12 + round_half_away(math.log2(scale))
    if not -31 < shift <= 12:
        ctx.refuse(op, f"has a cell of scale {scale:g}")
    tanh = _curve("TANH")
    return replace(tanh, multiplier=3, shift=-shift) if shift < 0 else replace(tanh, multiplier=3 << shift, shift=0)


def _part(view: View, first: int, count: int) -> View:
    return View(view.storage, view.offset + 2 * first, (count,), view.strides, 2)


def lstm(ctx: Lowering, op: Operator) -> None:
    """All time steps in one loop; the state stays in the arena from one inference to the next."""
    source, out = ctx.tensor(op, 0), ctx.output(op)
    ctx.require_type(op, source, "INT8", "INT16")
    ctx.require_type(op, out, source.type)
    sizes = _sizes(ctx, op)
    units = sizes.units
    hidden = _state(ctx, op, _HIDDEN, source.type, units)
    cell = _state(ctx, op, _CELL, "INT16", units)
    h_q, c_q = ctx.quantisation(op, hidden), ctx.quantisation(op, cell)
    if source.type == "INT16" and (h_q.zero_point or ctx.quantisation(op, source).zero_point):
        ctx.refuse(op, "has int16 activations with a zero point that is not 0")
    view, target = ctx.dense(op, 0, (source.type,)), ctx.place(out)
    item = source.item
    counter = Storage("time", 4)
    x = whole(Storage(f"{source.name} (now)", sizes.inputs * item), (sizes.inputs,), item)
    h = whole(Storage(f"state {hidden.name}", units * item, persistent=True), (units,), item)
    c = whole(Storage(f"state {cell.name}", units * 2, persistent=True), (units,), 2)
    ctx.setup.append(
        Fill(
            h.storage,
            0,
            units * item,
            h_q.zero_point + 128 if item == 1 else 0,
            operator=op.index,
            label="first value",
        )
    )
    ctx.setup.append(Fill(c.storage, 0, units * 2, 0, operator=op.index, label="first value"))
    from_x, gates = _gates(ctx, op, x, source, _WEIGHTS, _BIASES)
    from_h, others = _gates(ctx, op, h, hidden, _RECURRENT, None)
    sigmoid, tanh = _curve("LOGISTIC"), _curve("TANH")
    forget, enter, leave, news = (_part(gates, i * units, units) for i in range(4))
    opening = _part(gates, 0, 3 * units)
    kept = quantize_multiplier(_CURVE_SCALE * c_q.scale / c_q.scale)
    added = quantize_multiplier(_CURVE_SCALE * _CURVE_SCALE / c_q.scale)
    shown = quantize_multiplier(_CURVE_SCALE * _CURVE_SCALE / h_q.scale)
    if not all(factor.fits(1 << 30) for factor in (kept, added, shown)):
        ctx.refuse(op, f"has states of scale {c_q.scale:g} and {h_q.scale:g}, whose products do not fit 32 bits")
    clip = op.options["CellClip"]
    limit = int(min(max(clip / c_q.scale, -32768.0), 32767.0))
    low, high = (-limit, limit) if clip > 0 else _INT16
    ends, zero = (_INT16, 0) if item == 2 else ((0, 255), h_q.zero_point + 128)
    steps: list[Step] = [
        Move(x, 0, view, sizes.inputs * item, sizes.inputs * item, counter, sizes.times),
        from_x,
        from_h,
        AddClipped(gates, gates, others, *_INT16),
        Interpolate(opening, opening, sigmoid),
        Interpolate(news, news, tanh),
        MultiplyWide(c, forget, c, *_INT16, kept, 0),
        MultiplyWide(enter, enter, news, *_INT16, added, 0),
        AddClipped(c, c, enter, low, high),
        Interpolate(forget, c, _cell_curve(ctx, op, c_q.scale)),
        MultiplyWide(h, forget, leave, *ends, shown, zero),
        Move(target, units * item, h, 0, units * item, counter, sizes.times),
    ]
    ctx.emit(Loop(sizes.times, counter, tuple(steps), operator=op.index, tensor=out.index, label="lstm"))
    ctx.define(out, target)


RULES = {"UNIDIRECTIONAL_SEQUENCE_LSTM": Rule(lstm, (1, 24), places=True)}
