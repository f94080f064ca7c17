"""Ogg with Vorbis, Opus, FLAC or Speex inside. Sources: RFC 3533 (pages), RFC 7845 (Opus), Vorbis I section 4.2.2.

All page headers are walked (not the pages' contents): a missing page, a second stream or a missing end would
otherwise be played as a shorter recording.
"""

from __future__ import annotations

import struct

from bodydouble.streams.containers.base import Bytes, Header

_CONTINUED, _FIRST, _LAST = 1, 2, 4
_OPUS_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)


def inspect(data: Bytes, base: int) -> Header:
    """The checked header of an Ogg file that begins at `base`."""
    _walk(data, base)
    head = data.need(base, 27)
    packet = data.read(base + 27 + head[26], 64)
    if packet.startswith(b"\x01vorbis") and len(packet) >= 30:
        channels, rate_hz = packet[11], struct.unpack_from("<I", packet, 12)[0]
    elif packet.startswith(b"OpusHead") and len(packet) >= 19:
        channels, rate_hz = packet[9], 48_000
        data.check_format(rate_hz, channels)
        # Opus always decodes at 48 kHz or an even part of it; the header's rate is only that of the original.
        return Header("OGG", rate_hz, channels, rates_hz=_OPUS_RATES_HZ)
    elif packet.startswith(b"\x7fFLAC") and len(packet) >= 51:
        packed = int.from_bytes(packet[27:35], "big")
        rate_hz, channels = packed >> 44, (packed >> 41 & 7) + 1
    elif packet.startswith(b"Speex   ") and len(packet) >= 52:
        rate_hz, channels = struct.unpack_from("<I", packet, 36)[0], packet[48]
    else:
        raise data.unsupported("is an Ogg file without Vorbis, Opus, FLAC or Speex as its first stream")
    data.check_format(rate_hz, channels)
    return Header("OGG", rate_hz, channels)


def _walk(data: Bytes, base: int) -> None:
    """Follow the pages to the end of the file; raise for whatever breaks the one stream."""
    position, serial, sequence, flags = base, b"", 0, 0
    while position < data.size:
        page = data.read(position, 27 + 255)
        if page[:3] == b"TAG" and data.size - position == 128:
            break
        if not b"OggS".startswith(page[:4]):
            raise data.damaged(f"the page at byte {position} has no header")
        if len(page) < 27 or len(page) < 27 + page[26]:
            raise data.truncated(f"its last page, at byte {position}, is not whole")
        if flags & _LAST:
            raise data.unsupported("holds several Ogg streams, one after the other; only one can be played")
        flags, found = page[5], struct.unpack_from("<I", page, 18)[0]
        if position == base:
            serial = page[14:18]
            if not flags & _FIRST:
                raise data.damaged("its first page is missing")
        elif flags & _FIRST or page[14:18] != serial:
            raise data.unsupported("holds several Ogg streams; only one can be played")
        elif found != sequence:
            raise data.damaged(f"page {sequence} is missing before byte {position}")
        sequence = (found + 1) & 0xFFFFFFFF
        position += 27 + page[26] + sum(page[27 : 27 + page[26]])
    if position > data.size:
        raise data.truncated("its last page is not whole")
    if not flags & _LAST:
        raise data.truncated("its last page is missing")
