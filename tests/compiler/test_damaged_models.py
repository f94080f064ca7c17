"""Damaged .tflite files: each compiles or is refused in one line, quickly, in little memory."""

from __future__ import annotations

import resource
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from bodydouble.compiler import ModelFileError, UnsupportedModelError, compile_model, reader
from support.damage import damaged
from support.tflite_build import GraphBuilder

SECONDS_MAX = 5.0
GROWTH_MAX = 400 << 20  # bytes of the whole process beyond those before


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    def late(_signal: int, _frame: object) -> None:
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_damaged_files(soak: bool) -> None:
    seen: Counter[str] = Counter()
    rounds = 10_000 if soak else 300
    peak = _peak_bytes()
    for seed in range(rounds):
        data, text = damaged(seed), ""
        try:
            with _deadline(SECONDS_MAX):
                compile_model(data, "m")
            seen["compiled"] += 1
        except (ModelFileError, UnsupportedModelError) as error:
            text = str(error)
            seen[type(error).__name__] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
        assert text.isprintable(), seed
        assert len(text) < 800, seed
    grown = _peak_bytes() - peak
    print(f"\n{rounds} damaged models: {dict(seen)}; the process grew by {grown >> 20} MB")
    assert min(seen[k] for k in ("compiled", "ModelFileError", "UnsupportedModelError")) > rounds / 40
    assert grown < GROWTH_MAX


def _chain(kind: str, count: int) -> bytes:
    b = GraphBuilder()
    value = x = b.tensor((1, 4), 0.1, 0)
    for _ in range(count):
        value, before = b.tensor((1, 4), 0.1, 0), value
        b.op(kind, [before] if kind == "CONCATENATION" else [before, b.constant([1, 4])], [value])
    return b.build([x], [value])


@pytest.mark.parametrize("kind", ["RESHAPE", "CONCATENATION"])
def test_deep_models_compile(kind: str) -> None:
    """However long a chain of views or of parts of parts, nothing recurses along it."""
    with _deadline(60):
        plan = compile_model(_chain(kind, 1100), "m")
    assert plan.arena_bytes == 4


def test_endless_lists_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "ENTRIES_MAX", 5000)
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, 0), b.tensor((1, 4), 0.1, 0)
    for _ in range(5):
        b.op("CONCATENATION", [x] * 1000, [y], axis=0)
    with pytest.raises(ModelFileError, match="more than 5000 parts"):
        compile_model(b.build([x], [y]), "m")


def test_overlapping_buffers_are_not_read() -> None:
    """A small file, each of whose constants claims most of it."""
    b = GraphBuilder()
    count = 900_000
    b.tensor((250_000,), kind="INT32", data=np.full(250_000, count, np.int32))
    x, y = b.tensor((1, 4), 0.1, 0), b.tensor((1, 4), 0.1, 0)
    b.op("RELU", [x], [y])
    for _ in range(40):
        b.tensor((count,), 0.1, 0, data=np.full(4, 5, np.int8))
    data = bytearray(b.build([x], [y]))
    model = schema.Model.GetRootAsModel(data, 0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    large = next(buffer for buffer in buffers if buffer.DataLength() > count)
    vector = large._tab.Vector(large._tab.Offset(4))
    for number, buffer in enumerate(buffers):
        if buffer.DataLength() == 4:
            field = buffer._tab.Pos + buffer._tab.Offset(4)
            assert vector > field
            data[field : field + 4] = (vector + 4 * number - field).to_bytes(4, "little")
    with pytest.raises(ModelFileError, match="its buffers overlap"):
        compile_model(bytes(data), "m")


def test_large_tensors_take_no_time() -> None:
    """A few kilobytes that name variables of 4 MB each, and constants of 1 MB that are one and the same."""
    b = GraphBuilder()
    x, y = b.tensor((1, 1), 0.1, 0), b.tensor((1,), 0.1, 0)
    b.op("RESHAPE", [x, b.constant([1])], [y])
    for number in range(60):
        handle, value = b.tensor((), kind="RESOURCE"), b.tensor((1 << 22,), 0.1, 0)
        b.op("VAR_HANDLE", [], [handle], sharedName=b"v%d" % number, container=b"")
        b.op("READ_VARIABLE", [handle], [value])
        b.op("ASSIGN_VARIABLE", [handle, value], [])
    with _deadline(20), pytest.raises(UnsupportedModelError, match="bytes of arena"):
        compile_model(b.build([x], [y]), "m")
    b = GraphBuilder()
    x, y = b.tensor((1, 1), 0.1, 0), b.tensor((301,), 0.1, 0)
    first = b.tensor((1 << 20,), 0.1, 0, data=np.arange(1 << 20).astype(np.int8))
    parts = [b.tensor((1,), 0.1, 0)]
    b.op("RESHAPE", [x, b.constant([1])], parts)
    bounds = [b.constant([n]) for n in (-1, -(1 << 21), -(1 << 20))]
    for _ in range(300):
        large = b.tensor((1 << 20,), 0.1, 0)
        b.graphs[0].tensors[large].buffer = b.graphs[0].tensors[first].buffer
        parts.append(b.tensor((1,), 0.1, 0))
        b.op("STRIDED_SLICE", [large, *bounds], [parts[-1]])
    rows = [b.tensor((len(parts[i : i + 10]),), 0.1, 0) for i in range(0, 301, 10)]
    for number, row in enumerate(rows):
        b.op("CONCATENATION", parts[10 * number : 10 * number + 10], [row], axis=0)
    tens = [b.tensor((sum(len(parts[10 * j : 10 * j + 10]) for j in range(i, min(i + 10, 31))),), 0.1, 0)
            for i in range(0, 31, 10)]  # fmt: skip
    for number, ten in enumerate(tens):
        b.op("CONCATENATION", rows[10 * number : 10 * number + 10], [ten], axis=0)
    b.op("CONCATENATION", tens, [y], axis=0)
    with _deadline(20), pytest.raises(UnsupportedModelError, match="MB of constants"):
        compile_model(b.build([x], [y]), "m")
