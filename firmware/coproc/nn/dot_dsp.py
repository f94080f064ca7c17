"""CONV and DEPTHWISE in Thumb assembler for the DSP extension: Cortex-M4, M7, M33 and above (firmware/PLAN.md).

dot_asm.py for those processors; what is not said here is as there. In packing 3 a block of 4 channels has four words
for 4 columns: two for its first pair of channels, two for the second. Of each two words the first holds columns 0 and
2, the second 1 and 3, just as uxtb16 takes four x apart. A word's bytes are even channel, odd channel of one column,
then of the other; weights of odd channels are signed.

smlad multiplies halves: of the whole word this sums S0 + 2^8 S1, of its even bytes S0. The difference gives S1 while
that fits 24 bits, over at most 252 columns at once. The frame differs in

     8 start        of even channels: - weight zero * sum of x
   104 start        of odd ones and a single one, whose weights are signed: 128 * sum of x more
   108 taps y, 112 bytes of weights of a row of taps, 116 tap step x, 120 from a row of taps to the next
"""

import micropython


@micropython.asm_thumb
def dot(r0, r1, r2):
    """Run one CONV or DEPTHWISE record: arena, plan, offset of the record in the plan."""
    mov(r4, r8)
    mov(r5, r9)
    mov(r6, r10)
    mov(r7, r11)
    push({r4, r5, r6, r7})
    data(2, 0xB09F)  # sub sp, 124
    mov(r7, sp)
    mov(r12, r7)
    add(r2, r2, r1)
    mov(r4, r7)
    add(r4, 64)
    str(r2, [r4, 24])
    ldr(r3, [r2, 4])
    add(r3, r3, r0)
    str(r3, [r4, 12])
    ldr(r3, [r2, 8])
    add(r3, r3, r0)
    str(r3, [r4, 16])
    ldr(r3, [r2, 12])
    str(r3, [r4, 20])
    ldr(r3, [r2, 0])
    str(r3, [r7, 100])
    lsr(r3, r3, 1)
    bcs(SET_DEPTHWISE)
    ldr(r3, [r2, 48])
    add(r3, r3, r0)
    str(r3, [r4, 32])
    ldr(r5, [r2, 56])
    mov(r6, 1)
    add(r2, 60)
    mov(r3, r2)
    add(r3, 8)
    ldr(r0, [r3, 16])
    b(SET)
    label(SET_DEPTHWISE)
    ldr(r5, [r2, 44])
    ldr(r6, [r2, 56])
    add(r7, 108)
    ldr(r0, [r2, 28])
    str(r0, [r7, 0])
    ldr(r0, [r2, 36])
    lsl(r3, r0, 2)
    str(r3, [r7, 4])
    ldr(r3, [r2, 40])
    str(r3, [r7, 8])
    mul(r3, r0)
    ldr(r0, [r2, 32])
    sub(r0, r0, r3)
    str(r0, [r7, 12])
    sub(r7, 108)
    add(r2, 48)
    mov(r3, r2)
    add(r3, 16)
    ldr(r0, [r3, 12])
    label(SET)  # r0 clamps, r2 the word of the out row step, r3 that of the weights, r5 channels, r6 out channel step
    str(r2, [r4, 28])
    str(r5, [r7, 60])
    str(r6, [r7, 44])
    ldr(r2, [r3, 0])
    add(r2, r2, r1)
    str(r2, [r7, 56])
    ldr(r2, [r3, 4])
    add(r2, r2, r1)
    str(r2, [r7, 48])
    ldr(r2, [r3, 8])
    add(r2, r2, r1)
    str(r2, [r7, 52])
    data(2, 0xB2C2)  # uxtb r2, r0
    str(r2, [r7, 32])
    lsr(r0, r0, 8)
    data(2, 0xB2C2)  # uxtb r2, r0
    str(r2, [r7, 36])
    lsr(r0, r0, 8)
    str(r0, [r7, 40])

    label(ROW)
    mov(r7, r12)
    add(r7, 64)
    ldr(r0, [r7, 12])
    str(r0, [r7, 0])
    ldr(r0, [r7, 16])
    str(r0, [r7, 4])
    ldr(r0, [r7, 24])
    ldr(r0, [r0, 16])
    str(r0, [r7, 8])

    label(COLUMN)
    mov(r7, r12)
    mov(r6, r7)
    add(r6, 48)
    data(2, 0xCE3C)  # ldmia r6!, {r2, r3, r4, r5}
    str(r2, [r7, 12])
    str(r3, [r7, 16])
    str(r4, [r7, 24])
    str(r5, [r7, 28])
    data(2, 0xCE03)  # ldmia r6!, {r0, r1}
    str(r0, [r7, 0])
    str(r1, [r7, 20])
    ldr(r6, [r6, 16])
    ldr(r1, [r7, 100])
    lsr(r1, r1, 1)
    bcc(WINDOW)
    b(DEPTHWISE)

    label(WINDOW)  # r0 window, r6 record, r7 frame
    ldr(r2, [r6, 28])
    ldr(r3, [r6, 36])
    mov(r4, r2)
    mul(r4, r3)
    cmp(r4, 1)
    beq(GATHERED)
    mov(r1, r0)
    mov(r5, r7)
    add(r5, 96)
    ldr(r0, [r5, 0])
    str(r0, [r7, 0])
    label(PIECES_Y)  # r0 to, r1 from, r2 pieces left, r6 record
    mov(r3, r1)
    ldr(r4, [r6, 36])
    label(PIECES_X)
    ldr(r5, [r6, 44])
    mov(r7, r0)
    orr(r7, r3)
    orr(r7, r5)
    lsl(r7, r7, 30)
    bne(BYTES)
    label(WORDS)
    sub(r5, 4)
    data(2, 0x595F)  # ldr r7, [r3, r5]
    data(2, 0x5147)  # str r7, [r0, r5]
    bne(WORDS)
    b(PIECE_END)
    label(BYTES)
    sub(r5, 1)
    data(2, 0x5D5F)  # ldrb r7, [r3, r5]
    data(2, 0x5547)  # strb r7, [r0, r5]
    bne(BYTES)
    label(PIECE_END)
    ldr(r5, [r6, 44])
    add(r0, r0, r5)
    ldr(r5, [r6, 40])
    add(r3, r3, r5)
    sub(r4, 1)
    bne(PIECES_X)
    ldr(r5, [r6, 32])
    add(r1, r1, r5)
    sub(r2, 1)
    bne(PIECES_Y)
    mov(r7, r12)
    ldr(r0, [r7, 0])

    label(GATHERED)  # r0 x
    ldr(r1, [r6, 52])
    add(r1, r1, r0)
    str(r1, [r7, 4])
    mov(r3, 0)
    mov(r4, 0)
    label(TOTAL)
    data(2, 0xF850, 0x2B04)  # ldr r2, [r0], 4
    data(2, 0xFB72, 0x3304)  # usada8 r3, r2, r4, r3
    cmp(r0, r1)
    bne(TOTAL)
    add(r6, 80)
    ldr(r6, [r6, 0])
    mul(r6, r3)
    neg(r6, r6)
    str(r6, [r7, 8])
    lsl(r3, r3, 7)
    add(r3, r3, r6)
    str(r3, [r7, 104])
    ldr(r4, [r7, 60])
    cmp(r4, 1)
    bne(CONV)
    ldr(r0, [r7, 0])
    ldr(r1, [r7, 24])
    ldr(r7, [r7, 4])
    mov(lr, r3)
    label(SINGLE)  # one channel: r0 x, r1 weights, r7 end, lr sum
    data(2, 0xC910)  # ldmia r1!, {r4}
    data(2, 0xF850, 0x2B04)  # ldr r2, [r0], 4
    data(2, 0xFA3F, 0xF382)  # uxtb16 r3, r2
    data(2, 0xFA3F, 0xF292)  # uxtb16 r2, r2, ror 8
    data(2, 0xFA2F, 0xF584)  # sxtb16 r5, r4
    data(2, 0xFA2F, 0xF494)  # sxtb16 r4, r4, ror 8
    data(2, 0xFB23, 0xEE05)  # smlad lr, r3, r5, lr
    data(2, 0xFB22, 0xEE04)  # smlad lr, r2, r4, lr
    cmp(r0, r7)
    bne(SINGLE)
    mov(r7, r12)
    mov(r2, lr)
    push({r2, r3, r4, r5})
    b(REQUANTISE)

    label(CONV)  # one block; r7 frame
    ldr(r0, [r7, 0])
    ldr(r1, [r7, 24])
    label(CHUNK)  # r0 x, r1 weights, r7 frame, r8 and r10 sums of pairs, r9 and r11 of even channels, lr end
    mov(r2, 0)
    mov(r8, r2)
    mov(r9, r2)
    mov(r10, r2)
    mov(r11, r2)
    mov(r2, r0)
    add(r2, 252)
    ldr(r3, [r7, 4])
    cmp(r2, r3)
    bls(CHUNK_END)
    mov(r2, r3)
    label(CHUNK_END)
    mov(lr, r2)
    label(COLUMNS)
    data(2, 0xC9F0)  # ldmia r1!, {r4, r5, r6, r7}
    data(2, 0xF850, 0x2B04)  # ldr r2, [r0], 4
    data(2, 0xFA3F, 0xF392)  # uxtb16 r3, r2, ror 8
    data(2, 0xFA3F, 0xF282)  # uxtb16 r2, r2
    data(2, 0xFB24, 0x8802)  # smlad r8, r4, r2, r8
    data(2, 0xFA3F, 0xF484)  # uxtb16 r4, r4
    data(2, 0xFB24, 0x9902)  # smlad r9, r4, r2, r9
    data(2, 0xFB25, 0x8803)  # smlad r8, r5, r3, r8
    data(2, 0xFA3F, 0xF585)  # uxtb16 r5, r5
    data(2, 0xFB25, 0x9903)  # smlad r9, r5, r3, r9
    data(2, 0xFB26, 0xAA02)  # smlad r10, r6, r2, r10
    data(2, 0xFA3F, 0xF686)  # uxtb16 r6, r6
    data(2, 0xFB26, 0xBB02)  # smlad r11, r6, r2, r11
    data(2, 0xFB27, 0xAA03)  # smlad r10, r7, r3, r10
    data(2, 0xFA3F, 0xF787)  # uxtb16 r7, r7
    data(2, 0xFB27, 0xBB03)  # smlad r11, r7, r3, r11
    data(2, 0x4570)  # cmp r0, lr
    bne(COLUMNS)
    mov(r2, r9)
    mov(r3, r8)
    sub(r3, r3, r2)
    asr(r3, r3, 8)
    mov(r4, r11)
    mov(r5, r10)
    sub(r5, r5, r4)
    asr(r5, r5, 8)
    data(2, 0x45E5)  # cmp sp, r12
    bne(NEXT_CHUNK)
    mov(r7, r12)
    ldr(r6, [r7, 8])
    add(r2, r2, r6)
    add(r4, r4, r6)
    ldr(r6, [r7, 104])
    add(r3, r3, r6)
    add(r5, r5, r6)
    label(SUMMED)
    push({r2, r3, r4, r5})
    mov(r7, r12)
    ldr(r3, [r7, 4])
    cmp(r0, r3)
    bne(CHUNK)
    str(r1, [r7, 24])
    b(REQUANTISE)
    label(NEXT_CHUNK)
    pop({r6, r7})
    add(r2, r2, r6)
    add(r3, r3, r7)
    pop({r6, r7})
    add(r4, r4, r6)
    add(r5, r5, r7)
    b(SUMMED)

    label(DEPTHWISE)  # one block; r7 frame
    mov(r2, 0)
    mov(r8, r2)
    mov(r9, r2)
    mov(r10, r2)
    mov(r11, r2)
    ldr(r1, [r7, 24])
    ldr(r0, [r7, 0])
    add(r2, r0, 4)
    str(r2, [r7, 0])
    add(r7, 108)
    data(2, 0xCF6C)  # ldmia r7!, {r2, r3, r5, r6}
    mov(r7, r2)
    add(r6, r1, r3)
    label(TAPS_X)  # r0 x, r1 weights, r5 tap step x, r6 where the row's weights end, r7 rows left
    data(2, 0xC910)  # ldmia r1!, {r4}
    ldr(r2, [r0, 0])
    add(r0, r0, r5)
    data(2, 0xFA3F, 0xF382)  # uxtb16 r3, r2
    data(2, 0xFA3F, 0xF292)  # uxtb16 r2, r2, ror 8
    data(2, 0xFA2F, 0xFE84)  # sxtb16 lr, r4
    data(2, 0xFA2F, 0xF494)  # sxtb16 r4, r4, ror 8
    data(2, 0xFB13, 0x880E)  # smlabb r8, r3, lr, r8
    data(2, 0xFB12, 0x9904)  # smlabb r9, r2, r4, r9
    data(2, 0xFB13, 0xAA3E)  # smlatt r10, r3, lr, r10
    data(2, 0xFB12, 0xBB34)  # smlatt r11, r2, r4, r11
    cmp(r1, r6)
    bne(TAPS_X)
    data(2, 0x9A1E)  # ldr r2, [sp, 120]
    add(r0, r0, r2)
    data(2, 0x9A1C)  # ldr r2, [sp, 112]
    add(r6, r6, r2)
    sub(r7, 1)
    bne(TAPS_X)
    mov(r7, r12)
    str(r1, [r7, 24])
    mov(r2, r8)
    mov(r3, r9)
    mov(r4, r10)
    mov(r5, r11)
    push({r2, r3, r4, r5})

    label(REQUANTISE)  # the sums of 4 channels lie on the stack; r7 frame
    ldr(r6, [r7, 28])
    sub(r6, 4)
    bcs(WHOLE)
    pop({r0, r1, r2, r3})  # fewer channels are left: drop the sums of those that are not
    add(r6, 4)
    cmp(r6, 2)
    bhi(THREE)
    beq(TWO)
    push({r0})
    b(DROPPED)
    label(TWO)
    push({r0, r1})
    b(DROPPED)
    label(THREE)
    push({r0, r1, r2})
    label(DROPPED)
    mov(r6, 0)
    label(WHOLE)
    str(r6, [r7, 28])
    add(r7, 32)
    data(2, 0xCF0F)  # ldmia r7!, {r0, r1, r2, r3}
    mov(r8, r0)
    mov(r9, r1)
    mov(r10, r2)
    mov(lr, r3)
    sub(r7, 36)
    data(2, 0xCF70)  # ldmia r7!, {r4, r5, r6}

    label(CHANNEL)  # r4 table, r5 shifts, r6 out, r8 zero point, r9 lowest, r10 highest, lr out step
    pop({r0})
    data(2, 0xCC06)  # ldmia r4!, {r1, r2}
    add(r0, r0, r1)
    ble(NEGATIVE)
    label(SCALE)  # r0 sum, r2 multiplier
    ldrb(r3, [r5, 0])
    cmp(r3, 31)
    bhi(LEFT)
    label(PRODUCT)  # r3 shift
    data(2, 0xFB80, 0x2102)  # smull r2, r1, r0, r2
    lsl(r2, r2, 1)
    adc(r1, r1)
    lsr(r2, r2, 31)  # the bit that rounds
    add(r0, r1, r2)
    mov(r7, 0)
    asr(r1, r0, 31)
    add(r0, r0, r1)  # the carry stands for what was taken off, should the shift be 0
    asr(r0, r3)
    adc(r0, r7)
    data(2, 0x4440)  # add r0, r8
    data(2, 0x4548)  # cmp r0, r9
    blt(LOWEST)
    data(2, 0x4550)  # cmp r0, r10
    bgt(HIGHEST)
    label(STORE)
    strb(r0, [r6, 0])
    data(2, 0x4476)  # add r6, lr
    add(r5, 1)
    data(2, 0x45E5)  # cmp sp, r12
    bne(CHANNEL)
    mov(r7, r12)
    add(r7, 12)
    data(2, 0xC770)  # stmia r7!, {r4, r5, r6}
    ldr(r0, [r7, 4])
    cmp(r0, 0)
    beq(WINDOW_END)
    sub(r7, 24)
    ldr(r0, [r7, 100])
    lsr(r0, r0, 1)
    bcs(AGAIN)
    b(CONV)
    label(AGAIN)
    b(DEPTHWISE)

    label(NEGATIVE)
    mov(r1, r9)
    data(2, 0x4541)  # cmp r1, r8
    blt(SCALE)
    label(LOWEST)
    mov(r0, r9)
    b(STORE)
    label(HIGHEST)
    mov(r0, r10)
    b(STORE)
    label(LEFT)
    sub(r3, 32)
    lsl(r0, r3)
    mov(r3, 0)
    b(PRODUCT)

    label(WINDOW_END)
    mov(r7, r12)
    add(r7, 64)
    ldr(r6, [r7, 24])
    ldr(r5, [r7, 28])
    ldr(r0, [r7, 0])
    ldr(r1, [r6, 24])
    add(r0, r0, r1)
    str(r0, [r7, 0])
    ldr(r0, [r7, 4])
    ldr(r1, [r5, 4])
    add(r0, r0, r1)
    str(r0, [r7, 4])
    ldr(r0, [r7, 8])
    sub(r0, 1)
    str(r0, [r7, 8])
    beq(ROW_END)
    b(COLUMN)
    label(ROW_END)
    ldr(r0, [r7, 12])
    ldr(r1, [r6, 20])
    add(r0, r0, r1)
    str(r0, [r7, 12])
    ldr(r0, [r7, 16])
    ldr(r1, [r5, 0])
    add(r0, r0, r1)
    str(r0, [r7, 16])
    ldr(r0, [r7, 20])
    sub(r0, 1)
    str(r0, [r7, 20])
    beq(EXIT)
    b(ROW)
    label(EXIT)
    data(2, 0xB01F)  # add sp, 124
    pop({r4, r5, r6, r7})
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)
    mov(r0, 0)


KERNELS = (dot, dot)
