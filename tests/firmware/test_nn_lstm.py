"""LSTMs on the board against tflite-micro, bit for bit, inference after inference; loops in hostile plans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodydouble.compiler import Plan, UnsupportedModelError, compile_model
from support import families
from support.graph_lstm import lstm
from support.graphs import RandomGraph, Value
from support.micropython import run_micropython

FAMILIES = ("lstm", "lstm")


def model(seed: int, kind: str = "INT8", shape: tuple[int, ...] = (1, 5, 6)) -> bytes:
    """One LSTM and nothing else."""
    g = RandomGraph(seed)
    x = g.new(shape, 0.0001 if kind == "INT16" else 0.05, 0 if kind == "INT16" else 7, kind)
    y = lstm(g, Value(x.index, x.shape, x.scale, x.zero, kind))
    return g.b.build([x.index], [y.index])


def _jobs(seeds: range, kind: str, inferences: int = 8) -> list[families.Job]:
    jobs = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        shape = (1, int(rng.integers(1, 8)), int(rng.integers(1, 20)))
        low, high = (-128, 127) if kind == "INT8" else (-32768, 32767)
        x = rng.integers(low, high + 1, (inferences, *shape)).astype(kind.lower())
        jobs.append(families.job(f"{kind} {seed}", model(seed, kind, shape), x))
    return jobs


@pytest.mark.parametrize("kind", ["INT8", "INT16"])
@pytest.mark.parametrize(
    ("tier", "bits", "count"),
    [("viper", 64, 30), ("bytecode", 64, 10), pytest.param("viper", 32, 10, marks=pytest.mark.micropython32)],
)
def test_layers(kind: str, tier: str, bits: int, count: int, soak: bool) -> None:
    """Sizes, orders, scales, clips; the state goes on, and starts afresh after a reset."""
    jobs = _jobs(range(count * 30 if soak else count), kind)
    assert families.check(jobs, tier, bits, resets=(5,)) > count * 50


@pytest.mark.parametrize(("tier", "seeds"), [("viper", range(24)), ("bytecode", range(24, 32))])
def test_random_graphs(tier: str, seeds: range, soak: bool) -> None:
    if soak:
        seeds = range(seeds.start, seeds.start + 40 * len(seeds))
    families.check(families.graphs(seeds, FAMILIES, inferences=8), tier, resets=(4,))


def test_limbs_on_64_bits(tmp_path: Path) -> None:
    families.check_limbs("lstm_viper", _jobs(range(100, 120), "INT8"), tmp_path)


def _small_plans() -> list[Plan]:
    return [compile_model(model(seed, kind, (1, 3, 4)), "m") for seed, kind in ((1, "INT8"), (2, "INT16"))]


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    """A loop's count, its records, and the places that they work out from it."""
    assert families.check_hostile(_small_plans(), tier, tmp_path, 10_000 if soak else 150) > 20


_CALLS = """
import struct
from coproc.nn.check import MACS_MAX, Checker, PlanError
from coproc.nn.check_lstm import CHECKS
moves = 64 * [8 << 16 | 0x91, 0, 0, 4, 0, 1, 8, 1]
rounds = MACS_MAX // (64 * (64 + 1)) - 1
for times, fits in ((rounds, True), (2 * rounds, False)):
    words = [(3 + len(moves)) << 16 | 0x90, times, 8] + moves
    blob = struct.pack("<%dI" % len(words), *words)
    try:
        CHECKS[0][1](Checker(blob, 16, 1), words, 0)
        assert fits, times
    except PlanError as error:
        assert not fits and "steps" in str(error), error
"""


def test_a_loop_of_small_records_is_counted_by_its_calls() -> None:
    """64 records that move a byte each take the time of their calls."""
    run_micropython(_CALLS)


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_nothing_is_allocated(tier: str, tmp_path: Path) -> None:
    families.check_heap(_small_plans(), tier, tmp_path)


@pytest.mark.micropython32
def test_nothing_is_allocated_on_32_bits(tmp_path: Path) -> None:
    families.check_heap(_small_plans(), "viper", tmp_path, 32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"activation": 3}, "has another activation than tanh"),
        ({"peephole": True}, "has peepholes"),
        ({"batch": 2}, "has batch 2; only batch 1 runs"),
    ],
)
def test_refusals(change: dict[str, int], words: str) -> None:
    g = RandomGraph(1)
    x = g.new((change.get("batch", 1), 3, 4), 0.05, 7)
    y = lstm(g, x)
    op = g.b.graphs[0].operators[-1]
    if "activation" in change:
        op.builtinOptions.fusedActivationFunction = change["activation"]
    if "peephole" in change:
        op.inputs[9] = op.inputs[1]
    if "batch" in change:
        op.builtinOptions.timeMajor = False
        op.inputs[0] = x.index
    with pytest.raises(UnsupportedModelError, match=words):
        compile_model(g.b.build([x.index], [y.index]), "m")
