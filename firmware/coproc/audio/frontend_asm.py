# Front-end kernels, Thumb assembler tier for ARMv6-M and up. Same contract as frontend_bytecode.py, bit for bit.
#
# Everything is in assembler: spectrum_asm.py and fft_asm.py go from samples to energies, channels_asm.py and
# features_asm.py from there to features. An assembler function takes four arguments at most; kernels of five run two
# after another here.
from array import array

from uctypes import addressof

from coproc.audio.channels_asm import roots, sums
from coproc.audio.features_asm import gain, log, quantize, reduce_noise  # noqa: F401
from coproc.audio.fft_asm import first_stage, later_stages
from coproc.audio.spectrum_asm import energies, take, window  # noqa: F401

_WIDE = array("I", bytes(4 * 2 * 41))  # between sums and roots: channel sums of 41 bits, a low and a high part each


def words(table):
    # A table of u16 as the kernels take it: in place, where pairs of values can be loaded as one word.
    return bytearray(table) if addressof(table) & 3 else table


def transform(windowed, shift, reversal, twiddles, spectrum):
    first_stage(windowed, shift, reversal, spectrum)
    later_stages(spectrum, twiddles)


def channels(energy, widths, weights, shift, signal):
    sums(energy, widths, weights, _WIDE)
    roots(_WIDE, shift, signal)


def gain_and_log(signal, noise, gains, logs, features):
    gain(signal, noise, gains)
    log(signal, logs, features)
