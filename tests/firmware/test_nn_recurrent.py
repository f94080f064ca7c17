"""Operations with a state of their own on the board against tflite-micro, bit for bit, inference after inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodydouble.compiler import Plan, compile_model
from support import families
from support.micropython import run_micropython
from support.tflite_build import GraphBuilder

FAMILIES = ("recurrent", "recurrent")


@pytest.mark.parametrize(
    ("tier", "bits", "seeds"),
    [
        ("viper", 64, range(24)),
        ("bytecode", 64, range(24, 36)),
        pytest.param("viper", 32, range(36, 46), marks=pytest.mark.micropython32),
        pytest.param("bytecode", 32, range(46, 50), marks=pytest.mark.micropython32),
    ],
)
def test_random_graphs(tier: str, bits: int, seeds: range, soak: bool) -> None:
    """Ranks, memories, batches, states of both types; with a reset on the way."""
    if soak:
        seeds = range(seeds.start, seeds.start + 60 * len(seeds))
    jobs = families.graphs(seeds, FAMILIES, inferences=16)
    assert families.check(jobs, tier, bits, resets=(10,)) > 3000


def _svdf(kind: str, units: int, rank: int, memory: int, inputs: int) -> bytes:
    rng = np.random.default_rng(units)
    b = GraphBuilder()
    x, y = b.tensor((1, inputs), 0.1, 3), b.tensor((1, units), 0.4, -5)
    feature = rng.integers(-127, 128, (units * rank, inputs)).astype(np.int8)
    time = rng.integers(-127, 128, (units * rank, memory)).astype(kind.lower())
    scale = 0.05 if kind == "INT8" else 0.0002
    weights = b.tensor(feature.shape, 0.01, data=feature), b.tensor(time.shape, 0.01, 0, kind, time)
    bias = b.tensor((units,), 0.01 * scale, 0, "INT32", rng.integers(-999, 999, units).astype(np.int32))
    state = b.tensor((1, memory * units * rank), scale, 0, kind, variable=True)
    b.op("SVDF", [x, *weights, bias, state], [y], rank=rank)
    return b.build([x], [y])


def test_limbs_on_64_bits(tmp_path: Path) -> None:
    families.check_limbs("recurrent_viper", families.graphs(range(200, 230), FAMILIES), tmp_path)


def _small_plans() -> list[Plan]:
    return [compile_model(_svdf(*sizes), "m") for sizes in (("INT8", 3, 2, 4, 5), ("INT16", 2, 1, 1, 9))]


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    assert families.check_hostile(_small_plans(), tier, tmp_path, 10_000 if soak else 200) > 30


_CHECK = """
from coproc.nn.check import Checker, PlanError
from coproc.nn.check_recurrent import CHECKS
# from, to, state; units, rank, memory, inputs; feature, biases, ...: each at the last place where it fits: 64 bytes
# of arena and 128 of plan
fits = (0, 59, 62, 40, 2, 2, 3, 5, 108, 112, 1 << 30, 31, 127, 104, 120, 1 << 30, 62, 255)
steps = {1: 1, 2: 1, 3: 2, 8: 1, 9: 4, 13: 2, 14: 4, 10: 1 << 30, 11: 32, 12: 32767, 15: 1 << 30, 16: 1, 17: 1}
checker = Checker(bytes(128), 64, 1)
CHECKS[0][1](checker, fits, 0)
for index, step in steps.items():
    p = list(fits)
    p[index] += step
    try:
        CHECKS[0][1](checker, p, 0)
        raise SystemExit("%d of word %d was taken" % (p[index], index))
    except PlanError:
        pass
"""


def test_every_limit_is_checked() -> None:
    run_micropython(_CHECK)


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_nothing_is_allocated(tier: str, tmp_path: Path) -> None:
    families.check_heap(_small_plans(), tier, tmp_path)


@pytest.mark.micropython32
def test_nothing_is_allocated_on_32_bits(tmp_path: Path) -> None:
    families.check_heap(_small_plans(), "viper", tmp_path, 32)
