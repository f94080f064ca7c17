"""FLAC. Source: RFC 9639, sections 8.1 and 8.2."""

from __future__ import annotations

from bodydouble.streams.containers.base import MAX_CHUNKS, Bytes, Header

STREAMINFO_BYTES = 34


def inspect(data: Bytes, base: int) -> Header:
    """The checked header of a FLAC stream that begins at `base`; that its last frame is there shows in decoding."""
    head = data.need(base, 8 + STREAMINFO_BYTES)
    if head[4] & 0x7F or int.from_bytes(head[5:8], "big") != STREAMINFO_BYTES:
        raise data.lying("it does not begin with STREAMINFO")
    packed = int.from_bytes(head[18:26], "big")  # rate 20 bits, channels 3, bits 5, frames 36
    rate_hz, channels, frames = packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
    data.check_format(rate_hz, channels)
    position, last = base + 4, False
    for _ in range(MAX_CHUNKS):
        if last:
            break
        block = data.need(position, 4)
        last = bool(block[0] & 0x80)
        position += 4 + int.from_bytes(block[1:], "big")
    else:
        raise data.lying(f"more than {MAX_CHUNKS} blocks of metadata come before its sound")
    if position >= data.size and (frames or position > data.size):
        raise data.truncated("it ends before its sound begins")
    if not frames and position < data.size:
        warning = "its header leaves the length open; all of it is played"
        return Header("FLAC", rate_hz, channels, warnings=(warning,), known=False)
    packed_rest = (packed >> 36 << 36).to_bytes(8, "big")
    unbounded = (range(base + 18), packed_rest, range(base + 26, data.size))
    return Header("FLAC", rate_hz, channels, frames, unbounded=unbounded)
