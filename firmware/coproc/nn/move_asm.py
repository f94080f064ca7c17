"""COPY, SHIFT, FILL, CONSTANT and LOOKUP in Thumb assembler for ARMv6-M (firmware/PLAN.md).

What is aligned goes by words, SHIFT by four of them. `data(2, ...)` gives instructions that the assembler has no name
for; r8 to r11 are the caller's and are kept on the stack, r12 and lr are free.
"""

import micropython


@micropython.asm_thumb
def copy(r0, r1, r2):
    """Three nested counts of runs, from one place of the arena to another, each byte XORed."""
    mov(r4, r8)
    mov(r5, r9)
    mov(r6, r10)
    mov(r7, r11)
    push({r4, r5, r6, r7})
    add(r2, r2, r1)
    ldr(r4, [r2, 4])
    add(r4, r4, r0)
    ldr(r5, [r2, 8])
    add(r5, r5, r0)
    ldr(r7, [r2, 52])
    lsl(r6, r7, 8)
    orr(r7, r6)
    lsl(r6, r7, 16)
    orr(r7, r6)
    ldr(r0, [r2, 12])
    mov(r8, r0)
    label(OUTER)
    push({r4, r5})
    ldr(r0, [r2, 16])
    mov(r9, r0)
    label(MIDDLE)
    push({r4, r5})
    ldr(r3, [r2, 20])
    label(INNER)  # r2 record, r3 runs left, r4 to, r5 from, r7 flip in every byte
    mov(r10, r4)
    mov(r11, r5)
    ldr(r6, [r2, 24])
    mov(r0, r4)
    orr(r0, r5)
    orr(r0, r6)
    lsl(r0, r0, 30)
    bne(BYTES)
    label(WORDS)
    data(2, 0xCD01)  # ldmia r5!, {r0}
    eor(r0, r7)
    data(2, 0xC401)  # stmia r4!, {r0}
    sub(r6, 4)
    bne(WORDS)
    b(RUN_END)
    label(BYTES)
    ldrb(r0, [r5, 0])
    eor(r0, r7)
    strb(r0, [r4, 0])
    add(r5, 1)
    add(r4, 1)
    sub(r6, 1)
    bne(BYTES)
    label(RUN_END)
    mov(r4, r10)
    ldr(r0, [r2, 36])
    add(r4, r4, r0)
    mov(r5, r11)
    ldr(r0, [r2, 48])
    add(r5, r5, r0)
    sub(r3, 1)
    bne(INNER)
    pop({r4, r5})
    ldr(r0, [r2, 32])
    add(r4, r4, r0)
    ldr(r0, [r2, 44])
    add(r5, r5, r0)
    mov(r0, r9)
    sub(r0, 1)
    mov(r9, r0)
    bne(MIDDLE)
    pop({r4, r5})
    ldr(r0, [r2, 28])
    add(r4, r4, r0)
    ldr(r0, [r2, 40])
    add(r5, r5, r0)
    mov(r0, r8)
    sub(r0, 1)
    mov(r8, r0)
    bne(OUTER)
    pop({r4, r5, r6, r7})
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)
    mov(r0, 0)


@micropython.asm_thumb
def shift(r0, r1, r2):
    """Move the rows of each streaming buffer towards its start; the places overlap, so this goes upwards."""
    mov(r12, r0)
    add(r2, r2, r1)
    ldr(r3, [r2, 4])
    mov(lr, r3)
    label(ENTRY)  # r2 record, from which 12 bytes lead to the next entry; r12 arena, lr entries left
    mov(r0, r12)
    ldr(r4, [r2, 8])
    add(r4, r4, r0)
    ldr(r5, [r2, 12])
    add(r5, r5, r0)
    ldr(r6, [r2, 16])
    add(r2, 12)
    mov(r0, r4)
    orr(r0, r5)
    orr(r0, r6)
    lsl(r0, r0, 30)
    bne(BYTES)
    label(FOURS)
    sub(r6, 16)
    bcc(REST)
    data(2, 0xCD8B)  # ldmia r5!, {r0, r1, r3, r7}
    data(2, 0xC48B)  # stmia r4!, {r0, r1, r3, r7}
    b(FOURS)
    label(REST)
    add(r6, 16)
    beq(NEXT)
    label(WORDS)
    data(2, 0xCD01)  # ldmia r5!, {r0}
    data(2, 0xC401)  # stmia r4!, {r0}
    sub(r6, 4)
    bne(WORDS)
    b(NEXT)
    label(BYTES)
    ldrb(r0, [r5, 0])
    strb(r0, [r4, 0])
    add(r5, 1)
    add(r4, 1)
    sub(r6, 1)
    bne(BYTES)
    label(NEXT)
    mov(r3, lr)
    sub(r3, 1)
    mov(lr, r3)
    bne(ENTRY)
    mov(r0, 0)


@micropython.asm_thumb
def fill(r0, r1, r2):
    """Set a stretch of the arena to one value."""
    add(r2, r2, r1)
    ldr(r3, [r2, 4])
    add(r0, r0, r3)
    ldr(r3, [r2, 8])
    ldr(r4, [r2, 12])
    mov(r5, r0)
    orr(r5, r3)
    lsl(r5, r5, 30)
    bne(BYTES)
    data(2, 0xB2E4)  # uxtb r4, r4
    lsl(r5, r4, 8)
    orr(r4, r5)
    lsl(r5, r4, 16)
    orr(r4, r5)
    label(WORDS)
    data(2, 0xC010)  # stmia r0!, {r4}
    sub(r3, 4)
    bne(WORDS)
    b(END)
    label(BYTES)
    strb(r4, [r0, 0])
    add(r0, 1)
    sub(r3, 1)
    bne(BYTES)
    label(END)
    mov(r0, 0)


@micropython.asm_thumb
def constant(r0, r1, r2):
    """Copy a stretch of the plan into the arena."""
    add(r2, r2, r1)
    ldr(r3, [r2, 4])
    add(r0, r0, r3)
    ldr(r3, [r2, 8])
    add(r1, r1, r3)
    ldr(r3, [r2, 12])
    label(BYTES)
    ldrb(r4, [r1, 0])
    strb(r4, [r0, 0])
    add(r1, 1)
    add(r0, 1)
    sub(r3, 1)
    bne(BYTES)
    mov(r0, 0)


@micropython.asm_thumb
def lookup(r0, r1, r2):
    """Map every byte through a table of 256."""
    add(r2, r2, r1)
    ldr(r3, [r2, 16])
    add(r1, r1, r3)
    ldr(r3, [r2, 8])
    add(r3, r3, r0)
    ldr(r4, [r2, 4])
    add(r0, r0, r4)
    ldr(r4, [r2, 12])
    label(FOURS)  # r0 to, r1 table, r3 from, r4 bytes left
    sub(r4, 4)
    bcc(REST)
    ldrb(r5, [r3, 0])
    data(2, 0x5D4D)  # ldrb r5, [r1, r5]
    strb(r5, [r0, 0])
    ldrb(r5, [r3, 1])
    data(2, 0x5D4D)  # ldrb r5, [r1, r5]
    strb(r5, [r0, 1])
    ldrb(r5, [r3, 2])
    data(2, 0x5D4D)  # ldrb r5, [r1, r5]
    strb(r5, [r0, 2])
    ldrb(r5, [r3, 3])
    data(2, 0x5D4D)  # ldrb r5, [r1, r5]
    strb(r5, [r0, 3])
    add(r3, 4)
    add(r0, 4)
    b(FOURS)
    label(REST)
    add(r4, 4)
    beq(END)
    label(BYTES)
    ldrb(r5, [r3, 0])
    data(2, 0x5D4D)  # ldrb r5, [r1, r5]
    strb(r5, [r0, 0])
    add(r3, 1)
    add(r0, 1)
    sub(r4, 1)
    bne(BYTES)
    label(END)
    mov(r0, 0)


KERNELS = (None, copy, shift, fill, constant, lookup)
