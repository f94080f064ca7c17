"""Random models over every operation that the compiler knows: shapes, strides, paddings, scales at their extremes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from support.tflite_build import GraphBuilder


@dataclass(frozen=True)
class Value:
    """A tensor of the growing graph."""

    index: int
    shape: tuple[int, ...]
    scale: float
    zero: int


class RandomGraph:
    """Grows one model; every choice comes from `seed`."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.b = GraphBuilder()
        self.states: list[tuple[str, tuple[int, ...], NDArray[np.int8] | None]] = []

    def _int(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def _zero(self) -> int:
        return int(self.rng.choice([-128, 127, 0, self._int(-128, 127)]))

    def _new(self, shape: tuple[int, ...], scale: float, zero: int) -> Value:
        return Value(self.b.tensor(shape, scale, zero), shape, scale, zero)

    def _out_scale(self, value: Value, depth: int, w_scale: float) -> float:
        # Mostly such that outputs spread over int8, at times far too small or large.
        if self._chance(0.06):
            return float(np.float32(value.scale * w_scale * self.rng.uniform(0.05, 1.5)))  # a multiplier above 1
        spread = value.scale * w_scale * 74 * 74 * max(depth, 1) ** 0.5 / 60
        return float(
            np.float32(spread * (2.0 ** self._int(-6, 6) if self._chance(0.3) else self.rng.uniform(0.5, 2)))
        )

    def _weights(
        self, shape: tuple[int, ...], dimension: int, per_channel: bool, zero: int = 0
    ) -> tuple[int, float, list[float]]:
        channels = shape[dimension]
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        if self._chance(0.1):
            data[...] = self.rng.choice(np.array([-128, 127], np.int8), shape)
        base = float(self.rng.uniform(0.001, 0.05))
        scales = [base * float(self.rng.uniform(0.3, 3)) for _ in range(channels)] if per_channel else [base]
        scales = [float(np.float32(s)) for s in scales]
        return self.b.tensor(shape, scales, zero, data=data, dimension=dimension), base, scales

    def _bias(self, value: Value, channels: int, scales: list[float]) -> list[int]:
        if self._chance(0.15):
            return []
        bias = self.rng.integers(-20000, 20000, channels).astype(np.int32)
        return [self.b.tensor((channels,), [value.scale * s for s in scales], 0, "INT32", bias)]

    def _image(self, value: Value) -> Value:
        # As 4 dimensions of batch 1.
        if len(value.shape) == 4 and value.shape[0] == 1:
            return value
        elements = int(np.prod(value.shape))
        depth = next(d for d in (self._int(1, 8), 4, 3, 2, 1) if elements % d == 0)
        return self._reshape(value, (1, elements // depth, 1, depth))

    def _reshape(self, value: Value, shape: tuple[int, ...]) -> Value:
        out = self._new(shape, value.scale, value.zero)
        self.b.op("RESHAPE", [value.index, self.b.constant(list(shape))], [out.index])
        return out

    def _spatial(self, value: Value) -> tuple[dict[str, int], tuple[int, int], tuple[int, int]]:
        same = self._chance(0.4)
        kernel, out, options = [], [], {"padding": 0 if same else 1}
        for size, axis in ((value.shape[1], "H"), (value.shape[2], "W")):
            k = self._int(1, min(size + (1 if same else 0), 5))
            dilation = self._int(1, 2) if self._chance(0.2) and (k - 1) * 2 + 1 <= size else 1
            stride = self._int(1, 3)
            reach = (k - 1) * dilation + 1
            kernel.append(k)
            out.append(-(-size // stride) if same else (size - reach) // stride + 1)
            options[f"stride{axis}"] = stride
            options[f"dilation{axis}Factor"] = dilation
        return options, (kernel[0], kernel[1]), (out[0], out[1])

    def conv(self, value: Value) -> Value:
        value = self._image(value)
        options, kernel, size = self._spatial(value)
        channels, depth = self._int(1, 12), value.shape[3]
        w, base, scales = self._weights((channels, *kernel, depth), 0, self._chance(0.8))
        out = self._new(
            (1, *size, channels), self._out_scale(value, kernel[0] * kernel[1] * depth, base), self._zero()
        )
        bias = self._bias(value, channels, scales)
        self.b.op(
            "CONV_2D", [value.index, w, *bias], [out.index], fusedActivationFunction=self._activation(), **options
        )
        return out

    def depthwise(self, value: Value) -> Value:
        value = self._image(value)
        options, kernel, size = self._spatial(value)
        every = self._int(1, 3) if self._chance(0.3) else 1
        channels = value.shape[3] * every
        w, base, scales = self._weights((1, *kernel, channels), 3, self._chance(0.8))
        out = self._new((1, *size, channels), self._out_scale(value, kernel[0] * kernel[1], base), self._zero())
        bias = self._bias(value, channels, scales)
        self.b.op(
            "DEPTHWISE_CONV_2D", [value.index, w, *bias], [out.index],
            depthMultiplier=every, fusedActivationFunction=self._activation(), **options,
        )  # fmt: skip
        return out

    def dense(self, value: Value) -> Value:
        elements = int(np.prod(value.shape))
        batch = next(n for n in (self._int(1, 3), 2, 1) if elements % n == 0) if self._chance(0.3) else 1
        flat = self._reshape(value, (batch, elements // batch))
        channels, depth = self._int(1, 20), elements // batch
        per_channel = self._chance(0.3) and channels > 1
        zero = self._int(-128, 127) if self._chance(0.2) and not per_channel else 0
        w, base, scales = self._weights((channels, depth), 0, per_channel, zero)
        out = self._new((batch, channels), self._out_scale(flat, depth, base), self._zero())
        bias = self._bias(flat, channels, scales)
        self.b.op("FULLY_CONNECTED", [flat.index, w, *bias], [out.index], fusedActivationFunction=self._activation())
        return out

    def _activation(self) -> int:
        return int(self.rng.choice([0, 0, 1, 1, 2, 3]))

    def logistic(self, value: Value) -> Value:
        out = self._new(value.shape, 1 / 256, -128)
        self.b.op("LOGISTIC", [value.index], [out.index])
        return out

    def quantize(self, value: Value) -> Value:
        scale = float(np.float32(value.scale * 2.0 ** self.rng.uniform(-3, 3)))
        if self._chance(0.3):
            scale = value.scale
        out = self._new(value.shape, scale, self._zero())
        self.b.op("QUANTIZE", [value.index], [out.index])
        return out

    def slice(self, value: Value) -> Value:
        begins, ends, steps, shape = [], [], [], []
        masks = [0, 0]
        for axis, size in enumerate(value.shape):
            begin = self._int(0, size - 1)
            end = self._int(begin + 1, size)
            step = self._int(1, 2)
            if self._chance(0.5):
                begin, masks[0] = 0, masks[0] | 1 << axis
            if self._chance(0.5):
                end, masks[1] = size, masks[1] | 1 << axis
            shape.append(len(range(begin, end, step)))
            begins.append(begin - size if self._chance(0.3) else begin)
            ends.append(end)
            steps.append(step)
        out = self._new(tuple(shape), value.scale, value.zero)
        arguments = [self.b.constant(values) for values in (begins, ends, steps)]
        self.b.op("STRIDED_SLICE", [value.index, *arguments], [out.index], beginMask=masks[0], endMask=masks[1])
        return out

    def split_and_join(self, value: Value) -> Value:
        axis = self._int(0, len(value.shape) - 1)
        size = value.shape[axis]
        cut = self._int(1, size - 1) if size > 1 else 1
        sizes = [cut, size - cut] if size > 1 else [1]
        parts = [
            self._new((*value.shape[:axis], n, *value.shape[axis + 1 :]), value.scale, value.zero) for n in sizes
        ]
        self.b.op(
            "SPLIT_V", [value.index, self.b.constant(sizes), self.b.constant(axis)], [p.index for p in parts],
            numSplits=len(parts),
        )  # fmt: skip
        zero = value.zero
        if self._chance(0.4):
            scale, zero = value.scale * float(self.rng.choice([1, 2, 0.7])), self._zero()
            parts = [self._requantised(p, float(np.float32(scale)), zero) for p in parts]
        if self._chance(0.5):
            parts.reverse()
        if self._chance(0.3):
            parts.append(parts[0])
        shape = (*value.shape[:axis], sum(p.shape[axis] for p in parts), *value.shape[axis + 1 :])
        out = self._new(shape, parts[0].scale, zero)
        axis_given = axis - len(value.shape) if self._chance(0.3) else axis
        self.b.op("CONCATENATION", [p.index for p in parts], [out.index], axis=axis_given)
        return out

    def _requantised(self, value: Value, scale: float, zero: int) -> Value:
        out = self._new(value.shape, scale, zero)
        self.b.op("QUANTIZE", [value.index], [out.index])
        return out

    def stream(self, value: Value) -> Value:
        value = self._image(value)
        rows, kept = value.shape[1], self._int(1, 6)
        rest = value.shape[2:]
        name = f"state{len(self.states)}"
        first = None
        if self._chance(0.8):
            first = np.full((1, kept, *rest), value.zero, np.int8)
            if self._chance(0.5):
                first = self.rng.integers(-128, 128, first.shape).astype(np.int8)
        self.states.append((name, (1, kept, *rest), first))
        handle = self.b.tensor((), kind="RESOURCE", name=name)
        self.b.op("VAR_HANDLE", [], [handle], sharedName=name.encode(), container=b"")
        state = self._new((1, kept, *rest), value.scale, value.zero)
        self.b.op("READ_VARIABLE", [handle], [state.index])
        pair = [state, value] if self._chance(0.85) else [value, state]
        joined = self._new((1, kept + rows, *rest), value.scale, value.zero)
        self.b.op("CONCATENATION", [p.index for p in pair], [joined.index], axis=1)
        begin = rows if self._chance(0.8) else self._int(0, rows)
        keep = self._new((1, kept, *rest), value.scale, value.zero)
        arguments = [self.b.constant(v) for v in ([0, begin, 0, 0], [0, begin + kept, 0, 0], [1, 1, 1, 1])]
        self.b.op("STRIDED_SLICE", [joined.index, *arguments], [keep.index], beginMask=13, endMask=13)
        self.b.op("ASSIGN_VARIABLE", [handle, keep.index], [])
        return joined

    def build(self) -> bytes:
        """The model: one int8 or uint8 input, one output."""
        shape = (1, self._int(1, 9), self._int(1, 6), self._int(1, 12))
        if self._chance(0.5):
            shape = (1, shape[1], 1, shape[3])
        scale, zero = float(np.float32(self.rng.uniform(0.002, 0.2))), self._zero()
        value = self._new(shape, scale, zero)
        first = value.index
        if self._chance(0.2):
            wider = float(np.float32(scale * float(self.rng.choice([1, 1.7]))))
            first = self.b.tensor(shape, wider, zero + 128, "UINT8")
            self.b.op("QUANTIZE", [first], [value.index])
        operations = [
            self.conv, self.conv, self.depthwise, self.dense, self.logistic, self.quantize, self.slice,
            self.split_and_join, self.stream,
        ]  # fmt: skip
        calls_at = len(self.b.graphs[0].operators)
        for _ in range(self._int(1, 7)):
            operation = operations[self._int(0, len(operations) - 1)]
            if int(np.prod(value.shape)) > 3000 and operation not in (self.slice, self.dense):
                operation = self.slice
            value = operation(value)
        if value.index == 0 or self._chance(0.3):
            wider = float(np.float32(value.scale * float(self.rng.choice([1, 0.6]))))
            out = self.b.tensor(value.shape, wider, value.zero + 128, "UINT8")
            self.b.op("QUANTIZE", [value.index], [out])
        else:
            out = value.index
        if any(first_value is not None for _, _, first_value in self.states):
            self.b.op("CALL_ONCE", [], [], initSubgraphIndex=1)
            operators = self.b.graphs[0].operators
            operators.insert(calls_at, operators.pop())
            self.b.second_graph()
            for name, state_shape, data in self.states:
                if data is None:
                    continue
                handle = self.b.tensor((), kind="RESOURCE", name=name)
                self.b.op("VAR_HANDLE", [], [handle], sharedName=name.encode(), container=b"")
                self.b.op("ASSIGN_VARIABLE", [handle, self.b.tensor(state_shape, 1.0, 0, data=data)], [])
        return self.b.build([first], [out])

    def inputs(self, shape: tuple[int, ...], kind: str, count: int) -> NDArray[np.generic]:
        """Random inputs, some at the extremes."""
        low = -128 if kind == "INT8" else 0
        x = self.rng.integers(low, low + 256, (count, *shape))
        x[:: max(count // 2, 1)] = self.rng.choice([low, low + 255], x[:: max(count // 2, 1)].shape)
        return x.astype(np.int8 if kind == "INT8" else np.uint8)
