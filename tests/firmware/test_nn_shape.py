"""Pads, slices, splits, stacks, transposes, gathers and variables on the board against tflite-micro."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bodydouble.compiler import Plan, UnsupportedModelError, compile_model
from support import nn
from support.graphs import RandomGraph
from support.micropython import ROOT, run_micropython
from support.tflite_build import GraphBuilder

FIRMWARE_TESTS = ROOT / "tests" / "firmware"
SHAPE = (1, 2, 3, 4)
Job = tuple[str, bytes, Plan, NDArray[np.generic]]
Tensors = Callable[[tuple[int, ...]], int]


def _check(jobs: list[Job], tier: str, bits: int = 64, trace: bool = True) -> nn.Comparison:
    found = nn.compare(jobs, tier, bits, trace, resets=(4,))
    print(f"\n{tier} {bits}-bit: {found.values:,} values equal to tflite-micro's")
    assert not found.differences, "\n".join(found.differences[:20])
    return found


def _graphs(seeds: range) -> list[Job]:
    jobs = []
    for seed in seeds:
        graph = RandomGraph(seed, ("shape",))
        data = graph.build()
        plan = compile_model(data, f"graph {seed}")
        jobs.append((f"graph {seed}", data, plan, graph.inputs(plan.input.shape, plan.input.type, 6)))
    return jobs


@pytest.mark.parametrize(
    ("tier", "bits", "seeds"),
    [
        ("viper", 64, range(40)),
        ("bytecode", 64, range(60, 80)),
        pytest.param("viper", 32, range(90, 110), marks=pytest.mark.micropython32),
        pytest.param("bytecode", 32, range(120, 130), marks=pytest.mark.micropython32),
    ],
)
def test_random_graphs(tier: str, bits: int, seeds: range, soak: bool) -> None:
    """Every rank, axis, mask and step; views of views; parts written in place; state of any first value."""
    if soak:
        seeds = range(10_000 + seeds.start, 10_000 + seeds.start + 30 * len(seeds))
    assert _check(_graphs(seeds), tier, bits).values > 15_000


def _operation(b: GraphBuilder, kind: str, op: str, x: int, new: Tensors) -> int:
    """One operation on `x` of SHAPE; returns what it makes."""
    quantised = {"INT8": (0.5, 3), "INT16": (0.5, 0)}.get(kind, (None, 0))
    dtype = nn.DTYPES[kind]
    if op in ("PAD", "PADV2"):
        y = new((1, 4, 4, 4))
        value = [b.tensor((), *quantised, kind, np.array(1, dtype))] if op == "PADV2" else []
        b.op(op, [x, b.constant([[0, 0], [1, 1], [0, 1], [0, 0]]), *value], [y])
    elif op == "SQUEEZE":
        y = new((2, 3, 4))
        b.op(op, [x], [y], squeezeDims=[0])
    elif op == "EXPAND_DIMS":
        y = new((1, 2, 1, 3, 4))
        b.op(op, [x, b.constant(2)], [y])
    elif op == "SPLIT":
        y = new((1, 2, 3, 2))
        b.op(op, [b.constant(3), x], [new((1, 2, 3, 2)), y], numSplits=2)
    elif op == "SPLIT_V":
        y = new((1, 2, 3, 3))
        b.op(op, [x, b.constant([1, 3]), b.constant(3)], [new((1, 2, 3, 1)), y], numSplits=2)
    elif op == "SLICE":
        y = new((1, 1, 2, 3))
        b.op(op, [x, b.constant([0, 1, 0, 1]), b.constant([1, 1, 2, -1])], [y])
    elif op == "STRIDED_SLICE":
        y = new((1, 2, 2, 2))
        b.op(op, [x, *(b.constant(v) for v in ([0, 1, 0, 3], [1, -5, 3, -5], [1, -1, 2, -2]))], [y])
    elif op == "PACK":
        y = new((1, 2, 3, 2, 4))
        b.op(op, [x, x], [y], axis=3, valuesCount=2)
    elif op == "UNPACK":
        y = new((1, 2, 4))
        b.op(op, [x], [new((1, 2, 4)), y, new((1, 2, 4))], axis=-2, num=3)
    elif op == "TRANSPOSE":
        y = new((1, 4, 2, 3))
        b.op(op, [x, b.constant([0, 3, 1, 2])], [y])
    elif op == "GATHER":
        y = new((1, 2, 4, 4))
        b.op(op, [x, b.constant([2, 0, 0, 1])], [y], axis=2)
    elif op == "RESHAPE":
        y = new((6, 4))
        b.op(op, [x, b.constant([6, 4])], [y])
    elif op == "CONCATENATION":
        y = new((1, 2, 3, 8))
        b.op(op, [x, x], [y], axis=3)
    else:
        handle = b.tensor((), kind="RESOURCE", name="v")
        b.op("VAR_HANDLE", [], [handle], sharedName=b"v", container=b"")
        y = new(SHAPE)
        b.op("READ_VARIABLE", [handle], [y])
        b.op("ASSIGN_VARIABLE", [handle, x], [])
    return y


def _typed(kind: str, op: str) -> bytes:
    b = GraphBuilder()
    quantised = {"INT8": (0.5, 3), "INT16": (0.5, 0)}.get(kind, (None, 0))

    def new(shape: tuple[int, ...]) -> int:
        return b.tensor(shape, *quantised, kind)

    x = new(SHAPE)
    return b.build([x], [_operation(b, kind, op, x, new)])


_EVERY = set(nn.DTYPES)
_NUMBERS = {"INT8", "INT16", "INT32", "FLOAT32"}
# The types that tflite-micro runs each operation in; it refuses the others.
_RUN = {
    "PAD": _NUMBERS, "PADV2": _NUMBERS, "SQUEEZE": _EVERY, "EXPAND_DIMS": {"INT8", "INT16", "FLOAT32"},
    "SPLIT": _NUMBERS, "SPLIT_V": _NUMBERS, "SLICE": _NUMBERS | {"BOOL"}, "STRIDED_SLICE": _NUMBERS | {"BOOL"},
    "PACK": _NUMBERS | {"INT64"}, "UNPACK": _NUMBERS, "TRANSPOSE": {"INT8", "INT16", "FLOAT32"},
    "GATHER": {"INT8", "FLOAT32"}, "RESHAPE": _EVERY, "CONCATENATION": _EVERY - {"UINT8"}, "READ_VARIABLE": _EVERY,
}  # fmt: skip


def test_every_type() -> None:
    jobs, refused = [], 0
    for op, kinds in _RUN.items():
        for kind in sorted(_EVERY):
            data = _typed(kind, op)
            if kind not in kinds:
                with pytest.raises(UnsupportedModelError, match=f"{op} .*{kind}"):
                    compile_model(data, "m")
                refused += 1
                continue
            raw = np.random.default_rng(len(jobs)).integers(0, 2 if kind == "BOOL" else 100, (6, *SHAPE))
            jobs.append((f"{op} {kind}", data, compile_model(data, "m"), raw.astype(nn.DTYPES[kind])))
    assert (len(jobs), refused) == (70, 35)
    _check(jobs, "viper")


def _first_value(kind: str) -> Job:
    """A variable that CALL_ONCE sets to a constant, which its graph computes."""
    b = GraphBuilder()
    x, y = b.tensor(SHAPE, kind=kind), b.tensor(SHAPE, kind=kind)
    handle = b.tensor((), kind="RESOURCE", name="v")
    b.op("CALL_ONCE", [], [], initSubgraphIndex=1)
    b.op("VAR_HANDLE", [], [handle], sharedName=b"v", container=b"")
    b.op("READ_VARIABLE", [handle], [y])
    b.op("ASSIGN_VARIABLE", [handle, x], [])
    b.second_graph()
    values = np.random.default_rng(1).integers(0, 2, 24).astype(nn.DTYPES[kind])
    flat, shaped = b.tensor((24,), kind=kind, data=values), b.tensor(SHAPE, kind=kind)
    handle = b.tensor((), kind="RESOURCE", name="v")
    b.op("VAR_HANDLE", [], [handle], sharedName=b"v", container=b"")
    b.op("RESHAPE", [flat, b.constant(SHAPE)], [shaped])
    b.op("ASSIGN_VARIABLE", [handle, shaped], [])
    data = b.build([x], [y])
    inputs = np.random.default_rng(2).integers(0, 2, (6, *SHAPE)).astype(nn.DTYPES[kind])
    return f"first value {kind}", data, compile_model(data, "m"), inputs


def test_first_values() -> None:
    _check([_first_value(kind) for kind in sorted(_EVERY)], "viper")


def _stream(kind: str) -> Job:
    """The rows of before in front of the new ones, as a streaming model keeps them."""
    b = GraphBuilder()
    quantised = {"INT8": (0.5, 3), "INT16": (0.5, 0)}.get(kind, (None, 0))
    x, state, joined, kept = (b.tensor((1, rows, 3), *quantised, kind) for rows in (2, 4, 6, 4))
    handle = b.tensor((), kind="RESOURCE", name="v")
    b.op("VAR_HANDLE", [], [handle], sharedName=b"v", container=b"")
    b.op("READ_VARIABLE", [handle], [state])
    b.op("CONCATENATION", [state, x], [joined], axis=1)
    b.op("STRIDED_SLICE", [joined, *(b.constant(v) for v in ([0, 2, 0], [1, 6, 3], [1, 1, 1]))], [kept])
    b.op("ASSIGN_VARIABLE", [handle, kept], [])
    data = b.build([x], [joined])
    inputs = np.random.default_rng(3).integers(0, 2, (9, 1, 2, 3)).astype(nn.DTYPES[kind])
    return f"stream {kind}", data, compile_model(data, "m"), inputs


def test_streams_of_every_type() -> None:
    jobs = [_stream(kind) for kind in ("BOOL", "FLOAT32", "INT16", "INT32", "INT8")]
    for name, _, plan, _ in jobs:
        assert plan.ops[0].label == "stream", name
        assert sum(op.kind == "copy" for op in plan.ops) == 2, name  # the input comes in, the output goes out
    _check(jobs, "viper")


def _gather_at_run_time(batch_dims: int) -> tuple[bytes, NDArray[np.int32]]:
    """int32 indices as the input, a constant to pick from."""
    b = GraphBuilder()
    rng = np.random.default_rng(batch_dims)
    shape = (*(2, 3, 4)[:batch_dims], 3, 2)
    picks = b.tensor(shape, kind="INT32")
    rows = b.tensor((2, 3, 4, 5), 0.5, 1, data=rng.integers(-128, 128, (2, 3, 4, 5)).astype(np.int8))
    y = b.tensor(((2, 3, 4)[:batch_dims] + (2, 3)[batch_dims:2] + (3, 2) + (5,)), 0.5, 1)
    b.op("GATHER", [rows, picks], [y], axis=2, batchDims=batch_dims)
    return b.build([picks], [y]), rng.integers(0, 4, (20, *shape)).astype(np.int32)


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])
def test_indices_of_run_time(tier: str, bits: int) -> None:
    jobs = []
    for batch_dims in range(3):
        data, inputs = _gather_at_run_time(batch_dims)
        jobs.append((f"gather {batch_dims}", data, compile_model(data, "m"), inputs))
        assert [op.kind for op in jobs[-1][2].ops].count("gather") == 1
    _check(jobs, tier, bits)


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_wild_indices_are_clamped(tier: str) -> None:
    data, _ = _gather_at_run_time(0)
    wild = np.array([-(2**31), -1, 2**31 - 1, 4, 0, 3], np.int32).reshape(1, 3, 2)
    tame = np.array([0, 0, 3, 3, 0, 3], np.int32).reshape(1, 3, 2)
    plan = compile_model(data, "m")
    ours, clamped = nn.run_on_board([nn.BoardJob(plan, wild), nn.BoardJob(plan, tame)], tier)
    assert np.array_equal(ours.outputs, clamped.outputs)


def _hostile_base() -> bytes:
    """Copies in three dimensions and backwards, of 1, 2 and 4 bytes, a fill, and a gather."""
    b = GraphBuilder()
    x = b.tensor((1, 2, 3, 4), 0.5, 3)
    padded, turned, back, out = (
        b.tensor(s, 0.5, 3) for s in ((1, 4, 3, 5), (5, 3, 4, 1), (5, 3, 4, 1), (5, 2, 3, 4, 1))
    )
    b.op("PAD", [x, b.constant([[0, 0], [1, 1], [0, 0], [0, 1]])], [padded])
    b.op("TRANSPOSE", [padded, b.constant([3, 2, 1, 0])], [turned])
    bounds = [b.constant(v) for v in ([4, 0, 3, 0], [-6, 3, -5, 1], [-1, 1, -1, 1])]
    b.op("STRIDED_SLICE", [turned, *bounds], [back])
    b.op("GATHER", [back, b.constant([[0, 2, 1], [1, 1, 0]])], [out], axis=1)
    return b.build([x], [out])


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    """With the hash made right, what is loaded stays inside its arena."""
    plan = compile_model(_hostile_base(), "hostile")
    assert {op.kind for op in plan.ops} >= {"copy", "constant", "gather"}
    path = tmp_path / "plan"
    path.write_bytes(plan.blob)
    out = run_micropython(
        FIRMWARE_TESTS / "mp_nn_hostile.py", tier, path, 7, 20_000 if soak else 1500, timeout_s=3000
    )
    _, flipped, survived = map(int, out.split())
    print(f"\n{tier}: {flipped} flipped bytes refused, {survived} plans with a right hash ran inside their arena")
    assert survived > 50


def test_nothing_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    path.write_bytes(compile_model(_hostile_base(), "m").blob)
    for tier in ("bytecode", "viper"):
        out = run_micropython(FIRMWARE_TESTS / "mp_nn_alloc.py", tier, 50, path, heap="288k")
        assert int(out.split()[2]) == 0
