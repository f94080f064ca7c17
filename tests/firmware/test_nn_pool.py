"""Pooling and reductions on the board against tflite-micro, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bodydouble.compiler import Plan, compile_model
from support import families
from support.families import Job
from support.micropython import run_micropython
from support.tflite_build import GraphBuilder

FAMILIES = ("pool", "pool")


@pytest.mark.parametrize(
    ("tier", "bits", "seeds"),
    [
        ("viper", 64, range(30)),
        ("bytecode", 64, range(30, 45)),
        pytest.param("viper", 32, range(45, 57), marks=pytest.mark.micropython32),
        pytest.param("bytecode", 32, range(57, 61), marks=pytest.mark.micropython32),
    ],
)
def test_random_graphs(tier: str, bits: int, seeds: range, soak: bool) -> None:
    """Windows, strides, paddings, axes, scales and zero points of all kinds; every tensor is compared."""
    if soak:
        seeds = range(seeds.start, seeds.start + 60 * len(seeds))
    assert families.check(families.graphs(seeds, FAMILIES), tier, bits) > 3000


def _pool(kind: str, shape: tuple[int, ...], window: int, activation: int, op: str, zero: int = 0) -> bytes:
    b = GraphBuilder()
    x, y = b.tensor(shape, 0.03, zero, kind), b.tensor(shape, 0.03, zero, kind)
    options = {"filterHeight": 1, "filterWidth": window, "strideH": 1, "strideW": 1, "padding": 0}
    b.op(op, [x], [y], fusedActivationFunction=activation, **options)
    return b.build([x], [y])


def _reduction(
    kind: str, shape: tuple[int, ...], axes: list[int], op: str, ratio: float, zeros: tuple[int, int]
) -> bytes:
    b = GraphBuilder()
    out = tuple(n for i, n in enumerate(shape) if i not in axes)
    x, y = b.tensor(shape, 0.5 * ratio, zeros[0], kind), b.tensor(out, 0.5, zeros[1], kind)
    b.op(op, [x, b.constant(axes)], [y], keepDims=False)
    return b.build([x], [y])


def _values(rng: np.random.Generator, kind: str, shape: tuple[int, ...], count: int) -> NDArray[np.generic]:
    # Uniform, extreme, and around 0, where means tie.
    info = np.iinfo(kind.lower())
    x = rng.integers(info.min, info.max + 1, (count, *shape))
    x[1::3] = rng.choice([info.min, info.max], x[1::3].shape)
    x[2::3] = rng.integers(-2, 3, x[2::3].shape)
    return x.astype(kind.lower())


def _pools(seed: int, soak: bool) -> list[Job]:
    """Windows that the edges cut off to every smaller count: every divisor with its ties."""
    rng = np.random.default_rng(seed)
    jobs = []
    for kind in ("INT8", "INT16"):
        for window in range(1, 41) if soak else (1, 4, 11, 40):
            for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
                shape = (2, 3, 14, int(rng.integers(1, 20)))
                activation, zero = int(rng.integers(0, 4)), int(rng.integers(-128, 128))
                data = _pool(kind, shape, window, activation, op, zero)
                jobs.append(families.job(f"{op} {kind} {window}", data, _values(rng, kind, shape, 9)))
    return jobs


def _reductions(seed: int, soak: bool) -> list[Job]:
    """Counts of 1 to thousands, factors below and above 1, zero points at their ends."""
    rng = np.random.default_rng(seed)
    jobs = []
    for kind, low in (("INT8", -128), ("INT16", -32768)):
        for ratio in (2.0**-20, 1e-3, 0.5, 1.0, 1.7, 33.0) * (20 if soak else 1):
            for op in ("MEAN", "SUM"):
                shape = tuple(int(n) for n in rng.integers(1, 9, 4))
                axes = [int(axis) for axis in rng.permutation(4)[: rng.integers(1, 4)]]
                zeros = tuple(int(z) for z in rng.choice([low, -low - 1, 0, 5], 2))
                data = _reduction(kind, shape, axes, op, ratio, (zeros[0], zeros[1]))
                jobs.append(families.job(f"{op} {kind} {ratio:g}", data, _values(rng, kind, shape, 9)))
        shape = (1, 25, 100, 3)
        for op in ("MEAN", "SUM"):
            data = _reduction(kind, shape, [1, 2], op, 0.7, (5, 0))
            jobs.append(families.job(f"{op} {kind} of 2500", data, _values(rng, kind, shape, 6)))
    return jobs


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_divisors_and_factors(tier: str, soak: bool) -> None:
    families.check(_pools(1, soak) + _reductions(2, soak), tier, trace=False)


@pytest.mark.micropython32
def test_divisors_and_factors_on_32_bits(soak: bool) -> None:
    families.check(_pools(3, soak) + _reductions(4, soak), "viper", 32, trace=False)


def test_limbs_on_64_bits(tmp_path: Path) -> None:
    families.check_limbs("reduce_viper", _reductions(5, soak=False), tmp_path)


def _small_plans() -> list[Plan]:
    # Between them: every record of both families.
    small = [
        _pool("INT8", (2, 3, 4, 3), 2, 0, "AVERAGE_POOL_2D"),
        _pool("INT8", (1, 3, 4, 9), 3, 1, "MAX_POOL_2D"),
        _pool("INT16", (1, 3, 4, 2), 3, 1, "AVERAGE_POOL_2D"),
        _reduction("INT8", (2, 3, 4, 2), [0, 2], "MEAN", 0.5, (3, 4)),
        _reduction("INT16", (2, 3, 4, 2), [1, 3], "SUM", 0.5, (3, 4)),
        _reduction("INT8", (2, 3, 4, 2), [1], "REDUCE_MAX", 1.0, (3, 3)),
    ]
    b = GraphBuilder()
    x, y = b.tensor((3, 4), 0.5), b.tensor((3,), kind="INT32")
    b.op("ARG_MAX", [x, b.constant(1)], [y], outputType=2)
    return [compile_model(data, "m") for data in [*small, b.build([x], [y])]]


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    assert families.check_hostile(_small_plans(), tier, tmp_path, 10_000 if soak else 200) > 50


_CHECK = """
from coproc.nn.check import Checker, PlanError
from coproc.nn.check_pool import CHECKS
for channels, first, fits in ((1, 56, 1), (1, 57, 0), (8, 56, 1), (9, 48, 1), (9, 49, 0)):
    for _, check in CHECKS[:2]:
        try:
            check(Checker(b"", 64, 1), (0, first, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, channels, 0, 255, 32), 0)
            assert fits, (channels, first)
        except PlanError:
            assert not fits, (channels, first)
"""


def test_what_is_read_behind_the_channels_counts() -> None:
    """Kernels of bytes do eight channels at a time: the check sees to it that they are in the arena."""
    run_micropython(_CHECK)


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_nothing_is_allocated(tier: str, tmp_path: Path) -> None:
    families.check_heap(_small_plans(), tier, tmp_path)


@pytest.mark.micropython32
def test_nothing_is_allocated_on_32_bits(tmp_path: Path) -> None:
    families.check_heap(_small_plans(), "viper", tmp_path, 32)
