"""Sums, differences and products: what becomes a table, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bodydouble.compiler import UnsupportedModelError, compile_model
from support import families
from support.tflite_build import GraphBuilder

_End = tuple[tuple[int, ...], str, float, int]


def _model(op: str, first: _End, second: _End, out: _End, **options: Any) -> bytes:
    b = GraphBuilder()
    x, y, z = (
        b.tensor(shape, scale, zero, kind, name=name)
        for (shape, kind, scale, zero), name in zip((first, second, out), ("a", "b", "c"), strict=True)
    )
    b.op(op, [x, y], [z], **options)
    return b.build([x, y], [z])


def _with_constant(op: str, value: int, scale: float, zero: int, first: bool, out: tuple[float, int]) -> bytes:
    b = GraphBuilder()
    x, z = b.tensor((1, 3, 2), 0.1, 3), b.tensor((1, 3, 2), *out)
    y = b.tensor((1,), scale, zero, data=np.array([value], np.int8))
    b.op(op, [y, x] if first else [x, y], [z])
    return b.build([x], [z])


@pytest.mark.parametrize("first", [True, False])
def test_a_single_constant_makes_a_table(first: bool) -> None:
    jobs = []
    x = np.arange(-128, 124, dtype=np.int8).reshape(-1, 1, 3, 2)
    for op in ("ADD", "SUB", "MUL"):
        jobs.append(families.job(op, _with_constant(op, 37, 0.05, -7, first, (0.2, 9)), x))
        assert [step.kind for step in jobs[-1][2].ops] == ["lookup"]
    # What changes nothing is no step but the flips of input and output.
    jobs.append(families.job("times 1", _with_constant("MUL", 1, 1.0, 0, first, (0.1, 3)), x))
    assert "lookup" not in [step.kind for step in jobs[-1][2].ops]
    families.check(jobs, "viper")


def test_a_tensor_with_itself_makes_a_table() -> None:
    b = GraphBuilder()
    x, z = b.tensor((2, 3), 0.1, 3), b.tensor((2, 3), 2.0, -100)
    b.op("MUL", [x, x], [z])
    data = b.build([x], [z])
    job = families.job("square", data, np.arange(-128, 124, dtype=np.int8).reshape(-1, 2, 3))
    assert [step.kind for step in job[2].ops] == ["lookup"]
    families.check([job], "viper")


def test_parts_of_a_whole_are_written_in_place() -> None:
    """Sums along the last dimension of a concatenation, which leave gaps between their rows."""
    b = GraphBuilder()
    x, whole = b.tensor((4, 3), 0.1, 3), b.tensor((4, 6), 0.1, 5)
    parts = []
    for constant in (np.arange(3, dtype=np.int8), np.array([7], np.int8)):
        part = b.tensor((4, 3), 0.1, 5)
        b.op("ADD", [x, b.tensor(constant.shape, 0.1, 0, data=constant)], [part])
        parts.append(part)
    b.op("CONCATENATION", parts, [whole], axis=1)
    job = families.job("m", b.build([x], [whole]), np.arange(-60, 60, dtype=np.int8).reshape(-1, 4, 3))
    assert [step.kind for step in job[2].ops if step.label == "concatenation"] == []
    families.check([job], "viper")


_A: _End = ((1, 4), "INT8", 0.1, 0)
_W: _End = ((1, 4), "INT16", 0.1, 0)


@pytest.mark.parametrize(
    ("op", "ends", "options", "words"),
    [
        ("ADD", (_A, ((1, 3), "INT8", 0.1, 0), _A), {}, ["joins shapes [1, 4] and [1, 3]"]),
        ("ADD", (_A, _A, ((2, 4), "INT8", 0.1, 0)), {}, ["to [2, 4]"]),
        ("ADD", (_A, _W, _A), {}, ["'b'", "INT16"]),
        ("ADD", (_A, _A, _W), {}, ["'a'", "INT8"]),
        ("ADD", (_A, _A, ((1, 4), "INT8", 1e-9, 0)), {}, ["too fine"]),
        ("ADD", (((1, 4), "INT16", 0.1, -32768), _W, _W), {}, ["zero points -32768 and 0"]),
        ("SUB", (((1, 4), "INT16", 0.1, 1), _W, _W), {}, ["zero points 1 and 0"]),
        ("MUL", (_W, _W, ((1, 4), "INT16", 0.1, 1)), {}, ["zero point"]),
        ("MUL", (_A, _A, ((1, 4), "INT8", 1e-9, 0)), {}, ["32 bits"]),
        ("MUL", (_W, _W, ((1, 4), "INT16", 0.001, 0)), {}, ["32 bits"]),
        ("MUL", (_A, _A, _A), {"fusedActivationFunction": 4}, ["activation 4"]),
        ("ADD", tuple(((1, 4), "INT8", 1e-10, 0) for _ in range(3)), {"fusedActivationFunction": 3}, ["1e-10"]),
        ("ADD", tuple(((1, 4), "INT8", 1e37, 0) for _ in range(3)), {}, ["1e+37"]),
        ("ADD", tuple(((1, 4), "INT32", 1.0, 0) for _ in range(3)), {}, ["INT32"]),
    ],
)
def test_refused(op: str, ends: tuple[_End, _End, _End], options: dict[str, int], words: list[str]) -> None:
    """In one line, what tflite-micro refuses or leaves undefined."""
    with pytest.raises(UnsupportedModelError) as caught:
        compile_model(_model(op, *ends, **options), "m")
    for word in (op, *words):
        assert word in str(caught.value), str(caught.value)
