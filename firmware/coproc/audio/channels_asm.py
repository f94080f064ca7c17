# The front end's mel channels in Thumb assembler for ARMv6-M. frontend_bytecode.py says what channels computes, and
# fft_asm.py how this assembler is written. Two functions, as an assembler function takes four arguments at most.
import micropython

_LDMIA = const(0xC800)  # ldmia rn!, {list}: rn << 8 | list
_STMIA = const(0xC000)  # stmia rn!, {list}: rn << 8 | list
_CMP_HIGH = const(0x4540)  # cmp rn, rm of r8 to r15: (rm - 8) << 3 | rn

_FIRST_BIN = const(5)  # of the filter bank


@micropython.asm_thumb
def sums(r0, r1, r2, r3):  # energy, widths, weights, wide
    # The first half of channels: for each of 41 channels, of which the first is not used, a 41-bit sum in two words:
    # 12 low bits, then the rest. Part of a sum comes from the bins below: their energies less their weighted ones.
    mov(r4, r8)
    mov(r5, r9)
    mov(r6, r10)
    mov(r7, r11)
    push({r4, r5, r6, r7})
    # r0: next energy; r2: next weight; r8: next width; r9: next sum; r10, r11: from below, the rest and the low bits;
    # r12: where the channel's weights end; lr: where the sums end.
    add(r0, 4 * _FIRST_BIN)
    mov(r8, r1)
    mov(r9, r3)
    mov(r4, 41)
    lsl(r4, r4, 3)
    add(r4, r4, r3)
    mov(lr, r4)
    mov(r4, 0)
    mov(r10, r4)
    mov(r11, r4)

    # r3: sum of e; r4: sum of w * (e >> 12); r5: sum of w * e, modulo 2**32
    label(CHANNEL)
    mov(r3, 0)
    mov(r4, 0)
    mov(r5, 0)
    mov(r1, r8)
    ldrb(r6, [r1, 0])
    add(r1, 1)
    mov(r8, r1)
    add(r6, r6, r6)
    add(r6, r6, r2)
    mov(r12, r6)
    b(TEST)
    label(BIN)
    data(2, _LDMIA | 0 << 8 | 1 << 6)  # ldmia r0!, {r6}: e
    ldrh(r7, [r2, 0])  # r7: w
    add(r2, 2)
    add(r3, r3, r6)
    lsr(r1, r6, 12)
    mul(r1, r7)
    add(r4, r4, r1)
    mul(r6, r7)
    add(r5, r5, r6)
    label(TEST)
    data(2, _CMP_HIGH | 4 << 3 | 2)  # cmp r2, r12
    bne(BIN)

    # What r4 stands for is taken out of r5; what is left, the sum of w * (e & 4095), is small.
    lsl(r1, r4, 12)
    sub(r5, r5, r1)
    # r6: low bits, r7: the rest, of this sum and what comes from below
    mov(r6, r11)
    add(r6, r6, r5)
    mov(r7, r10)
    add(r7, r7, r4)
    asr(r1, r6, 12)
    add(r7, r7, r1)
    lsl(r6, r6, 20)
    lsr(r6, r6, 20)
    mov(r1, r9)
    data(2, _STMIA | 1 << 8 | 0xC0)  # stmia r1!, {r6, r7}
    mov(r9, r1)
    sub(r3, r3, r4)
    mov(r10, r3)
    neg(r5, r5)
    mov(r11, r5)
    data(2, _CMP_HIGH | 6 << 3 | 1)  # cmp r1, lr
    bne(CHANNEL)

    pop({r4, r5, r6, r7})
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)
    mov(r0, 0)


@micropython.asm_thumb
def roots(r0, r1, r2):  # wide, shift, signal
    # The second half of channels: signal = round(root(sum)) >> shift, 65535 where 65536 is nearer from below.
    # lr: where the signal ends
    add(r0, 8)
    mov(r3, 160)
    add(r3, r3, r2)
    mov(lr, r3)

    # r3: low bits; r4: what is left; r5: the digit's bit, squared; r6: the root; r12: 0 where all 29 bits are in r4
    label(CHANNEL)
    data(2, _LDMIA | 0 << 8 | 0x18)  # ldmia r0!, {r3, r4}
    lsr(r5, r4, 17)
    mov(r12, r5)
    bne(WIDE)
    lsl(r4, r4, 12)
    orr(r4, r3)
    label(WIDE)
    # The first bit may lie too high, not too low: 28, or near the highest of what there is.
    mov(r6, 0)
    mov(r5, 1)
    lsl(r5, r5, 12)
    lsr(r7, r4, 14)
    beq(DIGIT)
    lsl(r5, r5, 6)
    lsr(r7, r4, 20)
    beq(DIGIT)
    lsl(r5, r5, 4)
    lsr(r7, r4, 24)
    beq(DIGIT)
    lsl(r5, r5, 6)
    label(DIGIT)
    add(r7, r6, r5)
    lsr(r6, r6, 1)
    cmp(r4, r7)
    bcc(DIGIT_0)
    sub(r4, r4, r7)
    add(r6, r6, r5)
    label(DIGIT_0)
    lsr(r5, r5, 2)
    bne(DIGIT)

    # Six more digits, bringing the low bits down in pairs: left = 4 left + pair; a 1 takes 4 root + 1.
    mov(r5, r12)
    cmp(r5, 0)
    beq(ROUND)
    mov(r5, 6)
    lsl(r3, r3, 20)
    label(PAIR)
    lsr(r7, r3, 30)
    lsl(r3, r3, 2)
    lsl(r4, r4, 2)
    add(r4, r4, r7)
    lsl(r7, r6, 2)
    add(r7, 1)
    lsl(r6, r6, 1)
    cmp(r4, r7)
    bcc(PAIR_0)
    sub(r4, r4, r7)
    add(r6, 1)
    label(PAIR_0)
    sub(r5, 1)
    bne(PAIR)

    label(ROUND)
    cmp(r4, r6)
    bls(STORE)
    add(r7, r6, 1)
    mov(r5, 1)
    lsl(r5, r5, 16)
    cmp(r7, r5)
    beq(STORE)
    mov(r6, r7)
    label(STORE)
    lsr(r6, r1)
    data(2, _STMIA | 2 << 8 | 1 << 6)  # stmia r2!, {r6}
    data(2, _CMP_HIGH | 6 << 3 | 2)  # cmp r2, lr
    bne(CHANNEL)
    mov(r0, 0)
