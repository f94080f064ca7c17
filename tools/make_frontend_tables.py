"""Writes firmware/coproc/audio/tables.py: the constants of the fixed-point front end, computed from its definition.

The definition is TensorFlow Lite Micro's microfrontend (tensorflow/lite/experimental/microfrontend/lib) over kissfft
with 16-bit fixed point, configured as `pymicro-features` configures it. TFLM fills these tables at start-up with
float32 library functions; a board may lack a float unit, so the host does it once. Each function below names the
source file that defines its table.

    python tools/make_frontend_tables.py            # writes the file
    python tools/make_frontend_tables.py --check    # exits 1 when the file differs from what would be written
"""

from __future__ import annotations

import argparse
import math
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "firmware" / "coproc" / "audio" / "tables.py"

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 480  # 30 ms
FFT_SIZE = 512
CHANNELS = 40
LOWER_BAND_HZ = 125.0
UPPER_BAND_HZ = 7500.0
WINDOW_BITS = 12  # kFrontendWindowBits
FILTERBANK_BITS = 12  # kFilterbankBits
SMOOTHING_BITS = 10  # noise_reduction.smoothing_bits
PCAN_STRENGTH = 0.95
PCAN_OFFSET = 80.0
PCAN_GAIN_BITS = 21
GAIN_INTERVALS = 32  # kWideDynamicFunctionBits is 32; signals stay below 2**31, so bit lengths 0 to 31 occur
LOG_SEGMENTS = 128  # kLogSegments
LOG_SCALE = 65536  # kLogScale
SIGN_BIAS = 32768  # added to signed entries: one subtraction on the board instead of a sign extension


def float32(value: float) -> float:
    """`value` rounded to the nearest float32, as a C float variable holds it."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _float_bits(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def _bits_float(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def cosf(x: float) -> float:
    return float32(math.cos(x))


def log1pf(x: float) -> float:
    """log(1 + x) for 0 <= x < 2**24 as Sun's fdlibm computes it in float32 (s_log1pf.c).

    The result is not always the nearest float32, and weights of the filter bank depend on its last bit. Boards that
    run TFLM have this very algorithm (newlib), and so has glibc before 2.41, on which `pymicro-features` runs.
    """
    ln2_high, ln2_low = _bits_float(0x3F317180), _bits_float(0x3717F7D1)
    series = [0x3F2AAAAB, 0x3ECCCCCD, 0x3E924925, 0x3E638E29, 0x3E3A3325, 0x3E1CD04F, 0x3E178897]
    exponent, correction, f = 0, 0.0, x
    fraction = 1
    if _float_bits(x) >= 0x3ED413D7:  # sqrt(2) - 1
        u = float32(1.0 + x)
        exponent = (_float_bits(u) >> 23) - 127
        correction = float32(1.0 - float32(u - x)) if exponent > 0 else float32(x - float32(u - 1.0))
        correction = float32(correction / u)
        fraction = _float_bits(u) & 0x7FFFFF
        if fraction < 0x3504F7:
            u = _bits_float(fraction | 0x3F800000)
        else:
            exponent += 1
            u = _bits_float(fraction | 0x3F000000)
            fraction = (0x800000 - fraction) >> 2
        f = float32(u - 1.0)
    if fraction == 0:
        raise ValueError(f"log1pf({x}): fdlibm's branch for powers of two is not needed here and not written")
    half_square = float32(float32(0.5 * f) * f)
    s = float32(f / float32(2.0 + f))
    z = float32(s * s)
    r = 0.0
    for bits in reversed(series):
        r = float32(z * float32(_bits_float(bits) + r)) if r else float32(z * _bits_float(bits))
    product = float32(s * float32(half_square + r))
    if exponent == 0:
        return float32(f - float32(half_square - product))
    low = float32(float32(exponent * ln2_low) + correction)
    return float32(float32(exponent * ln2_high) - float32(float32(half_square - float32(product + low)) - f))


def powf(x: float, y: float) -> float:
    return float32(math.pow(x, y))


def hann_window() -> list[int]:
    """The window's 480 coefficients in 1/4096 (window_util.cc).

    In float32 it is not quite symmetric (coefficient 17 is 54, its mirror 53), so half a table would not do.
    """
    arg = float32(float32(float32(math.pi) * 2.0) / WINDOW_SAMPLES)
    coefficients = []
    for i in range(WINDOW_SAMPLES):
        value = float32(0.5 - float32(0.5 * cosf(float32(arg * (i + 0.5)))))
        coefficients.append(math.floor(float32(float32(value * (1 << WINDOW_BITS)) + 0.5)))
    return coefficients


def _kiss_scale(value: float) -> int:
    """KISS_FFT_COS and KISS_FFT_SIN: 1.0 is 32767 (_kiss_fft_guts.h, FIXED_POINT=16)."""
    return math.floor(0.5 + 32767 * value)


def twiddles() -> list[int]:
    """w, w**2 and w**3 (re, im each, biased) for w = exp(-2 pi i k / 256), k = 0..63 (kiss_fft.cc).

    The last radix-4 stage of the 256-point complex FFT uses every row, the one before every fourth, and so on.
    """
    table = []
    for k in range(64):
        for power in (1, 2, 3):
            phase = -2 * math.pi * (power * k) / 256
            table += [_kiss_scale(math.cos(phase)) + SIGN_BIAS, _kiss_scale(math.sin(phase)) + SIGN_BIAS]
    return table


def half_sines() -> list[int]:
    """sin(pi k / 256) for k = 0..128: the twiddles that split the packed real FFT, both parts negated (kiss_fftr.cc).

    kissfft's super_twiddles[k - 1] is exp(-i pi (k / 256 + 1/2)), that is -sin(pi k / 256) - i cos(pi k / 256).
    """
    table = [_kiss_scale(math.sin(math.pi * k / 256)) for k in range(129)]
    for k in range(1, 129):
        phase = -math.pi * (k / 256 + 0.5)
        if (_kiss_scale(math.cos(phase)), _kiss_scale(math.sin(phase))) != (-table[k], -table[128 - k]):
            raise AssertionError(f"super twiddle {k} is not the mirrored sine")
    return table


def digit_reversal() -> list[int]:
    """First of the four inputs (then every 64th) of each first-stage radix-4 butterfly (kf_work in kiss_fft.cc)."""
    return [((g & 3) << 4) | ((g >> 2 & 3) << 2) | (g >> 4) for g in range(64)]


def _mel(frequency_hz: float) -> float:
    return float32(1127.0 * log1pf(float32(frequency_hz / 700.0)))


def filter_bank() -> tuple[int, list[int], list[int]]:
    """First FFT bin, bins per channel (41), and each bin's weight in 1/4096 (filterbank_util.cc).

    A bin adds `weight` of its energy to its own channel and 4096 - weight to the next one. TFLM pads both tables
    with zero weights for its unrolled loop; padding adds nothing and is left out here.
    """
    spectrum_bins = FFT_SIZE // 2 + 1
    mel_low = _mel(LOWER_BAND_HZ)
    spacing = float32(float32(_mel(UPPER_BAND_HZ) - mel_low) / (CHANNELS + 1))
    centers = [float32(mel_low + float32(spacing * (i + 1))) for i in range(CHANNELS + 1)]
    hz_per_bin = float32(float32(0.5 * SAMPLE_RATE_HZ) / (spectrum_bins - 1))
    first = bin_ = int(float32(1.5 + float32(LOWER_BAND_HZ / hz_per_bin)))  # always excludes DC
    widths, weights = [], []
    below = mel_low
    for center in centers:
        start = bin_
        while (mel := _mel(float32(bin_ * hz_per_bin))) <= center:
            weight = float32(float32(center - mel) / float32(center - below))
            down = math.floor(float32(float32(weight * (1 << FILTERBANK_BITS)) + 0.5))
            up = math.floor(float32(float32(float32(1.0 - weight) * (1 << FILTERBANK_BITS)) + 0.5))
            if down + up != 1 << FILTERBANK_BITS:
                raise AssertionError(f"bin {bin_}'s two weights do not add up to one")
            weights.append(down)
            bin_ += 1
        widths.append(bin_ - start)
        below = center
    return first, widths, weights


def _pcan_gain(x: int) -> int:
    """PcanGainLookupFunction: 2**21 * (x / 2**input_bits + 80) ** -0.95 (pcan_gain_control_util.cc)."""
    correction_bits = FFT_SIZE.bit_length() - 1 - FILTERBANK_BITS // 2
    input_bits = SMOOTHING_BITS - correction_bits
    as_float = float32(float32(x) / (1 << input_bits))
    gain = float32((1 << PCAN_GAIN_BITS) * powf(float32(as_float + PCAN_OFFSET), float32(-float32(PCAN_STRENGTH))))
    return 32767 if gain > 32767 else int(float32(gain + 0.5))


def gain_lookup() -> list[int]:
    """Value, slope and curvature (biased) of the PCAN gain for each bit length of the noise estimate, 0 to 31.

    TFLM keeps the values for 0 and 1 apart from its intervals; as intervals of one point they need no special case.
    """
    table = [(_pcan_gain(0), 0, 0), (_pcan_gain(1), 0, 0)]
    for bits in range(2, GAIN_INTERVALS):
        x0 = 1 << (bits - 1)
        y0, y1, y2 = _pcan_gain(x0), _pcan_gain(x0 + (x0 >> 1)), _pcan_gain(2 * x0)
        slope = 4 * (y1 - y0) - (y2 - y0)
        table.append((y0, slope, y2 - y0 - slope))
    return [entry + SIGN_BIAS for interval in table for entry in interval]


def log_lookup() -> list[int]:
    """log2(1 + s) - s at 128 segments and the end of the last, in 1/65536 (log_lut.cc)."""
    return [
        round(LOG_SCALE * (math.log2(1 + segment / LOG_SEGMENTS) - segment / LOG_SEGMENTS))
        for segment in range(LOG_SEGMENTS + 1)
    ]


def _literal(name: str, comment: str, data: bytes) -> str:
    rows = [f"    {data[at : at + 24]!r}" for at in range(0, len(data), 24)]
    return "\n".join([f"# {comment}", f"{name} = (", *rows, ")"])


def _words(values: Iterable[int]) -> bytes:
    return b"".join(struct.pack("<H", value) for value in values)


def render() -> str:
    """The text of tables.py."""
    first_bin, widths, weights = filter_bank()
    if first_bin + len(weights) > FFT_SIZE // 2:
        raise AssertionError("the filter bank ends above the spectrum")
    last_bin = first_bin + len(weights) - 1
    constants = [
        ("HANN", "Hann window: 480 x u16 in 1/4096.", _words(hann_window())),
        ("REVERSAL", "First input of each first-stage butterfly: 64 x u8.", bytes(digit_reversal())),
        ("TWIDDLES", "w, w**2, w**3 as re, im, for k = 0..63: 384 x u16, biased by 32768.", _words(twiddles())),
        ("SINES", "sin(pi k / 256) for k = 0..128: 129 x u16 in 1/32767.", _words(half_sines())),
        ("WIDTHS", "FFT bins of each mel channel, the one below the first included: 41 x u8.", bytes(widths)),
        ("WEIGHTS", f"Weight of bins {first_bin} to {last_bin} in their own channel: {len(weights)} x u16 in 1/4096.",
         _words(weights)),
        ("GAINS", "PCAN gain: value, slope, curvature by bit length 0..31: 96 x u16, biased by 32768.",
         _words(gain_lookup())),
        ("LOGS", "log2(1 + s) - s by 128ths: 129 x u16 in 1/65536.", _words(log_lookup())),
    ]  # fmt: skip
    total = sum(len(data) for _, _, data in constants)
    head = (
        "# Constants of the audio front end, little endian, viewed in place by ptr8 and ptr16.\n"
        "# Generated by tools/make_frontend_tables.py from TFLM's microfrontend definition; do not edit.\n"
        f"# {total} bytes of data.\n"
    )
    return head + "\n" + "\n\n".join(_literal(*constant) for constant in constants) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the front end's constants.")
    parser.add_argument("--check", action="store_true", help="only say whether the file is up to date")
    check = parser.parse_args().check
    text = render()
    if check:
        if TARGET.is_file() and TARGET.read_text() == text:
            return 0
        print(f"{TARGET} is out of date; run {Path(__file__).name}", file=sys.stderr)
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
