# The front end's FFT in Thumb assembler for ARMv6-M. frontend_bytecode.py says what transform computes; here it is
# two functions, as an assembler function takes four arguments at most.
#
# Every instruction is one of ARMv6-M's. What MicroPython's assembler has no name for is emitted by data(), with the
# registers in their places; r8 to r11 are the caller's and are kept on the stack, r12 and lr are free.
#
# kissfft divides by 4 as (x * 8191 + 2**14) >> 15. asr by 15 leaves bit 14 in the carry, so that adc of zero rounds:
# all roundings are done so, with a register that holds zero.
import micropython

_SXTH = const(0xB200)  # sxth rd, rm: rm << 3 | rd
_LDMIA = const(0xC800)  # ldmia rn!, {list}: rn << 8 | list
_LDR_SP = const(0x9800)  # ldr rt, [sp, 4 n]: rt << 8 | n
_STR_SP = const(0x9000)  # str rt, [sp, 4 n]: rt << 8 | n
_LDR_AT = const(0x5800)  # ldr rt, [rn, rm]: rm << 6 | rn << 3 | rt
_ADD_HIGH = const(0x4440)  # add rd, rm of r8 to r15: (rm - 8) << 3 | rd
_ADD_SP = const(0xB000)  # add sp, 4 n: n
_SUB_SP = const(0xB080)  # sub sp, 4 n: n


@micropython.asm_thumb
def first_stage(r0, r1, r2, r3):  # windowed, shift, reversal, spectrum
    # Digit reversal, scaling and the first radix-4 stage. Its twiddles are 32767 / 32768, which rounds back to the
    # same number for all that a division by 4 leaves.
    mov(r4, r8)
    mov(r5, r9)
    mov(r6, r10)
    mov(r7, r11)
    push({r4, r5, r6, r7})
    # Stack: 0: 16 + shift; 1: next of the reversal; 2: where the spectrum ends.
    # r12: windowed; lr: next of the spectrum; r5: 16 + shift; r6: 0; r7: 8191.
    mov(r12, r0)
    mov(lr, r3)
    data(2, _SUB_SP | 4)  # sub sp, 16
    add(r1, 16)
    data(2, _STR_SP | 1 << 8 | 0)  # str r1, [sp, 0]
    data(2, _STR_SP | 2 << 8 | 1)  # str r2, [sp, 4]
    mov(r4, 4)
    lsl(r4, r4, 8)
    add(r4, r4, r3)
    data(2, _STR_SP | 4 << 8 | 2)  # str r4, [sp, 8]
    mov(r7, 1)
    lsl(r7, r7, 13)
    sub(r7, 1)
    mov(r6, 0)

    label(GROUP)
    data(2, _LDR_SP | 0 << 8 | 1)  # ldr r0, [sp, 4]
    ldrb(r4, [r0, 0])
    add(r0, 1)
    data(2, _STR_SP | 0 << 8 | 1)  # str r0, [sp, 4]
    lsl(r4, r4, 2)
    data(2, _ADD_HIGH | 4 << 3 | 4)  # add r4, r12: the first of four points, 256 bytes apart
    data(2, _LDR_SP | 5 << 8 | 0)  # ldr r5, [sp, 0]

    # a in r0, r1 and c in r2, r3. A point is one word, real part below; shifting it to the top wraps as int16 does.
    ldr(r0, [r4, 0])
    lsr(r1, r0, 16)
    lsl(r0, r5)
    lsl(r1, r5)
    asr(r0, r0, 16)
    asr(r1, r1, 16)
    mul(r0, r7)
    mul(r1, r7)
    asr(r0, r0, 15)
    adc(r0, r6)
    asr(r1, r1, 15)
    adc(r1, r6)
    mov(r2, 2)
    lsl(r2, r2, 8)
    data(2, _LDR_AT | 2 << 6 | 4 << 3 | 2)  # ldr r2, [r4, r2]
    lsr(r3, r2, 16)
    lsl(r2, r5)
    lsl(r3, r5)
    asr(r2, r2, 16)
    asr(r3, r3, 16)
    mul(r2, r7)
    mul(r3, r7)
    asr(r2, r2, 15)
    adc(r2, r6)
    asr(r3, r3, 15)
    adc(r3, r6)
    # r8, r9: a + c; r10, r11: a - c
    add(r6, r0, r2)
    mov(r8, r6)
    add(r6, r1, r3)
    mov(r9, r6)
    sub(r0, r0, r2)
    mov(r10, r0)
    sub(r1, r1, r3)
    mov(r11, r1)
    mov(r6, 0)

    # b in r0, r1 and d in r2, r3
    mov(r0, 1)
    lsl(r0, r0, 8)
    data(2, _LDR_AT | 0 << 6 | 4 << 3 | 0)  # ldr r0, [r4, r0]
    lsr(r1, r0, 16)
    lsl(r0, r5)
    lsl(r1, r5)
    asr(r0, r0, 16)
    asr(r1, r1, 16)
    mul(r0, r7)
    mul(r1, r7)
    asr(r0, r0, 15)
    adc(r0, r6)
    asr(r1, r1, 15)
    adc(r1, r6)
    mov(r2, 3)
    lsl(r2, r2, 8)
    data(2, _LDR_AT | 2 << 6 | 4 << 3 | 2)  # ldr r2, [r4, r2]
    lsr(r3, r2, 16)
    lsl(r2, r5)
    lsl(r3, r5)
    asr(r2, r2, 16)
    asr(r3, r3, 16)
    mul(r2, r7)
    mul(r3, r7)
    asr(r2, r2, 15)
    adc(r2, r6)
    asr(r3, r3, 15)
    adc(r3, r6)
    # r4, r2: b + d; r0, r1: b - d
    add(r4, r0, r2)
    sub(r0, r0, r2)
    add(r2, r1, r3)
    sub(r1, r1, r3)

    # Four points out, four bytes apart; r3, r6: scratch.
    mov(r5, lr)
    mov(r3, r8)
    sub(r6, r3, r4)
    add(r3, r3, r4)
    strh(r3, [r5, 0])  # a.re = (a + c).re + (b + d).re
    strh(r6, [r5, 8])  # c.re = (a + c).re - (b + d).re
    mov(r3, r9)
    sub(r6, r3, r2)
    add(r3, r3, r2)
    strh(r3, [r5, 2])  # a.im = (a + c).im + (b + d).im
    strh(r6, [r5, 10])  # c.im = (a + c).im - (b + d).im
    mov(r3, r10)
    sub(r6, r3, r1)
    add(r3, r3, r1)
    strh(r3, [r5, 4])  # b.re = (a - c).re + (b - d).im
    strh(r6, [r5, 12])  # d.re = (a - c).re - (b - d).im
    mov(r3, r11)
    sub(r6, r3, r0)
    add(r3, r3, r0)
    strh(r6, [r5, 6])  # b.im = (a - c).im - (b - d).re
    strh(r3, [r5, 14])  # d.im = (a - c).im + (b - d).re
    mov(r6, 0)
    add(r5, 16)
    mov(lr, r5)
    data(2, _LDR_SP | 3 << 8 | 2)  # ldr r3, [sp, 8]
    cmp(r5, r3)
    beq(DONE)
    b(GROUP)

    label(DONE)
    data(2, _ADD_SP | 4)  # add sp, 16
    pop({r4, r5, r6, r7})
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)
    mov(r0, 0)


@micropython.asm_thumb
def later_stages(r0, r1):  # spectrum, twiddles
    # Stages with legs 4, 16 and 64 points apart. The middle loop runs over rows of twiddles, so that each is unbiased
    # once; the inner one over the butterflies that share it.
    mov(r4, r8)
    mov(r5, r9)
    mov(r6, r10)
    mov(r7, r11)
    push({r4, r5, r6, r7})
    # Stack: 0 to 2: w1, w2, w3, the real part below; 3: where the spectrum ends; 4: the row's first butterfly; 5: the
    # row; 6: bytes from one row to the next; 7: the spectrum; 8: the twiddles.
    # r12: bytes between the legs of a butterfly; lr: the same, negative; r5: 0; r7: 8191.
    data(2, _SUB_SP | 10)  # sub sp, 40
    data(2, _STR_SP | 0 << 8 | 7)  # str r0, [sp, 28]
    data(2, _STR_SP | 1 << 8 | 8)  # str r1, [sp, 32]
    mov(r2, 4)
    lsl(r2, r2, 8)
    add(r2, r2, r0)
    data(2, _STR_SP | 2 << 8 | 3)  # str r2, [sp, 12]
    mov(r2, 192)
    data(2, _STR_SP | 2 << 8 | 6)  # str r2, [sp, 24]: every 16th row, then every 4th, then every one
    mov(r3, 16)
    mov(r12, r3)
    neg(r3, r3)
    mov(lr, r3)
    mov(r5, 0)
    mov(r7, 1)
    lsl(r7, r7, 13)
    sub(r7, 1)

    label(STAGE)
    data(2, _LDR_SP | 6 << 8 | 7)  # ldr r6, [sp, 28]
    data(2, _LDR_SP | 1 << 8 | 8)  # ldr r1, [sp, 32]

    label(ROW)
    data(2, _STR_SP | 6 << 8 | 4)  # str r6, [sp, 16]
    data(2, _STR_SP | 1 << 8 | 5)  # str r1, [sp, 20]
    data(2, _LDMIA | 1 << 8 | 0x1C)  # ldmia r1!, {r2-r4}
    mov(r0, 1)
    lsl(r0, r0, 16)
    add(r0, 1)
    lsl(r0, r0, 15)  # 0x80008000: flipping the highest bits takes the bias of 32768 away
    eor(r2, r0)
    eor(r3, r0)
    eor(r4, r0)
    data(2, _STR_SP | 2 << 8 | 0)  # str r2, [sp, 0]
    data(2, _STR_SP | 3 << 8 | 1)  # str r3, [sp, 4]
    data(2, _STR_SP | 4 << 8 | 2)  # str r4, [sp, 8]

    # One butterfly, r6 at its a. Each point is divided by 4 and, but for a, turned:
    # re = (x.re w.re - x.im w.im) >> 15, im = (x.re w.im + x.im w.re) >> 15.
    label(BUTTERFLY)
    data(2, _ADD_HIGH | 4 << 3 | 6)  # add r6, r12: b
    ldr(r0, [r6, 0])
    asr(r1, r0, 16)
    data(2, _SXTH | 0 << 3 | 0)  # sxth r0, r0
    mul(r0, r7)
    mul(r1, r7)
    asr(r0, r0, 15)
    adc(r0, r5)
    asr(r1, r1, 15)
    adc(r1, r5)
    data(2, _LDR_SP | 2 << 8 | 0)  # ldr r2, [sp, 0]
    asr(r3, r2, 16)
    data(2, _SXTH | 2 << 3 | 2)  # sxth r2, r2
    mov(r4, r0)
    mul(r4, r2)
    mul(r0, r3)
    mul(r3, r1)
    mul(r1, r2)
    sub(r4, r4, r3)
    add(r1, r1, r0)
    asr(r4, r4, 15)
    adc(r4, r5)
    asr(r1, r1, 15)
    adc(r1, r5)
    mov(r8, r4)
    mov(r9, r1)

    data(2, _ADD_HIGH | 4 << 3 | 6)  # add r6, r12
    data(2, _ADD_HIGH | 4 << 3 | 6)  # add r6, r12: d
    ldr(r0, [r6, 0])
    asr(r1, r0, 16)
    data(2, _SXTH | 0 << 3 | 0)  # sxth r0, r0
    mul(r0, r7)
    mul(r1, r7)
    asr(r0, r0, 15)
    adc(r0, r5)
    asr(r1, r1, 15)
    adc(r1, r5)
    data(2, _LDR_SP | 2 << 8 | 2)  # ldr r2, [sp, 8]
    asr(r3, r2, 16)
    data(2, _SXTH | 2 << 3 | 2)  # sxth r2, r2
    mov(r4, r0)
    mul(r4, r2)
    mul(r0, r3)
    mul(r3, r1)
    mul(r1, r2)
    sub(r4, r4, r3)
    add(r1, r1, r0)
    asr(r4, r4, 15)
    adc(r4, r5)
    asr(r1, r1, 15)
    adc(r1, r5)
    # r8, r9: b + d; r10, r11: b - d
    mov(r2, r8)
    mov(r3, r9)
    add(r0, r2, r4)
    mov(r8, r0)
    sub(r2, r2, r4)
    mov(r10, r2)
    add(r0, r3, r1)
    mov(r9, r0)
    sub(r3, r3, r1)
    mov(r11, r3)

    data(2, _ADD_HIGH | 6 << 3 | 6)  # add r6, lr: c
    ldr(r0, [r6, 0])
    asr(r1, r0, 16)
    data(2, _SXTH | 0 << 3 | 0)  # sxth r0, r0
    mul(r0, r7)
    mul(r1, r7)
    asr(r0, r0, 15)
    adc(r0, r5)
    asr(r1, r1, 15)
    adc(r1, r5)
    data(2, _LDR_SP | 2 << 8 | 1)  # ldr r2, [sp, 4]
    asr(r3, r2, 16)
    data(2, _SXTH | 2 << 3 | 2)  # sxth r2, r2
    mov(r4, r0)
    mul(r4, r2)
    mul(r0, r3)
    mul(r3, r1)
    mul(r1, r2)
    sub(r4, r4, r3)
    add(r1, r1, r0)
    asr(r4, r4, 15)
    adc(r4, r5)
    asr(r1, r1, 15)
    adc(r1, r5)

    data(2, _ADD_HIGH | 6 << 3 | 6)  # add r6, lr
    data(2, _ADD_HIGH | 6 << 3 | 6)  # add r6, lr: a
    ldr(r2, [r6, 0])
    asr(r3, r2, 16)
    data(2, _SXTH | 2 << 3 | 2)  # sxth r2, r2
    mul(r2, r7)
    mul(r3, r7)
    asr(r2, r2, 15)
    adc(r2, r5)
    asr(r3, r3, 15)
    adc(r3, r5)
    # r0, r1: a + c; r2, r3: a - c
    add(r0, r2, r4)
    sub(r2, r2, r4)
    add(r4, r3, r1)
    sub(r3, r3, r1)
    mov(r1, r4)

    # Out, in order; c waits in r5, r1 and d in r2, r3.
    mov(r4, r8)
    sub(r5, r0, r4)  # c.re = (a + c).re - (b + d).re
    add(r0, r0, r4)
    strh(r0, [r6, 0])  # a.re = (a + c).re + (b + d).re
    mov(r4, r9)
    add(r0, r1, r4)
    strh(r0, [r6, 2])  # a.im = (a + c).im + (b + d).im
    sub(r1, r1, r4)  # c.im = (a + c).im - (b + d).im
    data(2, _ADD_HIGH | 4 << 3 | 6)  # add r6, r12
    mov(r4, r11)
    add(r0, r2, r4)
    strh(r0, [r6, 0])  # b.re = (a - c).re + (b - d).im
    sub(r2, r2, r4)  # d.re = (a - c).re - (b - d).im
    mov(r4, r10)
    sub(r0, r3, r4)
    strh(r0, [r6, 2])  # b.im = (a - c).im - (b - d).re
    add(r3, r3, r4)  # d.im = (a - c).im + (b - d).re
    data(2, _ADD_HIGH | 4 << 3 | 6)  # add r6, r12
    strh(r5, [r6, 0])
    strh(r1, [r6, 2])
    data(2, _ADD_HIGH | 4 << 3 | 6)  # add r6, r12
    strh(r2, [r6, 0])
    strh(r3, [r6, 2])
    data(2, _ADD_HIGH | 4 << 3 | 6)  # add r6, r12: the next butterfly of this row
    mov(r5, 0)
    data(2, _LDR_SP | 4 << 8 | 3)  # ldr r4, [sp, 12]
    cmp(r6, r4)
    bcs(NEXT_ROW)
    b(BUTTERFLY)

    label(NEXT_ROW)
    data(2, _LDR_SP | 6 << 8 | 4)  # ldr r6, [sp, 16]
    data(2, _LDR_SP | 1 << 8 | 5)  # ldr r1, [sp, 20]
    data(2, _LDR_SP | 2 << 8 | 6)  # ldr r2, [sp, 24]
    add(r6, 4)
    add(r1, r1, r2)
    data(2, _LDR_SP | 3 << 8 | 7)  # ldr r3, [sp, 28]
    data(2, _ADD_HIGH | 4 << 3 | 3)  # add r3, r12: a row begins at each point before the second leg
    cmp(r6, r3)
    beq(NEXT_STAGE)
    b(ROW)

    label(NEXT_STAGE)
    lsr(r2, r2, 2)
    data(2, _STR_SP | 2 << 8 | 6)  # str r2, [sp, 24]
    mov(r3, r12)
    lsl(r3, r3, 2)
    mov(r12, r3)
    neg(r4, r3)
    mov(lr, r4)
    lsr(r3, r3, 9)  # legs of 1024 bytes would be the fifth stage
    bne(DONE)
    b(STAGE)

    label(DONE)
    data(2, _ADD_SP | 10)  # add sp, 40
    pop({r4, r5, r6, r7})
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)
    mov(r0, 0)
