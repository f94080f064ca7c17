# COBS and CRC-32 of the link in Thumb assembler for ARMv6-M: the loops that every byte received or sent goes through.
# link_viper.py says what the functions do.
# coproc/audio/fft_asm.py says how this assembler is written.
import micropython

from coproc.link_native import TABLE, charge, pack  # noqa: F401

NAME = "asm"

_UXTB = const(0xB2C0)  # uxtb rd, rm: rm << 3 | rd
_LDR_AT = const(0x5800)  # ldr rt, [rn, rm]: rm << 6 | rn << 3 | rt
_ADD_HIGH = const(0x4440)  # add rd, rm of r8 to r15: (rm - 8) << 3 | rd
_CMP_HIGH = const(0x4540)  # cmp rn, rm of r8 to r15: (rm - 8) << 3 | rn

# Four arguments are all that an assembler function takes: the fifth stands behind the table of the checksum.
_FIFTH = const(256)
TABLE.append(0)


def decode(state, raw, frame, limit):
    TABLE[_FIFTH] = limit
    return _decode(state, raw, frame, TABLE)


def seal(frame, length, out, at):
    TABLE[_FIFTH] = at
    return _seal(frame, length, out, TABLE)


@micropython.asm_thumb
def _decode(r0, r1, r2, r3):  # state, raw, frame, table and limit
    mov(r4, r8)
    mov(r5, r9)
    mov(r6, r10)
    mov(r7, r11)
    push({r1, r4, r5, r6, r7})
    # r1: next of the chunk; r2: next of the frame; r3: table; r4: checksum; r5: run; r6, r7: scratch
    # r8: state; r9: where the chunk ends; r10: frame; r11: owed; r12: limit; stack: the chunk
    mov(r8, r0)
    mov(r10, r2)
    mov(r6, 4)
    lsl(r6, r6, 8)
    data(2, _LDR_AT | 6 << 6 | 3 << 3 | 6)  # ldr r6, [r3, r6]
    mov(r12, r6)
    ldr(r6, [r0, 4])
    add(r6, r6, r1)
    mov(r9, r6)
    ldr(r6, [r0, 0])
    add(r1, r1, r6)
    ldr(r6, [r0, 8])
    add(r2, r2, r6)
    ldr(r5, [r0, 12])
    ldr(r6, [r0, 16])
    mov(r11, r6)
    ldr(r4, [r0, 20])
    ldr(r6, [r0, 24])
    lsl(r6, r6, 16)
    orr(r4, r6)
    ldr(r6, [r0, 28])
    cmp(r6, 0)
    bne(SKIP_NEXT)
    b(RUN_ON)

    # The first byte of a block: how far the next zero is.
    label(BLOCK)
    data(2, _CMP_HIGH | 1 << 3 | 1)  # cmp r1, r9
    bcs(USED_UP)
    ldrb(r6, [r1, 0])
    add(r1, 1)
    cmp(r6, 0)
    beq(DELIMITER)
    sub(r5, r6, 1)
    # Too long where out + owed + run > limit
    mov(r7, r10)
    sub(r7, r2, r7)
    data(2, _ADD_HIGH | 3 << 3 | 7)  # add r7, r11
    add(r7, r7, r5)
    data(2, _CMP_HIGH | 4 << 3 | 7)  # cmp r7, r12
    bhi(SKIP_NEXT)
    # The zero that the block before stands for
    mov(r7, r11)
    cmp(r7, 0)
    beq(NOT_OWED)
    mov(r7, 0)
    strb(r7, [r2, 0])
    add(r2, 1)
    data(2, _UXTB | 4 << 3 | 7)  # uxtb r7, r4
    lsl(r7, r7, 2)
    data(2, _LDR_AT | 7 << 6 | 3 << 3 | 7)  # ldr r7, [r3, r7]
    lsr(r4, r4, 8)
    eor(r4, r7)
    label(NOT_OWED)
    mov(r7, 1)
    cmp(r6, 255)
    bne(OWES)
    mov(r7, 0)
    label(OWES)
    mov(r11, r7)

    # The block's bytes, as many as there are; r7: where they end
    label(RUN_ON)
    cmp(r5, 0)
    beq(BLOCK)
    add(r7, r1, r5)
    data(2, _CMP_HIGH | 1 << 3 | 7)  # cmp r7, r9
    bls(WHOLE)
    mov(r7, r9)
    label(WHOLE)
    add(r5, r5, r1)
    sub(r5, r5, r7)
    b(TEST)
    label(BYTE)
    ldrb(r6, [r1, 0])
    add(r1, 1)
    cmp(r6, 0)
    beq(BROKEN)  # a delimiter inside a block: bytes before it were lost
    strb(r6, [r2, 0])
    add(r2, 1)
    eor(r6, r4)
    data(2, _UXTB | 6 << 3 | 6)  # uxtb r6, r6
    lsl(r6, r6, 2)
    data(2, _LDR_AT | 6 << 6 | 3 << 3 | 6)  # ldr r6, [r3, r6]
    lsr(r4, r4, 8)
    eor(r4, r6)
    label(TEST)
    cmp(r1, r7)
    bne(BYTE)
    data(2, _CMP_HIGH | 1 << 3 | 1)  # cmp r1, r9
    bcc(BLOCK)
    b(USED_UP)

    # Dropping bytes up to the next delimiter
    label(SKIP_NEXT)
    data(2, _CMP_HIGH | 1 << 3 | 1)  # cmp r1, r9
    bcs(USED_UP_SKIPPING)
    ldrb(r6, [r1, 0])
    add(r1, 1)
    cmp(r6, 0)
    bne(SKIP_NEXT)
    label(BROKEN)
    mov(r0, 2)  # BAD
    neg(r0, r0)
    b(RESTART)

    # A delimiter: of a frame, or one in a row with nothing in between
    label(DELIMITER)
    mov(r6, r10)
    sub(r6, r2, r6)  # r6: bytes of the frame
    mov(r7, r11)
    orr(r7, r6)
    beq(BLOCK)
    mov(r0, 2)  # BAD
    neg(r0, r0)
    cmp(r6, 10)
    bcc(RESTART)
    mov(r7, r10)
    ldrb(r5, [r7, 5])
    lsl(r5, r5, 8)
    ldrb(r7, [r7, 4])
    add(r5, r5, r7)
    sub(r6, 10)
    cmp(r5, r6)
    bne(RESTART)
    # A checksum over itself, little endian, leaves this residue whatever the frame: 0xDEBB20E3.
    sub(r0, 1)  # BAD_CRC
    mov(r5, 0xDE)
    lsl(r5, r5, 8)
    add(r5, 0xBB)
    lsl(r5, r5, 8)
    add(r5, 0x20)
    lsl(r5, r5, 8)
    add(r5, 0xE3)
    cmp(r4, r5)
    bne(RESTART)
    mov(r0, r6)

    # The state after a frame, in r2 and r4 to r7: bytes, checksum, run, owed, skip
    label(RESTART)
    mov(r2, 0)
    mvn(r4, r2)
    mov(r5, 0)
    mov(r6, 0)
    mov(r7, 0)
    b(STORE)

    label(USED_UP_SKIPPING)
    mov(r7, 1)
    b(MORE_TO_COME)
    label(USED_UP)
    mov(r7, 0)
    label(MORE_TO_COME)
    mov(r0, 0)
    mvn(r0, r0)  # MORE
    mov(r6, r10)
    sub(r2, r2, r6)
    mov(r6, r11)

    label(STORE)
    mov(r3, r8)
    str(r2, [r3, 8])
    str(r5, [r3, 12])
    str(r6, [r3, 16])
    str(r7, [r3, 28])
    lsl(r5, r4, 16)
    lsr(r5, r5, 16)
    str(r5, [r3, 20])
    lsr(r4, r4, 16)
    str(r4, [r3, 24])
    pop({r2, r4, r5, r6, r7})
    sub(r1, r1, r2)
    str(r1, [r3, 0])
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)


@micropython.asm_thumb
def _seal(r0, r1, r2, r3):  # frame, length, out, table and at; returns the end, past the delimiter
    # r1: where the header and the payload end; r4: checksum; r5: next of the frame
    add(r1, 6)
    add(r1, r1, r0)
    mov(r4, 0)
    mvn(r4, r4)
    mov(r5, r0)
    label(CHECK)
    ldrb(r6, [r5, 0])
    add(r5, 1)
    eor(r6, r4)
    data(2, _UXTB | 6 << 3 | 6)  # uxtb r6, r6
    lsl(r6, r6, 2)
    data(2, _LDR_AT | 6 << 6 | 3 << 3 | 6)  # ldr r6, [r3, r6]
    lsr(r4, r4, 8)
    eor(r4, r6)
    cmp(r5, r1)
    bne(CHECK)
    mvn(r4, r4)
    strb(r4, [r1, 0])
    lsr(r4, r4, 8)
    strb(r4, [r1, 1])
    lsr(r4, r4, 8)
    strb(r4, [r1, 2])
    lsr(r4, r4, 8)
    strb(r4, [r1, 3])
    add(r1, 4)

    # r0: next of the frame; r3: next of what goes out; r4: where the block's length goes; r5: that length
    mov(r6, 4)
    lsl(r6, r6, 8)
    data(2, _LDR_AT | 6 << 6 | 3 << 3 | 3)  # ldr r3, [r3, r6]
    add(r3, r3, r2)
    label(BLOCK)
    mov(r4, r3)
    add(r3, 1)
    mov(r5, 1)
    label(BYTE)
    cmp(r0, r1)
    beq(DONE)
    ldrb(r6, [r0, 0])
    add(r0, 1)
    cmp(r6, 0)
    beq(CLOSE)
    strb(r6, [r3, 0])
    add(r3, 1)
    add(r5, 1)
    cmp(r5, 255)
    bne(BYTE)
    cmp(r0, r1)  # a full block at the very end needs no other after it
    beq(DONE)
    label(CLOSE)
    strb(r5, [r4, 0])
    b(BLOCK)
    label(DONE)
    strb(r5, [r4, 0])
    mov(r6, 0)
    strb(r6, [r3, 0])
    add(r3, 1)
    sub(r0, r3, r2)
