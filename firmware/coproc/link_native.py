# What the native tiers of the link share: the table of the checksum, and what runs once a frame. link_viper.py says
# how this viper is written.
from array import array
from binascii import crc32

import micropython


def _crc_table():
    table = array("I", bytes(1024))
    for i in range(256):
        # Of one byte, begun with a register of 0 and not inverted at the end: the table's entry for it.
        table[i] = crc32(bytes((i,)), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return table


TABLE = _crc_table()


@micropython.viper
def _pack(i: int, at: int, b: int, frame: ptr8, src: ptr8, kind: int, channel: int, seq: int, length: int):
    frame[0] = kind
    frame[1] = channel
    frame[2] = seq & 255
    frame[3] = (seq >> 8) & 255
    frame[4] = length & 255
    frame[5] = (length >> 8) & 255
    at = 6
    length += i
    while i < length:
        frame[at] = int(src[i])
        at += 1
        i += 1


def pack(frame, kind, channel, seq, src, start, length):
    # Writes the header and the payload src[start:start+length] to `frame`.
    _pack(start, 0, 0, frame, src, kind, channel, seq, length)


@micropython.viper
def _charge(counts: ptr8, limits: ptr8, at: int, length: int) -> int:
    total = int(counts[at]) | (int(counts[at + 1]) << 8) | (int(counts[at + 2]) << 16) | (int(counts[at + 3]) << 24)
    limit = int(limits[at]) | (int(limits[at + 1]) << 8) | (int(limits[at + 2]) << 16) | (int(limits[at + 3]) << 24)
    total += length
    # The sign of a 32-bit difference: set when the limit lies behind the total.
    if ((limit - total) >> 31) & 1:
        return 0
    counts[at] = total & 255
    counts[at + 1] = (total >> 8) & 255
    counts[at + 2] = (total >> 16) & 255
    counts[at + 3] = (total >> 24) & 255
    return 1


def charge(counts, limits, channel, length):
    # Adds `length` to the channel's u32 count unless it would pass its u32 limit; 1 when it was added, 0 when not.
    return _charge(counts, limits, channel * 4, length)
