# The front end from channels to features in Thumb assembler for ARMv6-M. frontend_bytecode.py says what each kernel
# computes, fft_asm.py how this assembler is written.
import micropython

_LDMIA = const(0xC800)  # ldmia rn!, {list}: rn << 8 | list
_STMIA = const(0xC000)  # stmia rn!, {list}: rn << 8 | list
_ADD_HIGH = const(0x4440)  # add rd, rm of r8 to r15: (rm - 8) << 3 | rd
_CMP_HIGH = const(0x4540)  # cmp rn, rm of r8 to r15: (rm - 8) << 3 | rn


@micropython.asm_thumb
def reduce_noise(r0, r1):  # signal, noise
    mov(r7, r8)
    push({r7})
    # r2: smoothing; r8: where the signal ends; r12: 819; lr: 409 + 983
    mov(r3, 160)
    add(r3, r3, r0)
    mov(r8, r3)
    mov(r3, 205)
    lsl(r3, r3, 2)
    sub(r3, 1)
    mov(r12, r3)
    mov(r3, 174)
    lsl(r3, r3, 3)
    mov(lr, r3)
    mov(r2, 204)
    add(r2, 205)

    # r3: 16384 - smoothing; r4: signal << 10; r5: estimate
    label(CHANNEL)
    mov(r3, 1)
    lsl(r3, r3, 14)
    sub(r3, r3, r2)
    ldr(r4, [r0, 0])
    lsl(r4, r4, 10)
    ldr(r5, [r1, 0])
    # r5: (r4 * r2 + r5 * r3) >> 14, by the 14 lower bits and the rest
    lsl(r6, r4, 18)
    lsr(r6, r6, 18)
    mul(r6, r2)
    lsl(r7, r5, 18)
    lsr(r7, r7, 18)
    mul(r7, r3)
    add(r6, r6, r7)
    lsr(r6, r6, 14)
    lsr(r7, r4, 14)
    mul(r7, r2)
    add(r6, r6, r7)
    lsr(r5, r5, 14)
    mul(r5, r3)
    add(r5, r5, r6)
    data(2, _STMIA | 1 << 8 | 1 << 5)  # stmia r1!, {r5}
    # What is above the noise, or a twentieth of the signal where that is more
    sub(r5, r4, r5)
    asr(r5, r5, 10)
    lsr(r4, r4, 10)
    mov(r6, r12)
    mul(r4, r6)
    lsr(r4, r4, 14)
    cmp(r5, r4)
    bge(ABOVE)
    mov(r5, r4)
    label(ABOVE)
    data(2, _STMIA | 0 << 8 | 1 << 5)  # stmia r0!, {r5}
    mov(r6, lr)
    sub(r2, r6, r2)
    data(2, _CMP_HIGH | 0 << 3 | 0)  # cmp r0, r8
    bne(CHANNEL)

    pop({r7})
    mov(r8, r7)
    mov(r0, 0)


@micropython.asm_thumb
def gain(r0, r1, r2):  # signal, noise, gains
    # The first half of gain_and_log: the gain that follows from the noise, and compression, in place.
    # r7: 32768, the table's bias; r12: where the signal ends
    mov(r3, 160)
    add(r3, r3, r0)
    mov(r12, r3)
    mov(r7, 1)
    lsl(r7, r7, 15)

    # r3: the estimate, shifted until its highest bit is at the top; r4: its bit length
    label(CHANNEL)
    data(2, _LDMIA | 1 << 8 | 1 << 3)  # ldmia r1!, {r3}
    mov(r4, 31)
    lsr(r5, r3, 16)
    bne(HIGH_16)
    lsl(r3, r3, 16)
    sub(r4, 16)
    label(HIGH_16)
    lsr(r5, r3, 24)
    bne(HIGH_8)
    lsl(r3, r3, 8)
    sub(r4, 8)
    label(HIGH_8)
    lsr(r5, r3, 28)
    bne(HIGH_4)
    lsl(r3, r3, 4)
    sub(r4, 4)
    label(HIGH_4)
    lsr(r5, r3, 30)
    bne(HIGH_2)
    lsl(r3, r3, 2)
    sub(r4, 2)
    label(HIGH_2)
    lsr(r5, r3, 31)
    bne(HIGH_1)
    lsl(r3, r3, 1)
    sub(r4, 1)
    label(HIGH_1)
    lsr(r5, r3, 31)  # 0 for an estimate of 0, whose length is 0
    add(r4, r4, r5)

    # r3: fraction, the ten bits after the highest; r4: value, r5: curvature, r6: slope, 6 bytes a length
    lsl(r3, r3, 1)
    lsr(r3, r3, 22)
    lsl(r5, r4, 1)
    add(r4, r4, r5)
    lsl(r4, r4, 1)
    add(r4, r4, r2)
    ldrh(r5, [r4, 4])
    ldrh(r6, [r4, 2])
    ldrh(r4, [r4, 0])
    sub(r5, r5, r7)
    sub(r6, r6, r7)
    sub(r4, r4, r7)
    # r5: gain = ((((curvature * fraction) >> 5) + (slope << 5)) * fraction >> 15, rounded) + value
    mul(r5, r3)
    asr(r5, r5, 5)
    lsl(r6, r6, 5)
    add(r5, r5, r6)
    mul(r5, r3)
    mov(r6, 0)
    asr(r5, r5, 15)
    adc(r5, r6)
    add(r5, r5, r4)

    # r3: (signal * gain) >> 6, by the 12 lower bits and the rest
    ldr(r3, [r0, 0])
    lsr(r4, r3, 12)
    mul(r4, r5)
    lsl(r4, r4, 6)
    lsl(r3, r3, 20)
    lsr(r3, r3, 20)
    mul(r3, r5)
    lsr(r3, r3, 6)
    add(r3, r3, r4)
    # Compression: x * x >> 20 below 8192, (x >> 6) - 64 from there on
    lsr(r4, r3, 13)
    bne(LINEAR)
    mul(r3, r3)
    lsr(r3, r3, 20)
    b(COMPRESSED)
    label(LINEAR)
    lsr(r3, r3, 6)
    sub(r3, 64)
    label(COMPRESSED)
    data(2, _STMIA | 0 << 8 | 1 << 3)  # stmia r0!, {r3}
    data(2, _CMP_HIGH | 4 << 3 | 0)  # cmp r0, r12
    bne(CHANNEL)
    mov(r0, 0)


@micropython.asm_thumb
def log(r0, r1, r2):  # signal, logs, features
    # The second half of gain_and_log: 64 times the natural logarithm of 8 times the signal.
    # r12: where the signal ends; lr: 45426, ln 2 in 1/65536
    mov(r3, 160)
    add(r3, r3, r0)
    mov(r12, r3)
    mov(r3, 177)
    lsl(r3, r3, 8)
    add(r3, 114)
    mov(lr, r3)

    # r3: the value, shifted until its highest bit is at the top; r4: the number of that bit, log2's whole part
    label(CHANNEL)
    data(2, _LDMIA | 0 << 8 | 1 << 3)  # ldmia r0!, {r3}
    lsl(r3, r3, 3)
    bne(POSITIVE)  # 1 cannot be
    mov(r5, 0)
    b(STORE)
    label(POSITIVE)
    mov(r4, 31)
    lsr(r5, r3, 16)
    bne(HIGH_16)
    lsl(r3, r3, 16)
    sub(r4, 16)
    label(HIGH_16)
    lsr(r5, r3, 24)
    bne(HIGH_8)
    lsl(r3, r3, 8)
    sub(r4, 8)
    label(HIGH_8)
    lsr(r5, r3, 28)
    bne(HIGH_4)
    lsl(r3, r3, 4)
    sub(r4, 4)
    label(HIGH_4)
    lsr(r5, r3, 30)
    bne(HIGH_2)
    lsl(r3, r3, 2)
    sub(r4, 2)
    label(HIGH_2)
    lsr(r5, r3, 31)
    bne(HIGH_1)
    lsl(r3, r3, 1)
    sub(r4, 1)
    label(HIGH_1)

    # r3: fraction, the 16 bits after the highest; r6: its correction, between two entries of the table
    lsl(r3, r3, 1)
    lsr(r3, r3, 16)
    lsr(r5, r3, 9)
    add(r5, r5, r5)
    add(r5, r5, r1)
    ldrh(r6, [r5, 0])
    ldrh(r7, [r5, 2])
    sub(r7, r7, r6)
    lsl(r5, r3, 23)
    lsr(r5, r5, 23)
    mul(r7, r5)
    asr(r7, r7, 16)
    add(r6, r6, r7)
    # r3: log2 in 1/65536
    lsl(r4, r4, 16)
    add(r3, r3, r4)
    add(r3, r3, r6)
    # r5: (45426 * log2 + 2**15) >> 16, by the 12 lower bits and the rest
    mov(r6, lr)
    lsr(r5, r3, 12)
    mul(r5, r6)
    lsl(r3, r3, 20)
    lsr(r3, r3, 20)
    mul(r3, r6)
    mov(r6, 1)
    lsl(r6, r6, 15)
    add(r3, r3, r6)
    lsr(r3, r3, 12)
    add(r5, r5, r3)
    lsr(r5, r5, 4)
    # 64 of 65536 parts, rounded: bit 9 is in the carry
    mov(r6, 0)
    lsr(r5, r5, 10)
    adc(r5, r6)
    label(STORE)
    strh(r5, [r2, 0])
    add(r2, 2)
    data(2, _CMP_HIGH | 4 << 3 | 0)  # cmp r0, r12
    bne(CHANNEL)
    mov(r0, 0)


@micropython.asm_thumb
def quantize(r0, r1, r2, r3):  # features, out, offset, mode
    add(r1, r1, r2)
    mov(r2, 80)
    add(r2, r2, r0)  # r2: where the features end
    cmp(r3, 0)
    bne(PYMICRO)

    # ESPHome. r3: 25191, in 1/65536 what rounds 0 to 663 as (f * 256 + 333) / 666 does; r4: one half; r5: 664
    mov(r3, 98)
    lsl(r3, r3, 8)
    add(r3, 103)
    mov(r4, 128)
    lsl(r4, r4, 8)
    mov(r5, 166)
    lsl(r5, r5, 2)
    label(CLAMPED)
    ldrh(r6, [r0, 0])
    mov(r7, 127)
    cmp(r6, r5)
    bcs(CLAMP)
    mul(r6, r3)
    add(r6, r6, r4)
    lsr(r7, r6, 16)
    sub(r7, 128)
    label(CLAMP)
    strb(r7, [r1, 0])
    add(r1, 1)
    add(r0, 2)
    cmp(r0, r2)
    bne(CLAMPED)
    b(DONE)

    # pymicro-wakeword: (f * 22283 + 29081) / 58163. (f * 50214 + 24576) >> 17 is that or one less, for all 16 bits;
    # the remainder tells which. r3: 22283; r4: 50214; r5: 58163; r12: 29081; lr: 24576
    label(PYMICRO)
    mov(r3, 113)
    lsl(r3, r3, 8)
    add(r3, 153)
    mov(r12, r3)
    mov(r3, 96)
    lsl(r3, r3, 8)
    mov(lr, r3)
    mov(r3, 87)
    lsl(r3, r3, 8)
    add(r3, 11)
    mov(r4, 196)
    lsl(r4, r4, 8)
    add(r4, 38)
    mov(r5, 227)
    lsl(r5, r5, 8)
    add(r5, 51)
    label(WRAPPED)
    ldrh(r6, [r0, 0])
    mov(r7, r6)
    mul(r7, r4)
    data(2, _ADD_HIGH | 6 << 3 | 7)  # add r7, lr
    lsr(r7, r7, 17)
    mul(r6, r3)
    data(2, _ADD_HIGH | 4 << 3 | 6)  # add r6, r12
    push({r7})
    mul(r7, r5)
    sub(r6, r6, r7)
    pop({r7})
    cmp(r6, r5)
    bcc(EXACT)
    add(r7, 1)
    label(EXACT)
    sub(r7, 128)
    strb(r7, [r1, 0])
    add(r1, 1)
    add(r0, 2)
    cmp(r0, r2)
    bne(WRAPPED)
    label(DONE)
    mov(r0, 0)
