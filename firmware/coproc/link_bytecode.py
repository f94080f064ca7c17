# COBS and CRC-32 of the link in plain MicroPython, for builds without a native emitter: same functions, same results
# as link_viper.py. What is quick here is what C does, so blocks are copied and checked whole; slices allocate.
from binascii import crc32

NAME = "bytecode"

POS = 0
END = 1
OUT = 2
RUN = 3
OWED = 4
SKIP = 7
STATE = 8

MORE = -1
BAD = -2
BAD_CRC = -3

_ZERO = b"\0"


def _finish(state, frame):
    out = state[2]
    if out < 10 or (frame[4] | (frame[5] << 8)) + 10 != out:
        return BAD
    whole = memoryview(frame)
    if crc32(whole[: out - 4]) != frame[out - 4] | frame[out - 3] << 8 | frame[out - 2] << 16 | frame[out - 1] << 24:
        return BAD_CRC
    return out - 10


def _restart(state, pos):
    state[0] = pos
    state[2] = state[3] = state[4] = state[7] = 0


def decode(state, raw, frame, limit):
    # Takes chunk bytes raw[state[POS]:state[END]] up to the end of one frame, which lands in `frame` (at most `limit`
    # bytes, header first). Returns the payload's length, or MORE, BAD or BAD_CRC.
    pos = state[0]
    end = state[1]
    out = state[2]
    run = state[3]
    owed = state[4]
    chunk = memoryview(raw)
    while pos < end:
        if state[7]:
            zero = raw.find(_ZERO, pos, end)
            if zero < 0:
                pos = end
                break
            _restart(state, zero + 1)
            return BAD
        if run == 0:
            b = raw[pos]
            pos += 1
            if b == 0:
                if out == 0 and owed == 0:
                    continue
                state[2] = out
                result = _finish(state, frame)
                _restart(state, pos)
                return result
            run = b - 1
            if out + owed + run > limit:
                state[7] = 1
                continue
            if owed:
                frame[out] = 0
                out += 1
            owed = 0 if b == 255 else 1
            continue
        stop = min(pos + run, end)
        zero = raw.find(_ZERO, pos, stop)
        if zero >= 0:
            _restart(state, zero + 1)
            return BAD
        frame[out : out + stop - pos] = chunk[pos:stop]
        out += stop - pos
        run -= stop - pos
        pos = stop
    state[0] = pos
    state[2] = out
    state[3] = run
    state[4] = owed
    return MORE


def seal(frame, length, out, at):
    # Closes the frame whose header and payload of `length` bytes stand in `frame` (which has room for its checksum)
    # and writes it, COBS-encoded, to out[at:]. Returns the end, past the delimiter.
    size = length + 6
    view = memoryview(frame)
    crc = crc32(view[:size])
    for _ in range(4):
        frame[size] = crc & 255
        crc >>= 8
        size += 1
    pos = 0
    while True:
        zero = frame.find(_ZERO, pos, size)
        stop = size if zero < 0 else zero
        if stop - pos >= 254:
            stop = pos + 254
            out[at] = 255
            out[at + 1 : at + 255] = view[pos:stop]
            at += 255
            pos = stop
            if pos == size:
                break
            continue
        out[at] = stop - pos + 1
        out[at + 1 : at + 1 + stop - pos] = view[pos:stop]
        at += 1 + stop - pos
        if zero < 0:
            break
        pos = stop + 1
    out[at] = 0
    return at + 1


def pack(frame, kind, channel, seq, src, start, length):
    # Writes the header and the payload src[start:start+length] to `frame`.
    frame[0] = kind
    frame[1] = channel
    frame[2] = seq & 255
    frame[3] = seq >> 8
    frame[4] = length & 255
    frame[5] = length >> 8
    frame[6 : 6 + length] = memoryview(src)[start : start + length]


def charge(counts, limits, channel, length):
    # Adds `length` to the channel's u32 count unless it would pass its u32 limit; 1 when it was added, 0 when not.
    at = channel * 4
    total = int.from_bytes(counts[at : at + 4], "little") + length
    limit = int.from_bytes(limits[at : at + 4], "little")
    if ((limit - total) >> 31) & 1:
        return 0
    counts[at : at + 4] = (total & 0xFFFFFFFF).to_bytes(4, "little")
    return 1
