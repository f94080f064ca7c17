# Kernels of the audio loop in Thumb assembler for ARMv6-M. Same contract as ring_bytecode.py, bit for bit; fft_asm.py
# says how this assembler is written.
from array import array

import micropython

_LDRB_AT = const(0x5C00)  # ldrb rt, [rn, rm]: rm << 6 | rn << 3 | rt
_STRB_AT = const(0x5400)  # strb rt, [rn, rm]: rm << 6 | rn << 3 | rt

_SPAN = array("I", bytes(12))  # what copy takes beyond its four arguments: first byte to, first byte from, how many


@micropython.asm_thumb
def _copy(r0, r1, r2):  # to, source, span
    ldr(r3, [r2, 0])
    add(r0, r0, r3)
    ldr(r3, [r2, 4])
    add(r1, r1, r3)
    ldr(r3, [r2, 8])
    # Backwards, so that r3 counts and indexes.
    b(TEST)
    label(BYTE)
    data(2, _LDRB_AT | 3 << 6 | 1 << 3 | 4)  # ldrb r4, [r1, r3]
    data(2, _STRB_AT | 3 << 6 | 0 << 3 | 4)  # strb r4, [r0, r3]
    label(TEST)
    sub(r3, 1)
    bpl(BYTE)
    mov(r0, 0)


def write(ring, size, at, buf, start, length):
    # Copies `length` bytes of int16 LE PCM into the ring of `size` samples from sample `at`; returns the next sample.
    span = _SPAN
    while length > 0:
        part = (size - at) << 1
        if part > length:
            part = length
        span[0] = at << 1
        span[1] = start
        span[2] = part
        _copy(ring, buf, span)
        start += part
        length -= part
        at += part >> 1
        if at == size:
            at = 0
    return at


def read(ring, at, out, start, samples):
    # Copies `samples` samples that do not wrap from sample `at` to out[start:] as int16 LE bytes.
    span = _SPAN
    span[0] = start
    span[1] = at << 1
    span[2] = samples << 1
    _copy(out, ring, span)


@micropython.asm_thumb
def digest(r0, r1, r2):  # values, count, state; returns (state * 31 + value) & 0xFFFFFF, value by value
    b(TEST)
    label(VALUE)
    lsl(r3, r2, 5)
    sub(r2, r3, r2)
    ldrh(r3, [r0, 0])
    add(r2, r2, r3)
    lsl(r2, r2, 8)
    lsr(r2, r2, 8)
    add(r0, 2)
    label(TEST)
    sub(r1, 1)
    bpl(VALUE)
    mov(r0, r2)
