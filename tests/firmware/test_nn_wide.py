"""Sums of products of int16 and int8 on the board against tflite-micro, bit for bit; transposed, grouped ones too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bodydouble.compiler import Plan, compile_model
from support import families
from support.families import Job
from support.graph_wide import WideGraph
from support.tflite_build import GraphBuilder


def _graphs(seeds: range) -> list[Job]:
    jobs = []
    for seed in seeds:
        graph = WideGraph(seed)
        data = graph.build()
        plan = compile_model(data, f"graph {seed}")
        jobs.append((f"graph {seed}", data, plan, graph.inputs(plan.input.shape, plan.input.type, 6)))
    return jobs


@pytest.mark.parametrize(
    ("tier", "bits", "seeds"),
    [
        ("viper", 64, range(60)),
        ("bytecode", 64, range(60, 80)),
        pytest.param("viper", 32, range(80, 100), marks=pytest.mark.micropython32),
        pytest.param("bytecode", 32, range(100, 104), marks=pytest.mark.micropython32),
    ],
)
def test_random_graphs(tier: str, bits: int, seeds: range, soak: bool) -> None:
    """Batches, groups, strides, paddings, types of weights and biases; every tensor is compared."""
    if soak:
        seeds = range(seeds.start, seeds.start + 40 * len(seeds))
    assert families.check(_graphs(seeds), tier, bits) > 3000


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_among_other_operations(tier: str, soak: bool) -> None:
    """int8 ones, streaming too, whose batches, groups and phases meet views, slots and state."""
    seeds = range(100, 1100 if soak else 120)
    assert families.check(families.graphs(seeds, ("wide", "wide")), tier, resets=(4,)) > 3000


def _dense(
    kind: str,
    weights: NDArray[np.int8],
    factor: float,
    biases: NDArray[np.generic] | None = None,
    activation: int = 0,
    **options: int,
) -> bytes:
    b = GraphBuilder()
    channels, depth = weights.shape
    x, w = b.tensor((1, depth), 0.037, 0, kind), b.tensor(weights.shape, [0.0173], 0, data=weights)
    product = float(np.float32(0.037)) * float(np.float32(0.0173))
    bias = []
    if biases is not None:
        bias = [b.tensor((channels,), float(np.float32(product)), 0, biases.dtype.name.upper(), biases)]
    y = b.tensor((1, channels), float(np.float32(product / factor)), 0, kind)
    b.op("FULLY_CONNECTED", [x, w, *bias], [y], fusedActivationFunction=activation, **options)
    return b.build([x], [y])


def _requantisation() -> list[Job]:
    """Models whose sums are their biases: factors from 2**-23 to 100 on sums at and around ties."""
    rng = np.random.default_rng(3)
    jobs = []
    for kind, bias, reach, top in (("INT16", "int64", 33000, 1 << 44), ("INT16", "int32", 33000, 1 << 30)):
        for number in range(34):
            factor = float(2.0 ** (6 - number) * rng.uniform(0.5, 1))
            limit = min(top, (1 << 29) / factor, (1 << 30) / max(factor, 1) / 2)
            ties = (rng.integers(-reach, reach, 300) + 0.5) / factor + rng.integers(-2, 3, 300)
            sums = np.concatenate([ties, rng.uniform(-1, 1, 200) * limit, [limit, -limit, 0, 1, -1, 65535, -65536]])
            biases = np.clip(np.floor(sums), -limit, limit).astype(bias)
            data = _dense(kind, np.zeros((len(biases), 1), np.int8), factor, biases, number % 3 == 2)
            jobs.append(families.job(f"{bias} times {factor:g}", data, np.array([[[-32768]], [[7]]], np.int16)))
    ends = np.arange(300, dtype=np.int64) ** 2
    for shift in (0, 1, 7, 16, 22, 27, 30, 31):  # sums that 31 bits just hold: rounding must not carry them over
        biases = np.concatenate([2**31 - 1 - ends, ends - 2**31 + 1]).astype(np.int32)
        data = _dense("INT16", np.zeros((len(biases), 1), np.int8), 0.99999 * 2.0**-shift, biases)
        jobs.append(families.job(f"31 bits by {shift}", data, np.array([[[7]]], np.int16)))
    return jobs


def _long_sums() -> list[Job]:
    """Sums that pass 32 bits on the way, and those that do not quite."""
    rng = np.random.default_rng(4)
    jobs = []
    for depth in (1, 7, 127, 128, 129, 257, 4000, 32760):
        extremes = rng.choice(np.array([-128, 127], np.int8), (4, depth))
        weights = np.concatenate([extremes, np.full((1, depth), -128, np.int8), np.full((1, depth), 127, np.int8)])
        inputs = rng.integers(-32768, 32768, (6, 1, depth))
        inputs[0], inputs[1], inputs[2] = -32768, 32767, np.where(weights[0] < 0, -32768, 32767)
        data = _dense("INT16", weights, 0.2 / depth)
        jobs.append(families.job(f"{depth} in 48 bits", data, inputs.astype(np.int16)))
        if depth <= 257:
            data = _dense("INT16", weights, 0.2 / depth, quantizedBiasType=2)
            jobs.append(families.job(f"{depth} in 32 bits", data, inputs.astype(np.int16)))
    return jobs


def _scales() -> list[Job]:
    """Dense layers of int8 whose sums lie so close to ties that the product of scales must be that of doubles."""
    rng = np.random.default_rng(5)
    jobs = []
    for number in range(8):
        factor = float(2.0**-20 * rng.uniform(0.5, 1))
        sums = np.round((rng.integers(-120, 120, 400) + 0.5) / factor) + rng.integers(-3, 4, 400)
        data = _dense("INT8", np.zeros((400, 1), np.int8), factor, sums.astype(np.int32))
        jobs.append(families.job(f"scale {number}", data, np.zeros((1, 1, 1), np.int8)))
    return jobs


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_every_factor_and_long_sums(tier: str) -> None:
    families.check(_requantisation() + _long_sums() + _scales(), tier, trace=False)


@pytest.mark.micropython32
def test_every_factor_and_long_sums_on_32_bits() -> None:
    families.check(_requantisation() + _long_sums(), "viper", 32, trace=False)


def test_limbs_on_64_bits(tmp_path: Path) -> None:
    families.check_limbs("wide_viper", _requantisation() + _long_sums() + _graphs(range(200, 215)), tmp_path)


def _small_plans() -> list[Plan]:
    # Between them: both records, both ways to round, one piece and several, a tail of channels.
    rng = np.random.default_rng(6)
    b = GraphBuilder()
    x, y, z = (b.tensor((1, 4, 3, 5), scale, 0, "INT16") for scale in (0.01, 0.2, 1.0))
    for source, out, op, shape, dimension in (
        (x, y, "CONV_2D", (5, 2, 2, 5), 0),
        (y, z, "DEPTHWISE_CONV_2D", (1, 2, 2, 5), 3),
    ):
        w = b.tensor(shape, [0.01] * 5, 0, data=rng.integers(-127, 128, shape).astype(np.int8), dimension=dimension)
        more = {} if dimension == 0 else {"depthMultiplier": 1}
        b.op(op, [source, w], [out], strideW=1, strideH=1, padding=0, **more)
    biases = np.arange(-2, 3, dtype=np.int32)
    small = [b.build([x], [z]), _dense("INT16", rng.integers(-9, 9, (5, 3)).astype(np.int8), 0.01, biases)]
    return [compile_model(data, "m") for data in small]


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    assert families.check_hostile(_small_plans(), tier, tmp_path, 20_000 if soak else 400) > 30


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_nothing_is_allocated(tier: str, tmp_path: Path) -> None:
    families.check_heap(_small_plans(), tier, tmp_path)


@pytest.mark.micropython32
def test_nothing_is_allocated_on_32_bits(tmp_path: Path) -> None:
    families.check_heap(_small_plans(), "viper", tmp_path, 32)
