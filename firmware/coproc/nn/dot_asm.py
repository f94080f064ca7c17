"""CONV and DEPTHWISE in Thumb assembler for ARMv6-M: Cortex-M0+ and everything above (firmware/PLAN.md).

One function runs both kinds: they share the loops over windows and the requantisation. It takes weights in packing 2,
where a block of 4 channels has a word for each column, W = w0 + 2^8 w1 + 2^16 w2 + 2^24 w3. The block's four sums of
x * w, called S, take three products a column instead of four. Modulo 2^32,

    T = sum x * W            = S0 + 2^8 S1 + 2^16 S2 + 2^24 S3
    U = sum x * (W >> 16)    = S2 + 2^8 S3
    V = sum x * reversed(W)  = S3 + 2^8 S2 + 2^16 S1 + 2^24 S0

All bytes are unsigned. Over at most 252 columns at once every S stays below 2^24 and follows from the three, as
1 + 2^16 is the inverse of 1 - 2^16 modulo 2^24:

    S2 = (U - 2^8 V) * (1 + 2^16) modulo 2^24    S3 = (U - S2) / 2^8
    A = T - 2^16 U = S0 + 2^8 S1                 B = (V - S3) / 2^8 - S2 = 2^8 S1 + 2^16 S0 modulo 2^24
    S0 = (A - B) * (1 + 2^16) modulo 2^24        S1 = (A - S0) / 2^8

Where the weights are signed bytes (depthwise, and a single channel), each product is its own.

What the assembler has no name for is given by its code, `data(2, ...)`, with the instruction beside it. r8 to r11 are
the caller's and are kept on the stack; r12 points to the frame, whose words are:

     0 x            where the window's bytes lie; of DEPTHWISE those of the block's first channel
     4 end          behind the window's last byte
     8 start        what each sum begins with: - weight zero * sum of x
    12 table, 16 shifts, 20 out, 24 weights, 28 channels left: where the window's next block is
    32 zero point, 36 lowest, 40 highest, 44 out channel step
    48 table, 52 shifts, 56 weights, 60 channels: of the first block
    64 window, 68 out, 72 columns left: of this column
    76 window, 80 out, 84 rows left: of this row
    88 record, 92 where in it the out row step is, 96 gather, 100 the record's first word: odd of DEPTHWISE
   104 taps y, 108 bytes of weights of a row of taps, 112 tap step x, 116 from a row of taps to the next
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
    data(2, 0xB09E)  # sub sp, 120
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
    add(r7, 104)
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
    sub(r7, 104)
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
    mov(r2, 0)
    add(r6, 80)
    ldr(r6, [r6, 0])
    ldr(r3, [r7, 60])
    cmp(r3, 1)
    bne(TOTAL)
    sub(r6, 128)
    beq(STARTED)
    label(TOTAL)
    ldrb(r3, [r0, 0])
    ldrb(r4, [r0, 1])
    ldrb(r5, [r0, 2])
    add(r2, r2, r3)
    add(r4, r4, r5)
    ldrb(r3, [r0, 3])
    add(r2, r2, r4)
    add(r2, r2, r3)
    add(r0, 4)
    cmp(r0, r1)
    bne(TOTAL)
    mul(r2, r6)
    neg(r2, r2)
    label(STARTED)
    str(r2, [r7, 8])
    ldr(r3, [r7, 60])
    cmp(r3, 1)
    bne(CONV)
    ldr(r0, [r7, 0])
    ldr(r1, [r7, 24])
    ldr(r5, [r7, 4])
    label(SINGLE)  # one channel: r0 x, r1 weights, r2 sum, r5 end
    data(2, 0xC910)  # ldmia r1!, {r4}
    ldrb(r6, [r0, 0])
    data(2, 0xB263)  # sxtb r3, r4
    mul(r3, r6)
    add(r2, r2, r3)
    ldrb(r6, [r0, 1])
    lsl(r3, r4, 16)
    asr(r3, r3, 24)
    mul(r3, r6)
    add(r2, r2, r3)
    ldrb(r6, [r0, 2])
    lsl(r3, r4, 8)
    asr(r3, r3, 24)
    mul(r3, r6)
    add(r2, r2, r3)
    ldrb(r6, [r0, 3])
    asr(r3, r4, 24)
    mul(r3, r6)
    add(r2, r2, r3)
    add(r0, 4)
    cmp(r0, r5)
    bne(SINGLE)
    push({r2, r3, r4, r5})
    b(REQUANTISE)

    label(CONV)  # one block; r7 frame
    ldr(r0, [r7, 0])
    ldr(r1, [r7, 24])
    ldr(r3, [r7, 4])
    mov(lr, r3)
    label(CHUNK)  # r0 x, r1 weights, r8 T, r9 U, r10 V, r11 end of the chunk, lr end of the window
    mov(r2, 0)
    mov(r8, r2)
    mov(r9, r2)
    mov(r10, r2)
    mov(r2, r0)
    add(r2, 252)
    mov(r3, lr)
    cmp(r2, r3)
    bls(CHUNK_END)
    mov(r2, r3)
    label(CHUNK_END)
    mov(r11, r2)
    label(COLUMNS)
    data(2, 0xC9F0)  # ldmia r1!, {r4, r5, r6, r7}
    ldrb(r2, [r0, 0])
    lsr(r3, r4, 16)
    mul(r3, r2)
    data(2, 0x4499)  # add r9, r3
    data(2, 0xBA23)  # rev r3, r4
    mul(r3, r2)
    data(2, 0x449A)  # add r10, r3
    mul(r4, r2)
    data(2, 0x44A0)  # add r8, r4
    ldrb(r2, [r0, 1])
    lsr(r3, r5, 16)
    mul(r3, r2)
    data(2, 0x4499)  # add r9, r3
    data(2, 0xBA2B)  # rev r3, r5
    mul(r3, r2)
    data(2, 0x449A)  # add r10, r3
    mul(r5, r2)
    data(2, 0x44A8)  # add r8, r5
    ldrb(r2, [r0, 2])
    lsr(r3, r6, 16)
    mul(r3, r2)
    data(2, 0x4499)  # add r9, r3
    data(2, 0xBA33)  # rev r3, r6
    mul(r3, r2)
    data(2, 0x449A)  # add r10, r3
    mul(r6, r2)
    data(2, 0x44B0)  # add r8, r6
    ldrb(r2, [r0, 3])
    lsr(r3, r7, 16)
    mul(r3, r2)
    data(2, 0x4499)  # add r9, r3
    data(2, 0xBA3B)  # rev r3, r7
    mul(r3, r2)
    data(2, 0x449A)  # add r10, r3
    mul(r7, r2)
    data(2, 0x44B8)  # add r8, r7
    add(r0, 4)
    data(2, 0x4558)  # cmp r0, r11
    bne(COLUMNS)
    mov(r5, r9)
    mov(r3, r8)
    mov(r2, r10)
    lsl(r4, r5, 16)
    sub(r3, r3, r4)  # A
    lsl(r4, r2, 8)
    sub(r4, r5, r4)
    lsl(r6, r4, 16)
    add(r4, r4, r6)
    lsl(r4, r4, 8)
    lsr(r4, r4, 8)  # S2
    sub(r5, r5, r4)
    lsr(r5, r5, 8)  # S3
    sub(r2, r2, r5)
    lsr(r2, r2, 8)
    sub(r2, r2, r4)  # B
    sub(r2, r3, r2)
    lsl(r6, r2, 16)
    add(r2, r2, r6)
    lsl(r2, r2, 8)
    lsr(r2, r2, 8)  # S0
    sub(r3, r3, r2)
    lsr(r3, r3, 8)  # S1
    data(2, 0x45E5)  # cmp sp, r12
    bne(NEXT_CHUNK)
    mov(r7, r12)
    ldr(r6, [r7, 8])
    add(r2, r2, r6)
    add(r3, r3, r6)
    add(r4, r4, r6)
    add(r5, r5, r6)
    label(SUMMED)
    push({r2, r3, r4, r5})
    data(2, 0x4570)  # cmp r0, lr
    bne(CHUNK)
    mov(r7, r12)
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
    add(r7, 104)
    data(2, 0xCF6C)  # ldmia r7!, {r2, r3, r5, r6}
    mov(lr, r6)
    mov(r7, r2)
    add(r6, r1, r3)
    label(TAPS_X)  # r0 x, r1 weights, r5 tap step x, r6 where the row's weights end, r7 rows left, lr to the next row
    data(2, 0xC910)  # ldmia r1!, {r4}
    ldrb(r2, [r0, 0])
    data(2, 0xB263)  # sxtb r3, r4
    mul(r3, r2)
    data(2, 0x4498)  # add r8, r3
    ldrb(r2, [r0, 1])
    lsl(r3, r4, 16)
    asr(r3, r3, 24)
    mul(r3, r2)
    data(2, 0x4499)  # add r9, r3
    ldrb(r2, [r0, 2])
    lsl(r3, r4, 8)
    asr(r3, r3, 24)
    mul(r3, r2)
    data(2, 0x449A)  # add r10, r3
    ldrb(r2, [r0, 3])
    asr(r3, r4, 24)
    mul(r3, r2)
    data(2, 0x449B)  # add r11, r3
    add(r0, r0, r5)
    cmp(r1, r6)
    bne(TAPS_X)
    data(2, 0x4470)  # add r0, lr
    data(2, 0x9A1B)  # ldr r2, [sp, 108]
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
    mov(r11, r3)
    asr(r1, r0, 16)
    data(2, 0xB280)  # uxth r0, r0
    lsr(r7, r2, 16)
    data(2, 0xB292)  # uxth r2, r2
    mov(r3, r0)
    mul(r3, r2)
    lsr(r3, r3, 16)
    mul(r0, r7)
    add(r0, r0, r3)
    mul(r2, r1)
    mul(r1, r7)
    mov(r7, 0)
    asr(r3, r2, 31)
    add(r0, r0, r2)
    adc(r3, r7)  # r3 and r0: the product's upper 48 bits without r1, which counts 2^32
    lsl(r3, r3, 17)
    lsl(r1, r1, 1)
    add(r1, r1, r3)
    lsr(r0, r0, 15)  # the carry is the bit that rounds
    adc(r0, r1)
    mov(r3, r11)
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
    data(2, 0xB01E)  # add sp, 120
    pop({r4, r5, r6, r7})
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)
    mov(r0, 0)


KERNELS = (dot, dot)
