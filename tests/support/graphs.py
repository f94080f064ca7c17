"""Random models over every operation that the compiler knows: shapes, strides, paddings, scales at their extremes.

Families of operations add theirs in graph_*.py: `OPERATIONS`, a list of (types that it takes, function of the graph
and a value that returns a value).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bodydouble.compiler import curves
from support.tflite_build import GraphBuilder


@dataclass(frozen=True)
class Value:
    """A tensor of the growing graph."""

    index: int
    shape: tuple[int, ...]
    scale: float
    zero: int
    kind: str = "INT8"


Operation = tuple[tuple[str, ...], Callable[["RandomGraph", Value], Value]]
LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}
FAMILIES: tuple[str, ...] = ("binary", "lstm", "pool", "recurrent", "shape", "soft", "unary", "wide")
"""Modules support.graph_* whose operations a graph of all families draws from."""


class RandomGraph:
    """Grows one model; every choice comes from `seed`. `families`: of FAMILIES, beside the operations here."""

    def __init__(self, seed: int, families: tuple[str, ...] = ()) -> None:
        self.rng = np.random.default_rng(seed)
        self.families = families
        self.b = GraphBuilder()
        self.states: list[tuple[str, tuple[int, ...], NDArray[np.int8] | None]] = []
        self.extras: list[int] = []  # outputs that no operation reads, beside the last value

    def int(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def zero(self) -> int:
        return int(self.rng.choice([-128, 127, 0, self.int(-128, 127)]))

    def new(self, shape: tuple[int, ...], scale: float, zero: int, kind: str = "INT8") -> Value:
        """A tensor that an operation will write."""
        return Value(self.b.tensor(shape, scale, zero, kind), shape, scale, zero, kind)

    def constant(self, shape: tuple[int, ...], scale: float, zero: int, kind: str = "INT8") -> Value:
        """A constant of random values."""
        low, high = LIMITS[kind]
        data = self.rng.integers(low, high + 1, shape).astype(kind.lower())
        return Value(self.b.tensor(shape, scale, zero, kind, data), shape, scale, zero, kind)

    def out_scale(self, value: Value, depth: int, w_scale: float) -> float:
        # Mostly such that outputs spread over int8, at times far too small or large.
        if self.chance(0.06):
            return float(np.float32(value.scale * w_scale * self.rng.uniform(0.05, 1.5)))  # a multiplier above 1
        spread = value.scale * w_scale * 74 * 74 * max(depth, 1) ** 0.5 / 60
        return float(np.float32(spread * (2.0 ** self.int(-6, 6) if self.chance(0.3) else self.rng.uniform(0.5, 2))))

    def weights(
        self, shape: tuple[int, ...], dimension: int, per_channel: bool, zero: int = 0
    ) -> tuple[int, float, list[float]]:
        channels = shape[dimension]
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        if self.chance(0.1):
            data[...] = self.rng.choice(np.array([-128, 127], np.int8), shape)
        base = float(self.rng.uniform(0.001, 0.05))
        scales = [base * float(self.rng.uniform(0.3, 3)) for _ in range(channels)] if per_channel else [base]
        scales = [float(np.float32(s)) for s in scales]
        return self.b.tensor(shape, scales, zero, data=data, dimension=dimension), base, scales

    def bias(self, value: Value, channels: int, scales: list[float]) -> list[int]:
        if self.chance(0.15):
            return []
        bias = self.rng.integers(-20000, 20000, channels).astype(np.int32)
        return [self.b.tensor((channels,), [value.scale * s for s in scales], 0, "INT32", bias)]

    def image(self, value: Value) -> Value:
        # As 4 dimensions of batch 1.
        if len(value.shape) == 4 and value.shape[0] == 1:
            return value
        elements = int(np.prod(value.shape))
        depth = next(d for d in (self.int(1, 8), 4, 3, 2, 1) if elements % d == 0)
        return self.reshape(value, (1, elements // depth, 1, depth))

    def reshape(self, value: Value, shape: tuple[int, ...]) -> Value:
        out = self.new(shape, value.scale, value.zero, value.kind)
        self.b.op("RESHAPE", [value.index, self.b.constant(list(shape))], [out.index])
        return out

    def spatial(self, value: Value) -> tuple[dict[str, int], tuple[int, int], tuple[int, int]]:
        same = self.chance(0.4)
        kernel, out, options = [], [], {"padding": 0 if same else 1}
        for size, axis in ((value.shape[1], "H"), (value.shape[2], "W")):
            k = self.int(1, min(size + (1 if same else 0), 5))
            dilation = self.int(1, 2) if self.chance(0.2) and (k - 1) * 2 + 1 <= size else 1
            stride = self.int(1, 3)
            reach = (k - 1) * dilation + 1
            kernel.append(k)
            out.append(-(-size // stride) if same else (size - reach) // stride + 1)
            options[f"stride{axis}"] = stride
            options[f"dilation{axis}Factor"] = dilation
        return options, (kernel[0], kernel[1]), (out[0], out[1])

    def conv(self, value: Value) -> Value:
        value = self.image(value)
        options, kernel, size = self.spatial(value)
        channels, depth = self.int(1, 12), value.shape[3]
        w, base, scales = self.weights((channels, *kernel, depth), 0, self.chance(0.8))
        out = self.new((1, *size, channels), self.out_scale(value, kernel[0] * kernel[1] * depth, base), self.zero())
        bias = self.bias(value, channels, scales)
        self.b.op(
            "CONV_2D", [value.index, w, *bias], [out.index], fusedActivationFunction=self.activation(), **options
        )
        return out

    def depthwise(self, value: Value) -> Value:
        value = self.image(value)
        options, kernel, size = self.spatial(value)
        every = self.int(1, 3) if self.chance(0.3) else 1
        channels = value.shape[3] * every
        w, base, scales = self.weights((1, *kernel, channels), 3, self.chance(0.8))
        out = self.new((1, *size, channels), self.out_scale(value, kernel[0] * kernel[1], base), self.zero())
        bias = self.bias(value, channels, scales)
        self.b.op(
            "DEPTHWISE_CONV_2D", [value.index, w, *bias], [out.index],
            depthMultiplier=every, fusedActivationFunction=self.activation(), **options,
        )  # fmt: skip
        return out

    def dense(self, value: Value) -> Value:
        elements = int(np.prod(value.shape))
        batch = next(n for n in (self.int(1, 3), 2, 1) if elements % n == 0) if self.chance(0.3) else 1
        flat = self.reshape(value, (batch, elements // batch))
        channels, depth = self.int(1, 20), elements // batch
        per_channel = self.chance(0.3) and channels > 1
        zero = self.int(-128, 127) if self.chance(0.2) and not per_channel else 0
        w, base, scales = self.weights((channels, depth), 0, per_channel, zero)
        out = self.new((batch, channels), self.out_scale(flat, depth, base), self.zero())
        bias = self.bias(flat, channels, scales)
        self.b.op("FULLY_CONNECTED", [flat.index, w, *bias], [out.index], fusedActivationFunction=self.activation())
        return out

    def activation(self) -> int:
        return int(self.rng.choice([0, 0, 1, 1, 2, 3]))

    def logistic(self, value: Value) -> Value:
        if value.scale < curves.SCALES[0]:
            return self.quantize(value)
        out = self.new(value.shape, 1 / 256, -128)
        self.b.op("LOGISTIC", [value.index], [out.index])
        return out

    def quantize(self, value: Value) -> Value:
        scale = float(np.float32(value.scale * 2.0 ** self.rng.uniform(-3, 3)))
        if self.chance(0.3):
            scale = value.scale
        out = self.new(value.shape, scale, self.zero())
        self.b.op("QUANTIZE", [value.index], [out.index])
        return out

    def slice(self, value: Value) -> Value:
        if len(value.shape) > 4:
            value = self.image(value)
        begins, ends, steps, shape = [], [], [], []
        masks = [0, 0]
        for axis, size in enumerate(value.shape):
            begin = self.int(0, size - 1)
            end = self.int(begin + 1, size)
            step = self.int(1, 2)
            if self.chance(0.5):
                begin, masks[0] = 0, masks[0] | 1 << axis
            if self.chance(0.5):
                end, masks[1] = size, masks[1] | 1 << axis
            shape.append(len(range(begin, end, step)))
            begins.append(begin - size if self.chance(0.3) else begin)
            ends.append(end)
            steps.append(step)
        out = self.new(tuple(shape), value.scale, value.zero)
        arguments = [self.b.constant(values) for values in (begins, ends, steps)]
        self.b.op("STRIDED_SLICE", [value.index, *arguments], [out.index], beginMask=masks[0], endMask=masks[1])
        return out

    def split_and_join(self, value: Value) -> Value:
        axis = self.int(0, len(value.shape) - 1)
        size = value.shape[axis]
        cut = self.int(1, size - 1) if size > 1 else 1
        sizes = [cut, size - cut] if size > 1 else [1]
        parts = [self.new((*value.shape[:axis], n, *value.shape[axis + 1 :]), value.scale, value.zero) for n in sizes]
        self.b.op(
            "SPLIT_V", [value.index, self.b.constant(sizes), self.b.constant(axis)], [p.index for p in parts],
            numSplits=len(parts),
        )  # fmt: skip
        zero = value.zero
        if self.chance(0.4):
            scale, zero = value.scale * float(self.rng.choice([1, 2, 0.7])), self.zero()
            parts = [self._requantised(p, float(np.float32(scale)), zero) for p in parts]
        if self.chance(0.5):
            parts.reverse()
        if self.chance(0.3):
            parts.append(parts[0])
        shape = (*value.shape[:axis], sum(p.shape[axis] for p in parts), *value.shape[axis + 1 :])
        out = self.new(shape, parts[0].scale, zero)
        axis_given = axis - len(value.shape) if self.chance(0.3) else axis
        self.b.op("CONCATENATION", [p.index for p in parts], [out.index], axis=axis_given)
        return out

    def _requantised(self, value: Value, scale: float, zero: int) -> Value:
        out = self.new(value.shape, scale, zero)
        self.b.op("QUANTIZE", [value.index], [out.index])
        return out

    def stream(self, value: Value) -> Value:
        value = self.image(value)
        rows, kept = value.shape[1], self.int(1, 6)
        rest = value.shape[2:]
        name = f"state{len(self.states)}"
        first = None
        if self.chance(0.8):
            first = np.full((1, kept, *rest), value.zero, np.int8)
            if self.chance(0.5):
                first = self.rng.integers(-128, 128, first.shape).astype(np.int8)
        self.states.append((name, (1, kept, *rest), first))
        handle = self.b.tensor((), kind="RESOURCE", name=name)
        self.b.op("VAR_HANDLE", [], [handle], sharedName=name.encode(), container=b"")
        state = self.new((1, kept, *rest), value.scale, value.zero)
        self.b.op("READ_VARIABLE", [handle], [state.index])
        pair = [state, value] if self.chance(0.85) else [value, state]
        joined = self.new((1, kept + rows, *rest), value.scale, value.zero)
        self.b.op("CONCATENATION", [p.index for p in pair], [joined.index], axis=1)
        begin = rows if self.chance(0.8) else self.int(0, rows)
        keep = self.new((1, kept, *rest), value.scale, value.zero)
        arguments = [self.b.constant(v) for v in ([0, begin, 0, 0], [0, begin + kept, 0, 0], [1, 1, 1, 1])]
        self.b.op("STRIDED_SLICE", [joined.index, *arguments], [keep.index], beginMask=13, endMask=13)
        self.b.op("ASSIGN_VARIABLE", [handle, keep.index], [])
        return joined

    def _operations(self) -> list[tuple[tuple[str, ...], Callable[[Value], Value]]]:
        mine = [
            self.conv, self.conv, self.depthwise, self.dense, self.logistic, self.quantize, self.slice,
            self.split_and_join, self.stream,
        ]  # fmt: skip
        found: list[tuple[tuple[str, ...], Callable[[Value], Value]]] = [(("INT8",), one) for one in mine]
        for family in self.families:
            for kinds, function in importlib.import_module(f"support.graph_{family}").OPERATIONS:
                found.append((kinds, partial(function, self)))
        return found

    def _choose(
        self, operations: list[tuple[tuple[str, ...], Callable[[Value], Value]]], value: Value
    ) -> Callable[[Value], Value]:
        fitting = [function for kinds, function in operations if value.kind in kinds]
        operation = fitting[self.int(0, len(fitting) - 1)]
        if int(np.prod(value.shape)) > 3000 and value.kind == "INT8" and operation not in (self.slice, self.dense):
            return self.slice
        return operation

    def build(self) -> bytes:
        """The model: one int8 or uint8 input, one output."""
        shape = (1, self.int(1, 9), self.int(1, 6), self.int(1, 12))
        if self.chance(0.5):
            shape = (1, shape[1], 1, shape[3])
        scale, zero = float(np.float32(self.rng.uniform(0.002, 0.2))), self.zero()
        value = self.new(shape, scale, zero)
        first = value.index
        if self.chance(0.2):
            wider = float(np.float32(scale * float(self.rng.choice([1, 1.7]))))
            first = self.b.tensor(shape, wider, zero + 128, "UINT8")
            self.b.op("QUANTIZE", [first], [value.index])
        operations = self._operations()
        calls_at = len(self.b.graphs[0].operators)
        for _ in range(self.int(1, 7)):
            operation = self._choose(operations, value)
            value = operation(value)
        if value.kind != "INT8":
            return self.b.build([first], [value.index, *self.extras])
        if value.index == 0 or self.chance(0.3):
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
        return self.b.build([first], [out, *self.extras])

    def inputs(self, shape: tuple[int, ...], kind: str, count: int) -> NDArray[np.generic]:
        """Random inputs, some at the extremes."""
        low, high = LIMITS[kind]
        x = self.rng.integers(low, high + 1, (count, *shape))
        x[:: max(count // 2, 1)] = self.rng.choice([low, high], x[:: max(count // 2, 1)].shape)
        return x.astype(kind.lower())
