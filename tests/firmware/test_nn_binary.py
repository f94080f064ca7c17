"""Sums, differences and products on the board against tflite-micro, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bodydouble.compiler import Plan
from bodydouble.compiler.quantise import float32
from support import families
from support.families import Job
from support.tflite_build import GraphBuilder

LIMITS = {"INT8": (-128, 127), "INT16": (-32768, 32767)}


@pytest.mark.parametrize(
    ("tier", "bits", "seeds"),
    [
        ("viper", 64, range(40)),
        ("bytecode", 64, range(50, 60)),
        pytest.param("viper", 32, range(70, 80), marks=pytest.mark.micropython32),
        pytest.param("bytecode", 32, range(85, 88), marks=pytest.mark.micropython32),
    ],
)
def test_random_graphs(tier: str, bits: int, seeds: range, soak: bool) -> None:
    """Every tensor; with the operations that turn int8 into int16 and back, and those that move bytes."""
    if soak:
        seeds = range(seeds.start, seeds.start + 40 * len(seeds))
    assert families.check(families.graphs(seeds, ("binary", "binary", "unary")), tier, bits) > 1000


def _values(rng: np.random.Generator, kind: str, zero: int, shape: tuple[int, ...]) -> NDArray[np.generic]:
    # Uniform, extreme, and around the zero point.
    low, high = LIMITS[kind]
    x = rng.integers(low, high + 1, shape)
    if rng.random() < 0.3:
        x = rng.choice([low, high, low + 1, zero], shape)
    elif rng.random() < 0.3:
        x = np.clip(zero + rng.integers(-40, 40, shape), low, high)
    return x.astype(kind.lower())


def _shapes(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    # Of one to six dimensions, either side repeated along some.
    shape = [int(n) for n in rng.integers(1, 6, rng.integers(1, 7))]
    pair = []
    for _ in range(2):
        part = [1 if rng.random() < 0.3 else n for n in shape]
        while len(part) > 1 and part[0] == 1 and rng.random() < 0.5:
            part.pop(0)
        pair.append(tuple(part))
    return pair[0], pair[1]


def _zero(rng: np.random.Generator, kind: str, op: str) -> int:
    low, high = LIMITS[kind]
    if kind == "INT16":
        low, high = (0, 0) if op != "ADD" else (low + 2, high - 1)
    return int(rng.choice([low, high, 0, rng.integers(low, high + 1)]))


def _pairs(seed: int, count: int) -> list[Job]:
    """Scales far apart, zero points and activations at their ends, either operand repeated; one is a constant."""
    rng = np.random.default_rng(seed)
    jobs = []
    for number in range(count):
        op, kind = ("ADD", "SUB", "MUL")[number % 3], ("INT8", "INT16")[number // 3 % 2]
        shapes = _shapes(rng)
        scale = float32(2.0 ** rng.uniform(-12, 3))
        other = float32(scale * 2.0 ** rng.uniform(-10, 10)) if rng.random() < 0.8 else scale
        zeros = [_zero(rng, kind, op) for _ in range(3)]
        spread = (64 if kind == "INT8" else 1 << 13) * min(scale, other) if op == "MUL" else 1.0
        # At powers of 2 many a sum is a tie.
        power = rng.uniform(-2, 4) if rng.random() < 0.6 else rng.integers(-1, 3)
        out = float32(max(scale, other) * spread * 2.0**power)
        b = GraphBuilder()
        x = b.tensor(shapes[0], scale, zeros[0], kind)
        y = b.tensor(shapes[1], other, zeros[1], kind, _values(rng, kind, zeros[1], shapes[1]))
        z = b.tensor(np.broadcast_shapes(*shapes), out, zeros[2], kind)
        activation = int(rng.integers(0, 4)) if out > 1e-8 else 0  # TFLite refuses 6 / scale beyond 32 bits
        b.op(op, [x, y] if rng.random() < 0.5 else [y, x], [z], fusedActivationFunction=activation)
        values = np.stack([_values(rng, kind, zeros[0], shapes[0]) for _ in range(16)])
        jobs.append(families.job(f"{op} {kind} {shapes} {number}", b.build([x], [z]), values))
    return jobs


def _ties(seed: int) -> list[Job]:
    """Sums and differences of small numbers; the scales are powers of 2, so that every other one is a tie."""
    rng = np.random.default_rng(seed)
    jobs = []
    for op in ("ADD", "SUB"):
        for kind in LIMITS:
            for a, b_scale, out in ((1, 1, 2), (1, 0.5, 1), (0.5, 1, 4), (1, 0.25, 2)):
                b = GraphBuilder()
                data = rng.integers(-9, 10, (40, 1)).astype(kind.lower())
                x, y = b.tensor((20,), a, 0, kind), b.tensor((40, 1), b_scale, 0, kind, data)
                z = b.tensor((40, 20), out, 0, kind)
                b.op(op, [x, y], [z])
                values = np.arange(-10, 10).astype(kind.lower()).reshape(1, 20)
                jobs.append(families.job(f"{op} {kind} {a} {b_scale} {out}", b.build([x], [z]), values))
    return jobs


def _far() -> list[Job]:
    """int16 whose sums and products 31 bits just hold, scaled to little: rounding must not carry them over."""
    least, most = -32768, 32767
    # The product of the first two scales is 1 - 2**-31: the largest multiplier.
    near = 362 * 2.0**-24
    products = [("MUL", 1 - near, 1 + near, 2.0**k, 0, 0) for k in (29, 30, 31)]
    sums = [("ADD", 1.0, 2.0**-k, 0.99, least + 2, most - 1) for k in (0, 2.0001, 18.0001, 24.0001, 30.0001)]
    jobs = []
    for op, first, second, out, zero_x, zero_y in products + sums:
        b = GraphBuilder()
        ends = np.array([least, most], np.int16)
        x = b.tensor((2,), first, zero_x, "INT16")
        y = b.tensor((2, 1), second, zero_y, "INT16", ends.reshape(2, 1))
        z = b.tensor((2, 2), out, 0, "INT16")
        b.op(op, [x, y], [z])
        jobs.append(families.job(f"{op} {second} {out}", b.build([x], [z]), ends.reshape(1, 1, 2)))
    return jobs


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_ties(tier: str) -> None:
    families.check(_ties(1) + _far(), tier, trace=False)


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_scales_shapes_and_zero_points(tier: str, soak: bool) -> None:
    families.check(_pairs(1, 4000 if soak else 24), tier, trace=False)


@pytest.mark.micropython32
def test_scales_shapes_and_zero_points_on_32_bits() -> None:
    families.check(_ties(2) + _far() + _pairs(2, 24), "viper", 32, trace=False)


def test_limbs_on_64_bits(tmp_path: Path) -> None:
    families.check_limbs("binary_viper", _pairs(3, 24), tmp_path)


def _small_plans() -> list[Plan]:
    # Between them: every record of the family.
    rng = np.random.default_rng(1)
    plans = []
    for op in ("ADD", "MUL"):
        for kind in ("INT8", "INT16"):
            b = GraphBuilder()
            x = b.tensor((1, 2, 3), 0.1, 0, kind)
            y = b.tensor((2, 1), 0.03, 0, kind, _values(rng, kind, 0, (2, 1)))
            z = b.tensor((1, 2, 3), 0.1, 0, kind)
            b.op(op, [x, y], [z])
            plans.append(families.job("m", b.build([x], [z]), np.zeros(0))[2])
    return plans


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    assert families.check_hostile(_small_plans(), tier, tmp_path, 20_000 if soak else 150) > 20


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_nothing_is_allocated(tier: str, tmp_path: Path) -> None:
    families.check_heap(_small_plans(), tier, tmp_path)
