"""The assembler tier: what is worth it in Thumb code, everything else as in viper.

A kernel is one assembler function, `kernel(arena, blob, record)` as in every tier, so that one call runs one record.
"""

import sys

from coproc.nn import kernels_viper

TIER = "asm"
# Processors from ARMv7E-M on, which MicroPython numbers 6 to 8, have the DSP extension.
DSP = 6 <= (getattr(sys.implementation, "_mpy", 0) >> 10) & 31 <= 8
TABLES = {
    1: (("move_asm",), kernels_viper.MODULES),
    2: (("move_asm", "dot_asm"), kernels_viper.MODULES),
}
if DSP:
    TABLES[3] = (("move_asm", "dot_dsp"), kernels_viper.MODULES)
