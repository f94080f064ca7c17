"""Single front-end kernels against plain models of TFLM's definition, on inputs that recordings seldom produce.

The models are written from the C sources in unbounded integers, with the wraps of C's types where they can occur.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from support.asm import M0, run_build
from support.micropython import ROOT

HERE = Path(__file__).parent
BUILDS = [
    ("viper", 64),
    ("bytecode", 64),
    ("asm", M0),
    *(pytest.param(tier, 32, marks=pytest.mark.micropython32) for tier in ("asm", "viper", "bytecode")),
]
Case = list[int]


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_frontend_tables", ROOT / "tools" / "make_frontend_tables.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = _tool()
HANN = TABLES.hann_window()
TWIDDLES = [entry - TABLES.SIGN_BIAS for entry in TABLES.twiddles()]
FIRST_BIN, WIDTHS, WEIGHTS = TABLES.filter_bank()
SINES = TABLES.half_sines()
GAINS = [entry - TABLES.SIGN_BIAS for entry in TABLES.gain_lookup()]
LOGS = TABLES.log_lookup()
ENERGY_BOUND = 1 << 29  # of all bins together, as frontend.py derives


def int16(value: int) -> int:
    return (value + 32768) % 65536 - 32768


def take_model(case: Case) -> Case:
    """480 samples of history, 320 from which 160 are taken, the offset of these."""
    offset = 480 + case[800]
    return case[160:480] + case[offset : offset + 160]


def window_model(case: Case) -> Case:
    """WindowProcessSamples, and the shift that FrontendProcessSamples derives from its maximum."""
    out = [int16((sample * weight) >> 12) for sample, weight in zip(case, HANN, strict=True)]
    largest = max(0, *(int16(abs(value)) for value in out))
    return [*out, 15 - largest.bit_length()]


def transform_model(case: Case) -> Case:
    """FftCompute: the scaling, then kf_work with four times radix 4."""
    scaled = [int16(value << case[512]) for value in case[:512]]
    points = _fft(list(zip(scaled[0::2], scaled[1::2], strict=True)))
    return [part for point in points for part in point]


Point = tuple[int, int]


def _fft(points: list[Point]) -> list[Point]:
    if len(points) == 1:
        return points
    quarters = [_fft(points[first::4]) for first in range(4)]
    span = len(points) // 4
    out: list[Point] = [(0, 0)] * len(points)
    for k in range(span):
        a, *turned = (tuple((part * (32767 // 4) + (1 << 14)) >> 15 for part in quarter[k]) for quarter in quarters)
        row = 6 * k * (64 // span)
        b, c, d = (
            ((re * wr - im * wi + (1 << 14)) >> 15, (re * wi + im * wr + (1 << 14)) >> 15)
            for (re, im), wr, wi in zip(
                turned, TWIDDLES[row : row + 6 : 2], TWIDDLES[row + 1 : row + 6 : 2], strict=True
            )
        )
        even, odd = (a[0] + c[0], a[1] + c[1]), (a[0] - c[0], a[1] - c[1])
        both, apart = (b[0] + d[0], b[1] + d[1]), (b[0] - d[0], b[1] - d[1])
        out[k] = int16(even[0] + both[0]), int16(even[1] + both[1])
        out[k + span] = int16(odd[0] + apart[1]), int16(odd[1] - apart[0])
        out[k + 2 * span] = int16(even[0] - both[0]), int16(even[1] - both[1])
        out[k + 3 * span] = int16(odd[0] - apart[1]), int16(odd[1] + apart[0])
    return out


def energies_model(spectrum: Case) -> Case:
    """kiss_fftr's split and FilterbankConvertFftComplexToEnergy; 0 for bins that no channel takes."""
    energy = [0] * 256
    last = FIRST_BIN + len(WEIGHTS) - 1
    for k in range(1, 129):
        parts = [spectrum[2 * k], spectrum[2 * k + 1], spectrum[512 - 2 * k], int16(-spectrum[513 - 2 * k])]
        ar, ai, br, bi = (int16((x * (32767 // 2) + (1 << 14)) >> 15) for x in parts)
        f1r, f1i, f2r, f2i = ar + br, ai + bi, ar - br, ai - bi
        wr, wi = -SINES[k], -SINES[128 - k]
        tr = int16((f2r * wr - f2i * wi + (1 << 14)) >> 15)
        ti = int16((f2r * wi + f2i * wr + (1 << 14)) >> 15)
        # In kissfft's order: bin 128 is its own mirror, and the second result stands.
        if FIRST_BIN <= k <= last:
            energy[k] = ((f1r + tr) >> 1) ** 2 + ((f1i + ti) >> 1) ** 2
        if FIRST_BIN <= 256 - k <= last:
            energy[256 - k] = ((f1r - tr) >> 1) ** 2 + ((ti - f1i) >> 1) ** 2
    return energy


def channels_model(case: Case) -> Case:
    """FilterbankAccumulateChannels and FilterbankSqrt."""
    energy, shift = case[:256], case[256]
    sums = [0] * (len(WIDTHS) + 1)
    k = 0
    for channel, width in enumerate(WIDTHS):
        for _ in range(width):
            sums[channel] += WEIGHTS[k] * energy[FIRST_BIN + k]
            sums[channel + 1] += (4096 - WEIGHTS[k]) * energy[FIRST_BIN + k]
            k += 1
    roots = []
    for total in sums[1:41]:
        root = math.isqrt(total)
        if total - root * root > root and root != 0xFFFF:
            root += 1
        roots.append(root >> shift)
    return roots


def reduce_noise_model(case: Case) -> Case:
    """NoiseReductionApply."""
    signals, estimates = [], []
    for i, (value, estimate) in enumerate(zip(case[:40], case[40:], strict=True)):
        smoothing = int((0.06 if i & 1 else 0.025) * 16384)
        scaled = value << 10
        new = (scaled * smoothing + estimate * (16384 - smoothing)) >> 14
        estimates.append(new)
        signals.append(max((scaled - min(new, scaled)) >> 10, value * int(0.05 * 16384) >> 14))
    return signals + estimates


def gain_and_log_model(case: Case) -> Case:
    """PcanGainControlApply and LogScaleApply."""
    out = []
    for value, estimate in zip(case[:40], case[40:], strict=True):
        interval = estimate.bit_length()
        y, slope, curvature = GAINS[3 * interval : 3 * interval + 3]
        fraction = ((estimate << 11) >> interval) & 0x3FF
        gain = (((((curvature * fraction) >> 5) + (slope << 5)) * fraction + (1 << 14)) >> 15) + y
        snr = (value * gain) >> 6
        compressed = (snr * snr) >> 20 if snr < 8192 else (snr >> 6) - 64
        out.append(_log(compressed << 3))
    return out


def _log(x: int) -> int:
    if x <= 1:
        return 0
    integer = x.bit_length() - 1
    fraction = ((x - (1 << integer)) << 16) >> integer
    segment = fraction >> 9
    start, end = LOGS[segment], LOGS[segment + 1]
    log2 = (integer << 16) + fraction + start + (((end - start) * (fraction - 512 * segment)) >> 16)
    loge = (45426 * log2 + 32768) >> 16
    return int(((loge << 6) + 32768) >> 16)


# Inputs.

CORNERS = np.array([-32768, -32767, 32767, 0, -1, 1, 16384, -16384])


def _halfwords(rng: np.random.Generator, count: int) -> Case:
    """Any values and extreme ones, mixed in any ratio."""
    values = rng.integers(-32768, 32768, count)
    return [int(v) for v in np.where(rng.random(count) < rng.random(), rng.choice(CORNERS, count), values)]


def spectra(rng: np.random.Generator) -> Case:
    return _halfwords(rng, 512)


def halfwords(rng: np.random.Generator) -> Case:
    return _halfwords(rng, 480)


def quiet(rng: np.random.Generator) -> Case:
    """Samples of any small level, silence too, and now and then the one that a window's maximum overlooks."""
    level = 2 ** int(rng.integers(0, 15)) if rng.random() < 0.9 else 0
    case = [int(v) for v in rng.integers(-level, level + 1, 480)]
    if rng.random() < 0.5:
        case[int(rng.integers(480))] = -32768
    return case


def hops(rng: np.random.Generator) -> Case:
    return [*_halfwords(rng, 800), int(rng.integers(0, 161))]


def windowed(rng: np.random.Generator) -> Case:
    """With a shift that fits, or one that lets values wrap around."""
    shift = int(rng.integers(0, 16))
    values = np.array(_halfwords(rng, 512)) >> (shift if rng.random() < 0.7 else int(rng.integers(0, 16)))
    return [*(int(v) for v in values), shift]


def spread_energies(rng: np.random.Generator) -> Case:
    shares = rng.exponential(1, 256) ** rng.integers(1, 6)
    total = 2 ** rng.uniform(0, 29)
    return [int(e) for e in shares / shares.sum() * total] + [int(rng.integers(0, 16))]


def awkward_roots(rng: np.random.Generator) -> Case:
    """Channels at, just below and just above squares, rounding limits, 2**32 and where the root's two ways meet."""
    energy = [0] * 256
    k = 0
    left = ENERGY_BOUND
    for channel, width in enumerate(WIDTHS):
        # One bin a channel and only every other channel, so that the weights of two channels do not add up.
        if channel and channel % 2 and width:
            at = k + int(rng.integers(width))
            root = int(
                rng.choice([65535, 65536, 23170, 23171, int(rng.integers(1, 70000)), int(rng.integers(1, 300))])
            )
            target = root * root + int(rng.choice([-1, 0, 1, root, root + 1, 2 * root]))
            e = target // WEIGHTS[at] + int(rng.integers(0, 2)) if WEIGHTS[at] else 0
            if 0 < e < left:
                energy[FIRST_BIN + at] = e
                left -= e
        k += width
    return [*energy, 0]


def levels(rng: np.random.Generator) -> Case:
    """Signals below 2**20.5 and estimates below 2**31, small ones and powers of two among them."""
    signal = [int(2 ** rng.uniform(0, 20.4)) - 1 for _ in range(40)]
    noise = [int(2 ** rng.uniform(0, 30.9)) - int(rng.integers(0, 2)) for _ in range(40)]
    for i in range(0, 40, 3):
        signal[i] = int(rng.choice([0, 1, 2, (1 << int(rng.integers(0, 20)))]))
        noise[i] = int(rng.choice([0, 1, 2, 3, (1 << int(rng.integers(0, 31))), (1 << int(rng.integers(1, 31))) - 1]))
    return signal + noise


Model = Callable[[Case], Case]
Input = Callable[[np.random.Generator], Case]
KERNELS: list[tuple[str, Model, list[Input]]] = [
    ("take", take_model, [hops]),
    ("window", window_model, [halfwords, quiet]),
    ("transform", transform_model, [windowed]),
    ("energies", energies_model, [spectra]),
    ("channels", channels_model, [spread_energies, awkward_roots]),
    ("reduce_noise", reduce_noise_model, [levels]),
    ("gain_and_log", gain_and_log_model, [levels]),
]


@pytest.mark.parametrize(("tier", "bits"), BUILDS)
@pytest.mark.parametrize(("name", "model", "inputs"), KERNELS, ids=[name for name, _, _ in KERNELS])
def test_kernel_equals_its_definition(
    name: str, model: Model, inputs: list[Input], tier: str, bits: int, soak: bool
) -> None:
    rng = np.random.default_rng(17)
    count = (5000 if soak else 250) // (10 if bits == M0 else 5 if name in ("take", "window", "transform") else 1)
    cases = [make(rng) for _ in range(count) for make in inputs]
    stdin = np.array(cases, dtype="<i4").tobytes()
    out = run_build(HERE / "mp_frontend_kernels.py", tier, name, bits=bits, stdin=stdin, timeout_s=3000)
    got = np.frombuffer(out, "<i4")
    want = np.array([model(case) for case in cases])
    got = got.reshape(want.shape)
    wrong = np.argwhere(got != want)
    assert not len(wrong), f"{len(wrong)} of {want.size} differ, first in case {wrong[0][0]} at {wrong[0][1]}"
    print(f"{want.size:,} values of {name} equal on {tier}, {bits}-bit")
