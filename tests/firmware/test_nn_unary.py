"""Operations on single numbers on the board against tflite-micro, bit for bit; what floats become."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bodydouble.compiler import Plan, compile_model
from bodydouble.compiler.quantise import float32
from support import families, nn
from support.families import Job
from support.tflite_build import GraphBuilder

FAMILIES = ("unary", "unary")
LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}


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
    """Every tensor, between convolutions and moves of bytes: what joins them is among it."""
    if soak:
        seeds = range(seeds.start, seeds.start + 40 * len(seeds))
    assert families.check(families.graphs(seeds, FAMILIES), tier, bits) > 1000


def _model(
    op: str, kind: str, scale: float, zero: int, out_kind: str, out_scale: float, out_zero: int, **options: Any
) -> bytes:
    b = GraphBuilder()
    x = b.tensor((1, 512), None if kind == "FLOAT32" else scale, zero, kind)
    y = b.tensor((1, 512), None if out_kind == "FLOAT32" else out_scale, out_zero, out_kind)
    b.op(op, [x], [y], **options)
    return b.build([x], [y])


def _zero(rng: np.random.Generator, kind: str) -> int:
    low, high = LIMITS[kind]
    return int(rng.choice([low, high, (low + high + 1) // 2, rng.integers(low, high + 1)]))


def _integers(rng: np.random.Generator, kind: str, zero: int) -> NDArray[np.generic]:
    # Uniform, extreme, and around the zero point.
    low, high = LIMITS[kind]
    x = rng.integers(low, high + 1, (4, 1, 512))
    x[1] = rng.choice([low, low + 1, high, zero], x[1].shape)
    x[2] = np.clip(zero + rng.integers(-300, 300, x[2].shape), low, high)
    return x.astype(kind.lower())


def _floats(rng: np.random.Generator, kind: str, scale: float, zero: int) -> NDArray[np.generic]:
    # All around the ties, one float off them, small and large, subnormal.
    low, high = LIMITS[kind]
    steps = rng.integers(low - zero - 5, high - zero + 6, (8, 1, 512)) + rng.choice([0, 0.5, -0.5, 0.25], (8, 1, 512))
    x = (steps.astype(np.float32) * np.float32(scale)).astype(np.float32)
    x[1:4] = np.nextafter(x[1:4], rng.choice([np.float32(-np.inf), np.float32(np.inf)], x[1:4].shape))
    x[4] *= rng.uniform(0, 1, x[4].shape).astype(np.float32)
    x[5] = (rng.normal(0, 1, x[5].shape) * scale * 2.0 ** rng.uniform(-60, 12, x[5].shape)).astype(np.float32)
    x[6] = rng.integers(0, 1 << 23, x[6].shape).astype(np.uint32).view(np.float32)
    return x


def _rescales(seed: int, count: int) -> list[Job]:
    """int16 to all types by factors of all sizes; zero points that no random graph has."""
    rng = np.random.default_rng(seed)
    jobs = []
    for number in range(count):
        op, out_kind = [
            ("QUANTIZE", "INT8"), ("QUANTIZE", "INT16"), ("QUANTIZE", "INT32"), ("LEAKY_RELU", "INT16"),
            ("RELU6", "INT16"), ("DEQUANTIZE", "FLOAT32"),
        ][number % 6]  # fmt: skip
        zero = _zero(rng, "INT16")
        out_zero = _zero(rng, out_kind) if out_kind in LIMITS else 0
        scale = float32(2.0 ** rng.uniform(-14, 4))
        wide = 8 if out_kind == "INT8" else 0
        out_scale = float32(scale * 2.0 ** (wide + rng.uniform(-6, 8))) if rng.random() < 0.8 else scale
        options = {"alpha": float(rng.uniform(-2, 2))} if op == "LEAKY_RELU" else {}
        data = _model(op, "INT16", scale, zero, out_kind, out_scale, out_zero, **options)
        jobs.append(families.job(f"{op} {out_kind} {number}", data, _integers(rng, "INT16", zero)))
    return jobs


def _from_floats(seed: int, count: int) -> list[Job]:
    rng = np.random.default_rng(seed)
    jobs = []
    for number in range(count):
        kind = ("INT8", "INT16")[number % 2]
        scale, zero = float32(2.0 ** rng.uniform(-16, 6)), _zero(rng, kind)
        data = _model("QUANTIZE", "FLOAT32", 0, 0, kind, scale, zero)
        jobs.append(families.job(f"float to {kind} {scale!r} {zero}", data, _floats(rng, kind, scale, zero)))
    return jobs


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_factors_and_zero_points(tier: str, soak: bool) -> None:
    families.check(_rescales(1, 3000 if soak else 36) + _from_floats(2, 1500 if soak else 24), tier, trace=False)


@pytest.mark.micropython32
def test_factors_and_zero_points_on_32_bits() -> None:
    families.check(_rescales(3, 24) + _from_floats(4, 12), "viper", 32, trace=False)


def test_limbs_on_64_bits(tmp_path: Path) -> None:
    families.check_limbs("unary_viper", _rescales(5, 24), tmp_path)


@pytest.mark.parametrize(("tier", "bits"), [("viper", 64), ("bytecode", 64)])
@pytest.mark.parametrize("kind", ["INT8", "INT16"])
def test_floats_beyond_the_type(kind: str, tier: str, bits: int) -> None:
    """Where C leaves the conversion undefined: the type's ends; NaN is as good as 0."""
    low, high = LIMITS[kind]
    scale, zero = 0.25, -7
    large = [3e38, 1e30, 2.0**62, 2.0**33, 2.0**31, 2.0**20, float("inf")]
    x = np.array([*large, *(-value for value in large), float("nan"), -float("nan"), 0.0, -0.0], np.float32)
    nans = np.array([0x7F800001, 0xFFC00000, 0x7FFFFFFF, 0xFF800001], np.uint32).view(np.float32)
    x = np.concatenate([x, nans, np.zeros(512 - len(x) - len(nans), np.float32)])
    plan = compile_model(_model("QUANTIZE", "FLOAT32", 0, 0, kind, scale, zero), "m")
    (run,) = nn.run_on_board([nn.BoardJob(plan, x.reshape(1, 1, 512))], tier, bits)
    count = len(large)
    expected = [high] * count + [low] * count + [zero] * (512 - 2 * count)
    assert run.outputs.reshape(-1).tolist() == expected


@pytest.mark.parametrize("name", ["tflite_micro_magic_wand", "keyword_spotting", "autoencoder_example"])
def test_models_of_float_inputs_and_outputs(name: str) -> None:
    """Every tensor of published models: where the data is at hand."""
    data = os.environ.get("BODYDOUBLE_DATA")
    path = Path(data or "", "models", f"{name}.tflite")
    if not data or not path.exists():
        pytest.skip("set BODYDOUBLE_DATA to a folder with models/*.tflite")
    rng = np.random.default_rng(8)
    plan = compile_model(path.read_bytes(), name)
    x = np.stack([rng.normal(0, 10.0**power, plan.input.shape) for power in (-2, -1, 0, 1, 2, 3)])
    families.check([(name, path.read_bytes(), plan, x.astype(np.float32))], "viper")


def _small_plans() -> list[Plan]:
    # Between them: every record of the family.
    b = GraphBuilder()
    x = b.tensor((1, 5), kind="FLOAT32")
    kinds = [("INT8", 0.1, 3), ("INT16", 2.0**-12, 0), ("INT16", 2.0**-15, 0), ("INT16", 0.01, 0)]
    tensors = [x, *(b.tensor((1, 5), scale, zero, kind) for kind, scale, zero in kinds)]
    tensors.append(b.tensor((1, 5), kind="FLOAT32"))
    for op, source, target in zip(
        ("QUANTIZE", "QUANTIZE", "TANH", "QUANTIZE", "DEQUANTIZE"), tensors, tensors[1:], strict=False
    ):
        b.op(op, [source], [target])
    chain = b.build([x], [tensors[-1]])
    b = GraphBuilder()
    x, y, z = b.tensor((1, 3), 0.1), b.tensor((1, 3), 0.1, kind="INT16"), b.tensor((1, 3), 0.02, kind="INT32")
    b.op("QUANTIZE", [x], [y])
    b.op("QUANTIZE", [y], [z])
    return [compile_model(data, "m") for data in (chain, b.build([x], [z]))]


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    assert families.check_hostile(_small_plans(), tier, tmp_path, 20_000 if soak else 200) > 20


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_nothing_is_allocated(tier: str, tmp_path: Path) -> None:
    families.check_heap(_small_plans(), tier, tmp_path)
