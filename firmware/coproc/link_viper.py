# COBS and CRC-32 of the link in native code. link_bytecode.py holds the same functions in plain MicroPython.
#
# Viper here stays within 32 bits on every build: nothing is returned or kept at 2**30 or above, and a right shift is
# masked because it copies the sign. The first three arguments live in registers, hence the counters that callers
# pass as 0: with them the loops run in two thirds of the time.
import micropython

from coproc.link_native import TABLE, charge, pack  # noqa: F401

NAME = "viper"

# Slots of the decoder's state, array('i')
POS = 0  # next byte of the chunk
END = 1  # bytes in the chunk
OUT = 2  # bytes of the frame so far
RUN = 3  # bytes left of the current COBS block
OWED = 4  # 1: the block before stands for a zero, due when another block follows
CRC = 5  # low and high half of the running checksum: a whole one would need 32 bits
SKIP = 7  # 1: dropping bytes up to the next delimiter
STATE = 8

# What decode() returns when it returns no payload length
MORE = -1  # the chunk is used up
BAD = -2  # a frame was cut, too long, or of the wrong length
BAD_CRC = -3


@micropython.viper
def _decode(pos: int, crc: int, b: int, raw: ptr8, frame: ptr8, table: ptr32, state: ptr32, limit: int) -> int:
    pos = int(state[0])
    end = int(state[1])
    out = int(state[2])
    run = int(state[3])
    owed = int(state[4])
    crc = int(state[5]) | (int(state[6]) << 16)
    skip = int(state[7])
    result = -1
    while pos < end:
        if skip:
            b = int(raw[pos])
            pos += 1
            if b == 0:
                result = -2
                break
            continue
        if run == 0:
            b = int(raw[pos])
            pos += 1
            if b == 0:
                if out == 0 and owed == 0:
                    continue  # delimiters in a row: nothing in between
                if out < 10 or (int(frame[4]) | (int(frame[5]) << 8)) + 10 != out:
                    result = -2
                # A checksum over itself, little endian, leaves this residue whatever the frame: 0xDEBB20E3.
                elif (crc & 0xFFFF) != 0x20E3 or ((crc >> 16) & 0xFFFF) != 0xDEBB:
                    result = -3
                else:
                    result = out - 10
                break
            run = b - 1
            if out + owed + run > limit:
                skip = 1
                continue
            if owed:
                frame[out] = 0
                out += 1
                crc = int(table[crc & 255]) ^ ((crc >> 8) & 0xFFFFFF)
            owed = 0 if b == 255 else 1
            continue
        stop = pos + run
        if stop > end:
            stop = end
        run -= stop - pos
        while pos < stop:
            b = int(raw[pos])
            if b == 0:
                break
            frame[out] = b
            pos += 1
            out += 1
            crc = int(table[(crc ^ b) & 255]) ^ ((crc >> 8) & 0xFFFFFF)
        if pos < stop:
            pos += 1  # a delimiter inside a block: bytes before it were lost
            result = -2
            break
    if result != -1:
        out = 0
        run = 0
        owed = 0
        crc = -1
        skip = 0
    state[0] = pos
    state[2] = out
    state[3] = run
    state[4] = owed
    state[5] = crc & 0xFFFF
    state[6] = (crc >> 16) & 0xFFFF
    state[7] = skip
    return result


def decode(state, raw, frame, limit):
    # Takes chunk bytes raw[state[POS]:state[END]] up to the end of one frame, which lands in `frame` (at most `limit`
    # bytes, header first). Returns the payload's length, or MORE, BAD or BAD_CRC.
    return _decode(0, 0, 0, raw, frame, TABLE, state, limit)


@micropython.viper
def _seal(i: int, at: int, crc: int, frame: ptr8, size: int, out: ptr8, table: ptr32) -> int:
    crc = -1
    while i < size:
        crc = int(table[(crc ^ int(frame[i])) & 255]) ^ ((crc >> 8) & 0xFFFFFF)
        i += 1
    crc = crc ^ -1
    frame[i] = crc & 255
    frame[i + 1] = (crc >> 8) & 255
    frame[i + 2] = (crc >> 16) & 255
    frame[i + 3] = (crc >> 24) & 255
    size += 4
    code = at
    at += 1
    run = 1
    i = 0
    while i < size:
        b = int(frame[i])
        i += 1
        if b:
            out[at] = b
            at += 1
            run += 1
            if run < 255 or i == size:
                continue
        out[code] = run
        code = at
        at += 1
        run = 1
    out[code] = run
    out[at] = 0
    return at + 1


def seal(frame, length, out, at):
    # Closes the frame whose header and payload of `length` bytes stand in `frame` (which has room for its checksum)
    # and writes it, COBS-encoded, to out[at:]. Returns the end, past the delimiter.
    return _seal(0, at, 0, frame, length + 6, out, TABLE)
