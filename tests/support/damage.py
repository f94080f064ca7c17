"""Damages .tflite files: their bytes, or the graph that they hold."""

from __future__ import annotations

import copy
import os
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pymicro_wakeword
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from support.graphs import FAMILIES, RandomGraph
from support.tflite_build import OPERATORS, TYPES

_WORDS = (0, 1, 2, 3, 4, 6, 7, 127, 255, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 2, 2**32 - 128)
_NUMBERS = (-(2**31), -129, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 31, 255, 65536, 2**24, 2**31 - 1)
_GRAPH_BYTES_MAX = 30_000

Rng = np.random.Generator


@cache
def _bases() -> tuple[bytes, ...]:
    """Wake models, others where the data is at hand, and random graphs of each family and of all."""
    files = sorted((Path(pymicro_wakeword.__file__).parent / "models").glob("*.tflite"))
    data = os.environ.get("BODYDOUBLE_DATA")
    if data:
        files += sorted(Path(data, "models").glob("*.tflite")) + sorted(Path(data, "mlperf_tiny").glob("*.tflite"))
    families = [(), *((name,) for name in FAMILIES), FAMILIES]
    graphs = [RandomGraph(seed, families[seed % len(families)]).build() for seed in range(4 * len(families))]
    return (*(path.read_bytes() for path in files), *graphs)


def _spot(rng: Rng, size: int) -> int:
    # Mostly in the last part of a file, where its tables lie: what comes before is weights.
    return int(rng.integers(0, size) if rng.random() < 0.4 else size - 1 - rng.integers(0, max(size // 4, 1)))


def _flip(data: bytearray, rng: Rng) -> None:
    for _ in range(int(rng.integers(1, 4))):
        data[_spot(rng, len(data))] ^= 1 << int(rng.integers(0, 8))


def _word(data: bytearray, rng: Rng) -> None:
    for _ in range(int(rng.integers(1, 4))):
        at = _spot(rng, len(data)) & ~3
        words = (*_WORDS, len(data), int(rng.integers(0, 2**32)), int(rng.integers(0, len(data))))
        data[at : at + 4] = words[int(rng.integers(0, len(words)))].to_bytes(4, "little")


def _truncate(data: bytearray, rng: Rng) -> None:
    del data[int(rng.integers(0, len(data))) :]


def _swap(data: bytearray, rng: Rng) -> None:
    size = int(rng.integers(1, 64)) * 4
    a, b = (_spot(rng, max(len(data) - size, 1)) & ~3 for _ in range(2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def _move(data: bytearray, rng: Rng) -> None:
    at, size = _spot(rng, len(data)), int(rng.integers(1, 64))
    if rng.random() < 0.5:
        del data[at : at + size]
    else:
        data[at:at] = data[_spot(rng, len(data)) :][:size]


def _splice(data: bytearray, rng: Rng) -> None:
    other = _bases()[int(rng.integers(0, len(_bases())))]
    if rng.random() < 0.5:
        at = _spot(rng, min(len(data), len(other)))
        data[at:] = other[at:]
    else:
        at, size = _spot(rng, len(other)) & ~3, int(rng.integers(1, 256)) * 4
        to = _spot(rng, len(data)) & ~3
        data[to : to + size] = other[at : at + size]


_MUTATIONS: tuple[Callable[[bytearray, Rng], None], ...] = (
    _flip,
    _flip,
    _word,
    _word,
    _truncate,
    _swap,
    _move,
    _splice,
)


def _number(rng: Rng) -> int:
    return int(rng.choice(_NUMBERS)) if rng.random() < 0.6 else int(rng.integers(-3, 12))


def _one(rng: Rng, items: Any) -> Any:
    return items[int(rng.integers(0, len(items)))] if len(items) else None


def _change_list(rng: Rng, values: list[int], value: int) -> list[int]:
    # One entry changed, dropped, doubled or exchanged.
    values = [int(v) for v in values]
    how = rng.random()
    if not values or how < 0.1:
        return [*values, value]
    at = int(rng.integers(0, len(values)))
    if how < 0.2:
        del values[at]
    elif how < 0.4:
        other = int(rng.integers(0, len(values)))
        values[at], values[other] = values[other], values[at]
    else:
        values[at] = value
    return values


def _change_tensor(rng: Rng, model: Any, graph: Any) -> None:
    tensor = _one(rng, graph.tensors)
    how = int(rng.integers(0, 6))
    if how == 0:
        tensor.shape = _change_list(rng, [] if tensor.shape is None else list(tensor.shape), _number(rng))
    elif how == 1:
        tensor.type = int(_one(rng, list(TYPES.values())))
    elif how == 2:
        tensor.buffer = int(rng.integers(0, len(model.buffers)))
    elif tensor.quantization is not None and tensor.quantization.scale is not None:
        q = tensor.quantization
        if how == 3:
            q.scale = [float(_one(rng, [0.0, 1e-30, 1e30, 1e-8, 0.5, float("inf"), float("nan"), -1.0]))]
        elif how == 4:
            q.zeroPoint = _change_list(rng, list(q.zeroPoint), _number(rng))
        else:
            q.quantizedDimension = _number(rng)


def _change_operator(rng: Rng, model: Any, graph: Any) -> None:
    op = _one(rng, graph.operators)
    how = int(rng.integers(0, 5))
    if how == 0:
        op.inputs = _change_list(rng, list(op.inputs), int(rng.integers(-1, len(graph.tensors))))
    elif how == 1:
        op.outputs = _change_list(rng, list(op.outputs), int(rng.integers(0, len(graph.tensors))))
    elif how == 2:
        op.opcodeIndex = int(rng.integers(0, len(model.operatorCodes)))
    elif how == 3:
        code = _one(rng, model.operatorCodes)
        code.builtinCode = int(_one(rng, list(OPERATORS.values())))
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    elif op.builtinOptions is not None:
        fields = [name for name, value in vars(op.builtinOptions).items() if isinstance(value, int)]
        if fields:
            number = _number(rng)
            name = _one(rng, fields)
            setattr(op.builtinOptions, name, number if not name.startswith("fused") else number & 7)


def _change_graph(rng: Rng, model: Any, graph: Any) -> None:
    how = int(rng.integers(0, 4))
    if how == 0:
        graph.inputs = _change_list(rng, list(graph.inputs), int(rng.integers(0, len(graph.tensors))))
    elif how == 1:
        graph.outputs = _change_list(rng, list(graph.outputs), int(rng.integers(0, len(graph.tensors))))
    elif how == 2:
        at = int(rng.integers(0, len(graph.operators)))
        graph.operators.insert(int(rng.integers(0, len(graph.operators))), graph.operators.pop(at))
    else:
        words = [b for b in model.buffers if b.data is not None and 0 < len(b.data) <= 64 and len(b.data) % 4 == 0]
        if words:
            buffer = _one(rng, words)
            values = np.array(buffer.data, np.uint8).view("<i4").copy()
            values[int(rng.integers(0, len(values)))] = _number(rng)
            buffer.data = values.view(np.uint8)


@cache
def _objects(index: int) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(_bases()[index], 0))


def _restructure(index: int, rng: Rng) -> bytes:
    """The model with a few fields changed, as a file without any damage."""
    model = copy.deepcopy(_objects(index))
    for _ in range(int(rng.integers(1, 4))):
        graph = _one(rng, model.subgraphs)
        if graph.operators and graph.tensors:
            change = _one(rng, (_change_tensor, _change_tensor, _change_operator, _change_operator, _change_graph))
            change(rng, model, graph)
    builder = flatbuffers.Builder(1024)
    try:
        builder.Finish(model.Pack(builder), b"TFL3")
    except (TypeError, ValueError, AttributeError, OverflowError, struct.error):
        return _bases()[index][:-1]  # a number that its field cannot hold
    return bytes(builder.Output())


def damaged(seed: int) -> bytes:
    """One of the files, damaged in one way or two."""
    rng = np.random.default_rng(seed)
    index = seed % len(_bases())
    if len(_bases()[index]) <= _GRAPH_BYTES_MAX and rng.random() < 0.6:
        return _restructure(index, rng)
    data = bytearray(_bases()[index])
    for _ in range(int(rng.integers(1, 3))):
        if len(data) > 8:
            _one(rng, _MUTATIONS)(data, rng)
    return bytes(data)
