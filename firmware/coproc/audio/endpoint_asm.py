# Kernel of endpointing in Thumb assembler for ARMv6-M. Same contract as endpoint_bytecode.py, bit for bit; fft_asm.py
# says how this assembler is written.
import micropython

_CMP_HIGH = const(0x4540)  # cmp rn, rm of r8 to r15: (rm - 8) << 3 | rn


@micropython.asm_thumb
def level(r0, r1, r2, r3):  # features, rows, at, sums; returns the loudest patch
    mov(r7, r8)
    push({r7})
    # r1: the oldest row; r5: left; r6: middle; r8: where the features end; r12: best; lr: 2047
    add(r2, r2, r2)
    add(r1, r1, r2)
    mov(r4, 80)
    add(r4, r4, r0)
    mov(r8, r4)
    mov(r5, 0)
    mov(r6, 0)
    mov(r12, r5)
    mov(r4, 1)
    lsl(r4, r4, 11)
    sub(r4, 1)
    mov(lr, r4)

    # r2: the new feature, capped
    label(CHANNEL)
    ldrh(r2, [r0, 0])
    lsr(r4, r2, 11)
    beq(FITS)
    mov(r2, lr)
    label(FITS)
    # r7: right, its channel's sum, with the new feature in the place of the oldest
    ldrh(r7, [r3, 0])
    ldrh(r4, [r1, 0])
    add(r7, r7, r2)
    sub(r7, r7, r4)
    strh(r2, [r1, 0])
    strh(r7, [r3, 0])
    # The first two channels make no patch of three; what they add up to is never more than the first patch.
    add(r4, r5, r6)
    add(r4, r4, r7)
    data(2, _CMP_HIGH | 4 << 3 | 4)  # cmp r4, r12
    bls(QUIETER)
    mov(r12, r4)
    label(QUIETER)
    mov(r5, r6)
    mov(r6, r7)
    add(r0, 2)
    add(r1, 2)
    add(r3, 2)
    data(2, _CMP_HIGH | 0 << 3 | 0)  # cmp r0, r8
    bne(CHANNEL)

    mov(r0, r12)
    pop({r7})
    mov(r8, r7)
