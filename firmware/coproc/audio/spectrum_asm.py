# The front end from samples to the FFT and from the FFT to energies, in Thumb assembler for ARMv6-M.
# frontend_bytecode.py says what each function computes, fft_asm.py how this assembler is written.
import micropython

_SXTH = const(0xB200)  # sxth rd, rm: rm << 3 | rd
_UXTH = const(0xB280)  # uxth rd, rm: rm << 3 | rd
_LDMIA = const(0xC800)  # ldmia rn!, {list}: rn << 8 | list
_STMIA = const(0xC000)  # stmia rn!, {list}: rn << 8 | list
_LDR_SP = const(0x9800)  # ldr rt, [sp, 4 n]: rt << 8 | n
_STR_SP = const(0x9000)  # str rt, [sp, 4 n]: rt << 8 | n
_CMP_HIGH = const(0x4540)  # cmp rn, rm of r8 to r15: (rm - 8) << 3 | rn
_ADD_SP = const(0xB000)  # add sp, 4 n: n
_SUB_SP = const(0xB080)  # sub sp, 4 n: n

_FIRST_BIN = const(5)  # of the filter bank; bins 5 to 240 count
_LAST_BIN = const(240)


@micropython.asm_thumb
def take(r0, r1, r2):  # history, samples, offset
    add(r2, r2, r2)
    add(r1, r1, r2)  # r1: the new samples

    # 320 samples move down by 160: r0 and r2 run through the history, four words at a time.
    mov(r2, 160)
    lsl(r2, r2, 1)
    add(r2, r2, r0)
    mov(r3, 40)
    label(MOVE)
    data(2, _LDMIA | 2 << 8 | 0xF0)  # ldmia r2!, {r4-r7}
    data(2, _STMIA | 0 << 8 | 0xF0)  # stmia r0!, {r4-r7}
    sub(r3, 1)
    bne(MOVE)

    # 160 samples are appended, by halfwords: they may begin at an odd one.
    mov(r3, 40)
    label(APPEND)
    ldrh(r4, [r1, 0])
    ldrh(r5, [r1, 2])
    ldrh(r6, [r1, 4])
    ldrh(r7, [r1, 6])
    strh(r4, [r0, 0])
    strh(r5, [r0, 2])
    strh(r6, [r0, 4])
    strh(r7, [r0, 6])
    add(r1, 8)
    add(r0, 8)
    sub(r3, 1)
    bne(APPEND)
    mov(r0, 0)


@micropython.asm_thumb
def window(r0, r1, r2):  # history, hann, windowed; returns the shift
    # r7: all magnitudes or'ed; r12: where the history ends; r3: scratch.
    mov(r7, 0)
    mov(r3, 240)
    lsl(r3, r3, 2)
    add(r3, r3, r0)
    mov(r12, r3)

    # Two samples at a time: value = sample * hann >> 12, magnitude = (value ^ sign) - sign.
    label(PAIR)
    data(2, _LDMIA | 0 << 8 | 1 << 4)  # ldmia r0!, {r4}
    data(2, _LDMIA | 1 << 8 | 1 << 5)  # ldmia r1!, {r5}
    data(2, _SXTH | 4 << 3 | 6)  # sxth r6, r4
    data(2, _UXTH | 5 << 3 | 3)  # uxth r3, r5
    mul(r6, r3)
    asr(r6, r6, 12)
    strh(r6, [r2, 0])
    asr(r3, r6, 31)
    eor(r6, r3)
    sub(r6, r6, r3)
    orr(r7, r6)
    asr(r4, r4, 16)
    lsr(r5, r5, 16)
    mul(r4, r5)
    asr(r4, r4, 12)
    strh(r4, [r2, 2])
    asr(r3, r4, 31)
    eor(r4, r3)
    sub(r4, r4, r3)
    orr(r7, r4)
    add(r2, 4)
    data(2, _CMP_HIGH | 4 << 3 | 0)  # cmp r0, r12
    bne(PAIR)

    # shift = 15 - bit length; a magnitude of 32768 overflows in TFLM's int16 and does not count.
    mov(r0, 15)
    lsl(r7, r7, 17)
    beq(DONE)
    lsr(r7, r7, 17)
    label(COUNT)
    sub(r0, 1)
    lsr(r7, r7, 1)
    bne(COUNT)
    label(DONE)


@micropython.asm_thumb
def energies(r0, r1, r2):  # spectrum, sines, energy
    mov(r4, r8)
    mov(r5, r9)
    mov(r6, r10)
    mov(r7, r11)
    push({r4, r5, r6, r7})
    # r8: spectrum[k], going up; r9: spectrum[256 - k], going down; r10: sines[k], up; r11: sines[128 - k], down;
    # r12: energy[240]; lr: energy[k], up; stack 0: 2 * energy + 1028, of which energy[k + 1] leaves energy[256 - k];
    # r6: 0; r7: 16383, as (x * 16383 + 2**14) >> 15 is kissfft's division by 2.
    data(2, _SUB_SP | 2)  # sub sp, 8
    mov(r3, r0)
    add(r3, 4 * _FIRST_BIN)
    mov(r8, r3)
    mov(r7, 251)  # 256 - FIRST_BIN
    lsl(r3, r7, 2)
    add(r3, r3, r0)
    mov(r9, r3)
    mov(r3, r1)
    add(r3, 2 * _FIRST_BIN)
    mov(r10, r3)
    add(r1, 246)  # 2 * (128 - FIRST_BIN)
    mov(r11, r1)
    mov(r3, _LAST_BIN)
    lsl(r3, r3, 2)
    add(r3, r3, r2)
    mov(r12, r3)
    mov(r3, 1)
    lsl(r3, r3, 10)
    add(r3, 4)
    add(r3, r3, r2)
    add(r3, r3, r2)
    data(2, _STR_SP | 3 << 8 | 0)  # str r3, [sp, 0]
    add(r2, 4 * _FIRST_BIN)
    mov(lr, r2)
    mov(r6, 0)
    mov(r7, 1)
    lsl(r7, r7, 14)
    sub(r7, 1)

    # a in r0, r1 and b in r2, r3: spectrum[k] and the conjugate of spectrum[256 - k], both halved. -(-32768) stays
    # -32768 in 16 bits.
    label(BIN)
    mov(r4, r8)
    data(2, _LDMIA | 4 << 8 | 1 << 0)  # ldmia r4!, {r0}
    mov(r8, r4)
    mov(r4, r9)
    ldr(r2, [r4, 0])
    sub(r4, 4)
    mov(r9, r4)
    asr(r1, r0, 16)
    data(2, _SXTH | 0 << 3 | 0)  # sxth r0, r0
    asr(r3, r2, 16)
    data(2, _SXTH | 2 << 3 | 2)  # sxth r2, r2
    neg(r3, r3)
    data(2, _SXTH | 3 << 3 | 3)  # sxth r3, r3
    mul(r0, r7)
    mul(r1, r7)
    mul(r2, r7)
    mul(r3, r7)
    asr(r0, r0, 15)
    adc(r0, r6)
    asr(r1, r1, 15)
    adc(r1, r6)
    asr(r2, r2, 15)
    adc(r2, r6)
    asr(r3, r3, 15)
    adc(r3, r6)
    # r4, r5: g = a - b; r0, r1: a + b
    sub(r4, r0, r2)
    add(r0, r0, r2)
    sub(r5, r1, r3)
    add(r1, r1, r3)

    # t = g times the twiddle -sin - i cos: r3: sin; r2: cos
    mov(r2, r10)
    ldrh(r3, [r2, 0])
    add(r2, 2)
    mov(r10, r2)
    mov(r2, r11)
    sub(r2, 2)
    mov(r11, r2)
    ldrh(r2, [r2, 2])
    mov(r6, r5)
    mul(r6, r2)
    mul(r5, r3)
    mul(r3, r4)
    mul(r2, r4)
    sub(r6, r6, r3)  # t.re = (g.im cos - g.re sin) >> 15
    add(r5, r5, r2)
    neg(r5, r5)  # t.im = (-g.im sin - g.re cos) >> 15
    mov(r2, 0)
    asr(r6, r6, 15)
    adc(r6, r2)
    data(2, _SXTH | 6 << 3 | 6)  # sxth r6, r6
    asr(r5, r5, 15)
    adc(r5, r2)
    data(2, _SXTH | 5 << 3 | 5)  # sxth r5, r5

    # energy[k] = ((a + b + t) / 2) squared
    add(r2, r0, r6)
    asr(r2, r2, 1)
    mul(r2, r2)
    add(r3, r1, r5)
    asr(r3, r3, 1)
    mul(r3, r3)
    add(r2, r2, r3)
    mov(r4, lr)
    data(2, _STMIA | 4 << 8 | 1 << 2)  # stmia r4!, {r2}
    mov(lr, r4)

    # energy[256 - k] = ((a + b - t) / 2) squared, where it counts; bin 128 is its own mirror, and this one stands
    data(2, _LDR_SP | 3 << 8 | 0)  # ldr r3, [sp, 0]
    sub(r3, r3, r4)  # r3: energy[256 - k]
    data(2, _CMP_HIGH | 4 << 3 | 3)  # cmp r3, r12
    bhi(NO_MIRROR)
    sub(r0, r0, r6)
    asr(r0, r0, 1)
    mul(r0, r0)
    sub(r1, r5, r1)
    asr(r1, r1, 1)
    mul(r1, r1)
    add(r0, r0, r1)
    str(r0, [r3, 0])
    label(NO_MIRROR)
    mov(r6, 0)
    cmp(r3, r4)  # they pass each other at bin 128
    bhi(BIN)

    data(2, _ADD_SP | 2)  # add sp, 8
    pop({r4, r5, r6, r7})
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)
    mov(r0, 0)
