"""AIFF and AIFF-C, Sun's AU, Apple's CAF, NIST Sphere: sizes checked against the file.

Sources: Apple's "Audio Interchange File Format 1.3" and "Core Audio Format Specification 1.0", Sun's audio(4),
NIST's SPHERE header description.
"""

from __future__ import annotations

import math
import struct

from bodydouble.streams.containers.base import MAX_CHUNKS, Bytes, Header

_AIFC_PLAIN = {b"NONE", b"twos", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64", b"alaw", b"ALAW", b"ulaw", b"ULAW"}
_AIFC_BYTES = {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8, b"alaw": 1, b"ALAW": 1, b"ulaw": 1, b"ULAW": 1}
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
_NIST_HEADER_MAX_BYTES = 1 << 16


def inspect_aiff(data: Bytes, base: int) -> Header:
    """The checked header of an AIFF or AIFF-C file; its two big chunks come in any order."""
    compressed = data.need(base, 12)[8:] == b"AIFC"
    common: bytes | None = None
    sound: tuple[int, int] | None = None
    position = base + 12
    for _ in range(MAX_CHUNKS):
        chunk = data.read(position, 8)
        if len(chunk) < 8:
            break
        name, size = chunk[:4], struct.unpack_from(">I", chunk, 4)[0]
        if name == b"COMM":
            common = data.need(position + 8, min(size, 22))
        elif name == b"SSND":
            skip = struct.unpack(">I", data.need(position + 8, 4))[0]
            sound = (size - 8 - skip, data.size - position - 16 - skip)
        position += 8 + size + (size & 1)
    if common is None or sound is None:
        raise data.truncated("it ends before its sound")
    if len(common) < 18 + 4 * compressed:
        raise data.lying(f"its COMM chunk has {len(common)} bytes")
    channels, frames, bits = struct.unpack_from(">HIH", common)
    rate_hz = _extended(common[8:18])
    coding = common[18:22] if compressed else b"NONE"
    data.check_format(rate_hz, channels)
    promised, held = sound
    if promised > held:
        raise data.truncated(f"it promises {promised} bytes of sound and holds {held}")
    if coding not in _AIFC_PLAIN and coding != b"ima4":
        raise data.unsupported("is an AIFF-C file of a compression that is not read here")
    if coding == b"ima4":
        return Header("AIFF", rate_hz, channels)
    if not 1 <= bits <= 64:
        raise data.lying(f"samples of {bits} bits do not exist")
    block = channels * _AIFC_BYTES.get(coding, (bits + 7) // 8)
    if promised - frames * block not in (0, 1):
        raise data.lying(f"{frames} frames of {block} bytes are not {promised} bytes of sound")
    return Header("AIFF", rate_hz, channels, frames)


def inspect_au(data: Bytes, base: int) -> Header:
    """The checked header of an AU file, of either byte order."""
    head = data.need(base, 24)
    order = ">" if head[:4] == b".snd" else "<"
    offset, size, encoding, rate_hz, channels = struct.unpack_from(order + "5I", head, 4)
    data.check_format(rate_hz, channels)
    held = data.size - base - offset
    if offset < 24 or held < 0:
        raise data.truncated(f"its sound would begin at byte {offset}")
    warnings: tuple[str, ...] = ()
    pieces: tuple[bytes | range, ...] = ()
    if size == 0xFFFFFFFF:
        size = held
        pieces = (range(base + 8), struct.pack(order + "I", held), range(base + 12, data.size))
        warnings = ("its header leaves the length open; all of it is played",)
    if size > held:
        raise data.truncated(f"it promises {size} bytes of sound and holds {held}")
    if encoding not in _AU_BYTES:
        raise data.unsupported(f"is an AU file of encoding {encoding}, which is not read here")
    block = channels * _AU_BYTES[encoding]
    if size % block and not pieces:
        raise data.lying(f"{size} bytes of sound are not a whole number of {block}-byte frames")
    return Header("AU", rate_hz, channels, size // block, pieces=pieces, warnings=warnings)


def inspect_caf(data: Bytes, base: int) -> Header:
    """The checked header of a CAF file."""
    description: bytes | None = None
    position = base + 8
    for _ in range(MAX_CHUNKS):
        chunk = data.read(position, 12)
        if len(chunk) < 12:
            break
        name, size = chunk[:4], struct.unpack_from(">q", chunk, 4)[0]
        if name == b"desc":
            description = data.need(position + 12, 32)
        elif name == b"data":
            if description is None:
                raise data.lying("its sound comes before its format")
            return _caf_sound(data, description, size, data.size - position - 12)
        if size < 0:
            raise data.lying(f"a chunk has {size} bytes")
        position += 12 + size
    raise data.truncated("it ends before its sound begins")


def _caf_sound(data: Bytes, description: bytes, size: int, held: int) -> Header:
    rate, coding, _flags, packet_bytes, _packet_frames, channels, _bits = struct.unpack(">d4sIIIII", description)
    rate_hz = round(rate) if math.isfinite(rate) and abs(rate) < 1e9 else 0
    data.check_format(rate_hz, channels)
    if rate != rate_hz:
        raise data.unsupported(f"has a rate of {rate} Hz, which is not a whole number")
    if size < 0:
        raise data.unsupported("is a CAF file that was never finished")
    if size > held or size < 4:
        raise data.truncated(f"it promises {size} bytes of sound and holds {held}")
    if coding == b"lpcm" and packet_bytes:
        return Header("CAF", rate_hz, channels, (size - 4) // packet_bytes)
    return Header("CAF", rate_hz, channels)


def inspect_nist(data: Bytes, base: int) -> Header:
    """The checked header of a NIST Sphere file: lines of text, then samples."""
    digits = data.need(base, 16)[8:15].strip()
    header_bytes = int(digits) if digits.isdigit() else 0
    if not 16 < header_bytes <= _NIST_HEADER_MAX_BYTES:
        raise data.lying(f"its header cannot have {header_bytes} bytes")
    fields: dict[str, str] = {}
    for line in data.need(base, header_bytes).decode("latin-1").splitlines():
        name, _, rest = line.partition(" ")
        fields[name] = rest.partition(" ")[2].strip()
    numbers = {}
    for name in ("sample_count", "sample_rate", "channel_count", "sample_n_bytes"):
        text = fields.get(name, "1" if name == "channel_count" else "")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise data.lying(f"it does not say its {name}")
        numbers[name] = int(text)
    data.check_format(numbers["sample_rate"], numbers["channel_count"])
    if fields.get("sample_coding", "pcm") not in ("pcm", "ulaw", "mu-law", "alaw"):
        raise data.unsupported("is a compressed NIST Sphere file")
    frames = numbers["sample_count"]
    promised = frames * numbers["channel_count"] * numbers["sample_n_bytes"]
    held = data.size - base - header_bytes
    if promised > held:
        raise data.truncated(f"it promises {promised} bytes of sound and holds {held}")
    if promised + 1 < held:
        raise data.lying(f"it promises {promised} bytes of sound and holds {held}")
    return Header("NIST", numbers["sample_rate"], numbers["channel_count"], frames)


def _extended(raw: bytes) -> int:
    """An 80-bit IEEE 754 number as the nearest whole one; 0 where it is negative, huge or not finite."""
    exponent = (raw[0] << 8 | raw[1]) - 16_383
    if not 0 <= exponent < 32:
        return 0
    return (int.from_bytes(raw[2:], "big") >> (62 - exponent)) + 1 >> 1
