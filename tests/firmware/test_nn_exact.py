"""Plans on the board against tflite-micro: every output and every tensor between, streamed, on both tiers."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pymicro_wakeword
import pytest
from numpy.typing import NDArray

from bodydouble.compiler import Plan, compile_model
from bodydouble.compiler.packing import COLUMNS, PAIRS, ROWS
from support import nn, pymicro
from support.asm import M0
from support.graphs import RandomGraph
from support.micropython import ROOT
from support.tflite_build import GraphBuilder

MODELS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
SOURCES = Path(pymicro_wakeword.__file__).parent / "models"
BITS = [64, pytest.param(32, marks=pytest.mark.micropython32)]

Job = tuple[str, bytes, Plan, NDArray[np.generic]]


def _recordings() -> list[Path]:
    found = sorted((ROOT / "tests" / "data").glob("**/*.flac"))
    data = os.environ.get("BODYDOUBLE_DATA")
    return found + (sorted(Path(data, "voices").glob("*.flac")) if data else [])


@pytest.fixture(scope="session")
def spoken() -> NDArray[np.int8]:
    """Features of the test recordings, one after the other, as ESPHome makes them int8: [frames, 40]."""
    import soundfile

    frames = []
    for path in _recordings():
        pcm, rate = soundfile.read(path, dtype="int16")
        assert rate == 16000, path
        features = pymicro.features(pcm).astype(np.int32)
        frames.append(np.clip((features * 256 + 333) // 666 - 128, -128, 127))
    return np.concatenate(frames).astype(np.int8)


def _job(name: str, inputs: NDArray[np.int8] | None = None, path: Path | None = None) -> Job:
    data = (path or SOURCES / f"{name}.tflite").read_bytes()
    plan = compile_model(data, name)
    if inputs is None:
        raise AssertionError("no inputs")
    rows = len(inputs) // plan.stride * plan.stride
    return name, data, plan, inputs[:rows].reshape(-1, *plan.input.shape)


def _random(count: int, seed: int) -> NDArray[np.int8]:
    # Uniform, then like speech (mostly low), then only extremes.
    rng = np.random.default_rng(seed)
    uniform = rng.integers(-128, 128, (count, 40))
    low = np.clip(rng.normal(-80, 40, (count, 40)), -128, 127)
    extreme = rng.choice([-128, 127], (count, 40))
    held = np.repeat(rng.choice([-128, 127], (count // 30 + 1, 40)), 30, 0)[:count]
    return np.concatenate([uniform, low, extreme, held]).astype(np.int8)


def _check(jobs: list[Job], tier: str, bits: int, trace: bool, resets: tuple[int, ...] = ()) -> nn.Comparison:
    found = nn.compare(jobs, tier, bits, trace, resets)
    inferences = sum(len(inputs) for _, _, _, inputs in jobs)
    macs = sum(len(inputs) * plan.macs for _, _, plan, inputs in jobs)
    print(
        f"\n{tier} {bits}-bit: {found.values:,} values equal to tflite-micro's, "
        f"{inferences:,} inferences, {macs:,} multiply-accumulates"
    )
    assert not found.differences, "\n".join(found.differences[:20])
    return found


@pytest.mark.parametrize("bits", BITS)
def test_every_tensor_on_random_inputs(bits: int, soak: bool) -> None:
    """All tensors of all wake models, over inferences that carry state, with a reset in between."""
    count = 3000 if soak else 300
    jobs = [_job(name, _random(count, seed)) for seed, name in enumerate(MODELS)]
    found = _check(jobs, "viper", bits, trace=True, resets=(100, 101, 250))
    assert found.values > 1_000_000


def test_every_tensor_on_the_bytecode_tier(soak: bool) -> None:
    jobs = [_job(name, _random(600 if soak else 42, seed)) for seed, name in enumerate(MODELS)]
    found = _check(jobs, "bytecode", 64, trace=True, resets=(7,))
    assert found.values > 1_000_000


def test_speech(spoken: NDArray[np.int8], soak: bool) -> None:
    """Real features, streamed through each model in one go: every inference of every test recording."""
    found = _check([_job(name, spoken) for name in MODELS], "viper", 64, trace=soak)
    assert found.values >= len(MODELS) * (len(spoken) // 3) > 1000


@pytest.mark.parametrize(("tier", "frames"), [("viper", 900), ("bytecode", 240)])
def test_every_tensor_on_speech(tier: str, frames: int, spoken: NDArray[np.int8], soak: bool) -> None:
    """From where a wake word is said, so that large activations are among them."""
    frames = 10 * frames if soak else frames
    found = _check([_job(name, spoken[100 : 100 + frames]) for name in MODELS], tier, 64, trace=True)
    assert found.values > 1_000_000


@pytest.mark.micropython32
def test_speech_on_32_bits(spoken: NDArray[np.int8]) -> None:
    _check([_job(name, spoken[:6000]) for name in MODELS], "viper", 32, trace=False)


@pytest.mark.parametrize("name", ["mww_computer", "vad", "hello_world_int8"])
def test_other_models(name: str) -> None:
    """Another stride, other shapes, no state: where the data is at hand."""
    data = os.environ.get("BODYDOUBLE_DATA")
    if not data:
        pytest.skip("set BODYDOUBLE_DATA to a folder with models/*.tflite")
    path = Path(data, "models", f"{name}.tflite")
    if not path.exists():
        pytest.skip(f"{path} is not there")
    plan = compile_model(path.read_bytes(), name)
    rng = np.random.default_rng(7)
    inputs = rng.integers(-128, 128, (500, *plan.input.shape)).astype(np.int8)
    _check([(name, path.read_bytes(), plan, inputs)], "viper", 64, trace=True, resets=(200,))


def _graphs(seeds: range) -> list[Job]:
    jobs = []
    for seed in seeds:
        graph = RandomGraph(seed)
        data = graph.build()
        plan = compile_model(data, f"graph {seed}")
        jobs.append((f"graph {seed}", data, plan, graph.inputs(plan.input.shape, plan.input.type, 6)))
    return jobs


@pytest.mark.parametrize(
    ("tier", "bits", "seeds"),
    [
        ("viper", 64, range(120)),
        ("bytecode", 64, range(120, 180)),
        pytest.param("viper", 32, range(180, 240), marks=pytest.mark.micropython32),
        pytest.param("bytecode", 32, range(240, 260), marks=pytest.mark.micropython32),
    ],
)
def test_random_graphs(tier: str, bits: int, seeds: range, soak: bool) -> None:
    """Shapes, strides, paddings, dilations, scales and zero points at their extremes; state with any first value."""
    if soak:
        seeds = range(seeds.start, seeds.start + 100 * len(seeds), 6)
    found = _check(_graphs(seeds), tier, bits, trace=True, resets=(4,))
    assert found.values > 20_000


def _read_beyond(size: int, first: int, depth: int, joined: bool) -> Job:
    # Windows are read in whole words: the bytes behind one may be those that the convolution writes meanwhile.
    rng = np.random.default_rng(size)
    b = GraphBuilder()
    x = b.tensor((1, 1, 1, size), 1.0, -5)
    read = whole = b.tensor((1, 1, 1, size), 1.0, 9)
    b.op("QUANTIZE", [x], [whole])
    if depth < size:
        read = b.tensor((1, 1, 1, depth), 1.0, 9)
        bounds = [b.constant(v) for v in ([0, 0, 0, first], [1, 1, 1, first + depth], [1, 1, 1, 1])]
        b.op("STRIDED_SLICE", [whole, *bounds], [read])
    w = b.tensor((6, 1, 1, depth), 0.01, 0, data=rng.integers(-127, 128, (6, 1, 1, depth)).astype(np.int8))
    out = y = b.tensor((1, 1, 1, 6), 1.0, 9)
    b.op("CONV_2D", [read, w], [y], padding=1, strideH=1, strideW=1)
    if joined:
        out = b.tensor((1, 1, 1, size + 6), 1.0, 9)
        b.op("CONCATENATION", [whole, y], [out], axis=3)
    data = b.build([x], [out])
    inputs = rng.integers(-128, 128, (20, 1, 1, 1, size), np.int8)
    return f"read beyond {size}", data, compile_model(data, "m"), inputs


def test_what_lies_behind_a_window() -> None:
    jobs = [_read_beyond(size, size - 1, 1, joined=False) for size in range(17, 21)]
    jobs += [_read_beyond(size, 0, size, joined=True) for size in (1, 3, 5, 6)]
    _check(jobs, "viper", 64, trace=True)


@cache
def _requantisation_jobs() -> list[Job]:
    """Models whose sums are their biases: each factor from 2**-23 to above 1 on sums at and around its ties."""
    rng = np.random.default_rng(9)
    factors = [2.0**-k for k in range(24)] + [float(2.0**-k * rng.uniform(0.5, 1)) for k in range(24)]
    factors += [1.0, 1.5, 2.0, 3.7, 64.0, 1000.0]
    jobs = []
    edges = [0.99999 * 2.0**-k for k in (0, 1, 7, 22, 23, 24, 27, 30, 31)]
    for number, factor in enumerate(factors + edges):
        out_zero = int(rng.choice([-128, 0, 3, 127]))
        ties = (rng.integers(-260, 260, 512) + 0.5) / factor
        around = ties + rng.integers(-2, 3, 512)
        anywhere = rng.uniform(-300 / factor, 300 / factor, 256)
        sums = np.clip(
            np.concatenate([ties, around, anywhere]), -(2**21) / max(factor, 1e-3), 2**21 / max(factor, 1e-3)
        )
        biases = np.clip(sums, -(2**30), 2**30).astype(np.int32)
        if factor in edges:  # sums that 31 bits just hold: rounding must not carry them over
            biases = np.concatenate([2**31 - 600 - np.arange(300) ** 2, -(2**31) + 600 + np.arange(300) ** 2])
            biases = biases.astype(np.int32)
        channels = len(biases)
        b = GraphBuilder()
        x = b.tensor((1, 1, 1, 1), 1.0, -128)
        w = b.tensor((channels, 1, 1, 1), factor, 0, data=np.ones((channels, 1, 1, 1), np.int8))
        bias = b.tensor((channels,), 1.0, 0, "INT32", biases)
        y = b.tensor((1, 1, 1, channels), 1.0, out_zero)
        b.op("CONV_2D", [x, w, bias], [y], padding=1, strideH=1, strideW=1, fusedActivationFunction=number % 2)
        data = b.build([x], [y])
        jobs.append((f"factor {factor:g}", data, compile_model(data, "m"), np.array([-128, -127, 5], np.int8)))
    return [(name, data, plan, inputs.reshape(-1, 1, 1, 1, 1)) for name, data, plan, inputs in jobs]


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_requantisation(tier: str) -> None:
    _check(_requantisation_jobs(), tier, 64, trace=False)


@pytest.mark.micropython32
@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_requantisation_on_32_bits(tier: str) -> None:
    _check(_requantisation_jobs(), tier, 32, trace=False)


def test_limbs_on_64_bits(tmp_path: Path) -> None:
    """The 32-bit path of the requantisation gives the same on a 64-bit build, where it is forced here."""
    kernels = ROOT / "firmware" / "coproc" / "nn" / "dot_viper.py"
    source = kernels.read_text()
    assert source.count("wide = sign << 1") == 2
    package = tmp_path / "coproc" / "nn"
    package.mkdir(parents=True)
    for path in kernels.parent.glob("*.py"):
        (package / path.name).write_text(path.read_text())
    (package / "dot_viper.py").write_text(source.replace("wide = sign << 1", "wide = 0"))
    jobs = _requantisation_jobs() + _graphs(range(300, 340)) + [_job(name, _random(60, 3)) for name in MODELS]
    forced = nn.run_on_board([nn.BoardJob(plan, inputs) for _, _, plan, inputs in jobs], "viper", path=tmp_path)
    usual = nn.run_on_board([nn.BoardJob(plan, inputs) for _, _, plan, inputs in jobs], "viper")
    for (name, _, _, _), a, b in zip(jobs, forced, usual, strict=True):
        assert np.array_equal(a.outputs, b.outputs), name


def _packed(jobs: list[Job], packing: int) -> list[Job]:
    return [(name, data, compile_model(data, name, packing=packing), inputs) for name, data, _, inputs in jobs]


# The assembler's kernels are one body per packing: viper's, ARMv6-M's, those of the DSP extension.
assembler = pytest.mark.parametrize("packing", [COLUMNS, PAIRS])


def test_assembler_on_a_cortex_m0() -> None:
    """Emulated, so that no 32-bit MicroPython is needed, and that an access which is not aligned is a fault."""
    jobs = [_job(name, _random(1, seed)) for seed, name in enumerate(MODELS)]
    found = _check(_packed(jobs + _graphs(range(60, 66)), COLUMNS), "asm", M0, trace=True)
    assert found.values > 50_000


@pytest.mark.micropython32
@assembler
def test_wake_models_in_assembler(packing: int, spoken: NDArray[np.int8], soak: bool) -> None:
    count = 1000 if soak else 24
    jobs = [_job(name, _random(count, seed)) for seed, name in enumerate(MODELS)]
    jobs += [_job(name, spoken[100 : 100 + 8 * count]) for name in MODELS]
    found = _check(_packed(jobs, packing), "asm", 32, trace=True, resets=(10,))
    assert found.values > 1_000_000


@pytest.mark.micropython32
@pytest.mark.parametrize(
    ("packing", "seeds"), [(ROWS, range(400, 410)), (COLUMNS, range(410, 450)), (PAIRS, range(450, 490))]
)
def test_random_graphs_in_assembler(packing: int, seeds: range, soak: bool) -> None:
    if soak:
        seeds = range(seeds.start, seeds.start + 100 * len(seeds), 6)
    found = _check(_packed(_graphs(seeds), packing), "asm", 32, trace=True, resets=(4,))
    assert found.values > 10_000


@pytest.mark.micropython32
@assembler
def test_requantisation_in_assembler(packing: int) -> None:
    _check(_packed(_requantisation_jobs(), packing), "asm", 32, trace=False)


def _dense(depth: int, channels: int, zero: int, seed: int) -> Job:
    # Sums as large as they get: only extreme weights, then extreme inputs among others.
    rng = np.random.default_rng(seed)
    b = GraphBuilder()
    x = b.tensor((2, depth), 1.0, int(rng.choice([-128, 127, 0])))
    weights = rng.choice([-128, 127], (channels, depth)).astype(np.int8)
    weights[0] = 127
    weights[-1] = -128
    w = b.tensor((channels, depth), 1.0, zero, data=weights)
    y = b.tensor((2, channels), float(depth * 128), 3)
    b.op("FULLY_CONNECTED", [x, w], [y])
    data = b.build([x], [y])
    inputs = np.stack(
        [np.full((2, depth), 127), np.full((2, depth), -128), rng.choice([-128, 127], (2, depth)),
         rng.integers(-128, 128, (2, depth))]
    ).astype(np.int8)  # fmt: skip
    return f"dense {depth} {channels}", data, compile_model(data, "m"), inputs


@pytest.mark.micropython32
@pytest.mark.parametrize("packing", [ROWS, COLUMNS, PAIRS])
def test_largest_sums_in_assembler(packing: int) -> None:
    """Windows of all depths around what fits a sum of 24 bits, and blocks of channels that are not whole."""
    depths = (1, 3, 4, 5, 251, 252, 253, 256, 260, 504, 508, 1000)
    jobs = [_dense(d, 1 + (i + d) % 9, (0, -128, 127, 5)[i % 4], i) for i, d in enumerate(depths * 2)]
    _check(_packed(jobs, packing), "asm", 32, trace=False)
