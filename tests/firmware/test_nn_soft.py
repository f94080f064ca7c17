"""Softmax on the board against tflite-micro, bit for bit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bodydouble.compiler import Plan, compile_model
from support import families
from support.families import Job
from support.micropython import run_micropython
from support.tflite_build import GraphBuilder

FAMILIES = ("pool", "soft", "soft")
TYPES = (("INT8", "INT8"), ("INT8", "INT16"), ("INT16", "INT16"))


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
    """Scales, betas and depths of all kinds; every tensor is compared."""
    if soak:
        seeds = range(seeds.start, seeds.start + 60 * len(seeds))
    assert families.check(families.graphs(seeds, FAMILIES), tier, bits) > 3000


def _softmax(kinds: tuple[str, str], shape: tuple[int, ...], scale: float, beta: float = 1.0, zero: int = 0) -> bytes:
    b = GraphBuilder()
    out = {("INT8", "INT8"): (2**-8, -128), ("INT8", "INT16"): (2**-16, -32768), ("INT16", "INT16"): (2**-15, 0)}
    x = b.tensor(shape, scale, zero, kinds[0])
    y = b.tensor(shape, *out[kinds], kinds[1])
    b.op("SOFTMAX", [x], [y], beta=beta)
    return b.build([x], [y])


def _every_difference() -> list[Job]:
    """Rows of two: every difference of two bytes; of two int16 every one, in steps that cover both curves."""
    jobs = []
    apart = np.arange(256)
    pairs = np.stack([np.full(256, 127), 127 - apart], 1).astype(np.int8)
    for scale in (3e-8, 1e-5, 1e-3, 0.01, 0.0625, 0.1, 0.3, 1.0, 4.0, 31.0, 1e6):
        for to in ("INT8", "INT16"):
            data = _softmax(("INT8", to), (256, 2), scale)
            jobs.append(families.job(f"{to} {scale:g}", data, pairs[None]))
    apart = np.arange(65536)
    wide = np.stack([np.full(65536, 32767), 32767 - apart], 1).astype(np.int16)
    for scale in (10 / 65535, 1e-6, 3e-4, 0.01):
        data = _softmax(("INT16", "INT16"), (65536, 2), scale)
        jobs.append(families.job(f"INT16 {scale:g}", data, wide[None]))
    return jobs


def test_every_difference() -> None:
    assert families.check(_every_difference(), "viper", trace=False) > 500_000


def _depths(seed: int, largest: int) -> list[Job]:
    """From 1 class to `largest`, alike and apart, with betas: every reciprocal that a sum can ask for, in samples."""
    rng = np.random.default_rng(seed)
    jobs = []
    for kinds in TYPES:
        low, high = (-128, 127) if kinds[0] == "INT8" else (-32768, 32767)
        for depth in (1, 2, 3, 7, 12, 64, 255, 511, 1000, 4095):
            if depth > min(largest, 511 if kinds == ("INT8", "INT8") else 4095):
                continue
            scale = float(rng.choice([1e-4, 0.02, 0.1, 0.7])) / (256 if kinds[0] == "INT16" else 1)
            data = _softmax(kinds, (2, depth), scale, float(rng.choice([0.3, 1.0, 3.0])))
            x = rng.integers(low, high + 1, (6, 2, depth))
            x[1::3] = rng.choice([low, high], x[1::3].shape)
            x[2::3] = rng.integers(low, high + 1, (2, 2, 1))
            jobs.append(families.job(f"{kinds} {depth}", data, x.astype(kinds[0].lower())))
    return jobs


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_every_depth(tier: str) -> None:
    families.check(_depths(1, 4095), tier, trace=False)


@pytest.mark.micropython32
def test_every_depth_on_32_bits() -> None:
    families.check(_depths(2, 1000), "viper", 32, trace=False)


def test_limbs_on_64_bits(tmp_path: Path) -> None:
    families.check_limbs("soft_viper", _depths(3, 4095), tmp_path)


def _small_plans() -> list[Plan]:
    return [compile_model(_softmax(kinds, (2, 3), 0.1), "m") for kinds in TYPES]


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    assert families.check_hostile(_small_plans(), tier, tmp_path, 10_000 if soak else 150) > 50


_CHECK = """
import struct
from coproc.nn.check import Checker, PlanError
from coproc.nn.check_soft import CHECKS
one = 0x7FFFFFFF
for depth, item, first, other, fits in (
    (511, 1, one, one, 1), (512, 1, one, one, 0), (4095, 2, one, 0, 1), (4096, 2, one, 0, 0), (9, 3, one, 0, 0),
    (9, 0, one, 0, 0), (9, 1, one - 1, 0, 0), (9, 1, 0, one, 0), (9, 1, one, one + 1, 0),
):
    table = struct.pack("<256I", first, *([0] * 254), other)
    try:
        CHECKS[0][1](Checker(table, 1 << 16, 1), (0, 0, 8192, 1, depth, item, 0), 0)
        assert fits, (depth, item, first, other)
    except PlanError:
        assert not fits, (depth, item, first, other)
"""


def test_sums_that_would_not_end_are_refused() -> None:
    """The reciprocal is found by shifting the sum up: it must be there, and must not overflow."""
    run_micropython(_CHECK)


_APART = """
import struct
from coproc.nn.check import Checker, PlanError
from coproc.nn.check_soft import CHECKS
table = struct.pack("<256I", *([0x7FFFFFFF] * 256))
for source, to, item, fits in (
    (0, 64, 1, 1), (0, 63, 1, 0), (0, 0, 1, 0), (64, 0, 1, 1), (64, 2, 2, 0), (128, 0, 2, 1),
):
    try:
        CHECKS[0][1](Checker(table, 1 << 16, 1), (0, source, to, 2, 32, item, 0), 0)
        assert fits, (source, to, item)
    except PlanError:
        assert not fits, (source, to, item)
"""


def test_a_softmax_over_what_it_reads_is_refused() -> None:
    """Bytes index the table by how far they lie below their row's largest, which must not change."""
    run_micropython(_APART)


_CURVES = """
import struct
from coproc.nn import soft_bytecode, soft_viper
values = 8
# Behind each curve lies what no result may show.
curve = struct.pack("<513H", *([21845] * 513)) + bytes(3 * 256 * 256)
def run(kernels, to, shift):
    record = struct.pack("<9I", 0, 0, to, 1, values, 0x7FFFFFFF, shift, 36, 36)
    arena = bytearray(struct.pack("<16h", -32768, *range(15)))
    kernels.softmax16(arena, bytearray(record + curve), 0)
    return arena
for to in (0, 2, 32 - 2 * values):
    assert run(soft_viper, to, 0) == run(soft_bytecode, to, 0), to
run(soft_viper, 16, 62)
"""


@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])
def test_curves_are_not_left(bits: int) -> None:
    """Neither by an output over the input, nor by a shift that overflows."""
    run_micropython(_CURVES, bits=bits)


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_nothing_is_allocated(tier: str, tmp_path: Path) -> None:
    families.check_heap(_small_plans(), tier, tmp_path)


@pytest.mark.micropython32
def test_nothing_is_allocated_on_32_bits(tmp_path: Path) -> None:
    families.check_heap(_small_plans(), "viper", tmp_path, 32)


@pytest.mark.parametrize(
    "name", ["models/micro_speech_quantized", "models/audio_example1", "mlperf_tiny/kws_ref_model"]
)
def test_models(name: str) -> None:
    """Whole models with pooling and softmax, every tensor, where the data is at hand."""
    path = Path(os.environ.get("BODYDOUBLE_DATA", ""), f"{name}.tflite")
    if not path.exists():
        pytest.skip("set BODYDOUBLE_DATA to a folder with models and mlperf_tiny")
    data = path.read_bytes()
    plan = compile_model(data, name)
    x = np.random.default_rng(7).normal(-60, 40, (4, *plan.input.shape)).clip(-128, 127).astype(np.int8)
    families.check([(name, data, plan, x)], "viper")
