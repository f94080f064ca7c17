"""WAV in all its dress: RIFF, RIFX (big-endian), RF64 and BW64, and Sony's Wave64.

Sources: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0"; EBU Tech 3306 (RF64).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bodydouble.streams.containers.base import MAX_CHUNKS, Bytes, Header

PCM, MS_ADPCM, FLOAT, A_LAW, MU_LAW, IMA_ADPCM, GSM, EXTENSIBLE = 1, 2, 3, 6, 7, 0x11, 0x31, 0xFFFE
_PLAIN = {PCM: range(1, 33), FLOAT: (32, 64), A_LAW: (8,), MU_LAW: (8,)}
_BLOCKED = (MS_ADPCM, IMA_ADPCM, GSM)
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_UNFILLED = 0xFFFFFFFF
_TRAILING_JUNK_MAX_BYTES = 4_096
_TAGS = (b"ID3", b"TAG", b"APETAGEX")

_W64_WAVE = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
_W64_FMT = bytes.fromhex("666d7420f3acd3118cd100c04f8edb8a")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True)
class _Format:
    tag: int
    channels: int
    rate_hz: int
    block_bytes: int

    def frames(self, data_bytes: int) -> int | None:
        """Sample frames in `data_bytes`; None for codecs that work in blocks."""
        return None if self.tag in _BLOCKED else data_bytes // self.block_bytes


def inspect(data: Bytes, base: int) -> Header:
    """The checked header of a RIFF, RIFX, RF64 or BW64 file that begins at `base`."""
    head = data.need(base, 12)
    order = ">" if head[:4] == b"RIFX" else "<"
    wide = head[:4] in (b"RF64", b"BW64")
    riff_bytes = _u32(order, head, 4)
    fmt: _Format | None = None
    wide_data_bytes: int | None = None
    position = base + 12
    for _ in range(MAX_CHUNKS):
        chunk = data.read(position, 8)
        if len(chunk) < 8:
            raise data.truncated("it ends before its sound begins")
        name, size = chunk[:4], _u32(order, chunk, 4)
        if name == b"fmt ":
            fmt = _format(data, data.need(position + 8, min(size, 40)), order)
        elif name == b"ds64" and wide:
            riff_bytes, wide_data_bytes = struct.unpack("<QQ", data.need(position + 8, 16))
        elif name == b"data":
            if fmt is None:
                raise data.lying("its sound comes before its format")
            if wide and size == _UNFILLED:
                if wide_data_bytes is None:
                    raise data.lying("it is RF64 without a ds64 chunk")
                size = wide_data_bytes
            return _sound(data, base, position + 8, size, riff_bytes, fmt, "RF64" if wide else "WAV", order)
        position += 8 + size + (size & 1)
    raise data.lying(f"more than {MAX_CHUNKS} chunks come before its sound")


def inspect_w64(data: Bytes, base: int) -> Header:
    """The checked header of a Wave64 file: chunk sizes are 64-bit, count their own 24 bytes, and align to 8."""
    if data.need(base, 40)[24:] != _W64_WAVE:
        raise data.lying("it is Wave64 without a wave inside")
    fmt: _Format | None = None
    position = base + 40
    for _ in range(MAX_CHUNKS):
        chunk = data.read(position, 24)
        if len(chunk) < 24:
            raise data.truncated("it ends before its sound begins")
        name, size = chunk[:16], struct.unpack("<Q", chunk[16:])[0]
        if size < 24:
            raise data.lying(f"a chunk of {size} bytes is smaller than its own header")
        if name == _W64_FMT:
            fmt = _format(data, data.need(position + 24, min(size - 24, 40)), "<")
        elif name == _W64_DATA:
            if fmt is None:
                raise data.lying("its sound comes before its format")
            held = data.size - position - 24
            if size - 24 > held:
                raise data.truncated(f"it promises {size - 24} bytes of sound and holds {held}")
            return Header("W64", fmt.rate_hz, fmt.channels, fmt.frames(size - 24))
        position += (size + 7) & ~7
    raise data.lying(f"more than {MAX_CHUNKS} chunks come before its sound")


def _u32(order: str, raw: bytes, offset: int) -> int:
    value: int = struct.unpack_from(order + "I", raw, offset)[0]
    return value


def _format(data: Bytes, raw: bytes, order: str) -> _Format:
    """Read a fmt chunk; every field that says the same thing twice must say it the same way."""
    if len(raw) < 16:
        raise data.lying(f"its format chunk has {len(raw)} bytes instead of 16 or more")
    tag, channels, rate_hz, byte_rate, block, bits = struct.unpack_from(order + "HHIIHH", raw)
    if tag == EXTENSIBLE:
        if len(raw) < 40 or raw[26:40] != _GUID_TAIL:
            raise data.unsupported("is a WAV of an unknown extended format")
        tag = struct.unpack_from(order + "H", raw, 24)[0]
    data.check_format(rate_hz, channels)
    if tag in _PLAIN:
        if bits not in _PLAIN[tag]:
            raise data.lying(f"samples of {bits} bits do not exist in WAV format {tag}")
        if block != channels * ((bits + 7) // 8):
            raise data.lying(f"{channels} samples of {bits} bits do not fill frames of {block} bytes")
        if byte_rate != rate_hz * block:
            raise data.lying(f"{rate_hz} frames of {block} bytes are not {byte_rate} bytes per second")
    elif tag in _BLOCKED:
        per_block = struct.unpack_from(order + "H", raw, 18)[0] if len(raw) >= 20 else 0
        if not block or not per_block:
            raise data.lying("its compressed blocks have no size")
        expected = rate_hz * block / per_block
        if abs(byte_rate - expected) > 1 + expected / 50:
            raise data.lying(f"{rate_hz} Hz in blocks of {per_block} are not {byte_rate} bytes per second")
    else:
        raise data.unsupported(f"is a WAV of format {tag:#06x}, which is not read here")
    return _Format(tag, channels, rate_hz, block)


def _never_filled_in(size: int) -> bool:
    """True for what programs leave in a size when they write to a pipe and cannot come back.

    ffmpeg leaves 0xFFFFFFFF, GStreamer and others 0 or 0xFFFF0000, sox 0x7FFFF000 and a little more, arecord
    about 2**31.
    """
    return size == 0 or 0x7FFFF000 <= size <= 0x80000100 or size >= 0xFFFF0000


def _sound(
    data: Bytes, base: int, start: int, size: int, riff_bytes: int, fmt: _Format, container: str, order: str
) -> Header:
    held = data.size - start
    riff_open = _never_filled_in(riff_bytes) or riff_bytes + 8 == start - base
    if held and riff_open and _never_filled_in(size) and (size == 0 or size > held):
        whole = held - held % fmt.block_bytes
        if whole >= 0x7FFFF000:
            raise data.unsupported("was written to a pipe and is longer than a WAV can say")
        return Header(
            container,
            fmt.rate_hz,
            fmt.channels,
            fmt.frames(whole),
            pieces=(range(start - 4), struct.pack(order + "I", whole), range(start, data.size)),
            warnings=("its header leaves the length open, as programs that write to a pipe do; all of it is played",),
        )
    if size > held:
        raise data.truncated(f"it promises {size} bytes of sound and holds {held}")
    if size % fmt.block_bytes and fmt.tag in _PLAIN:
        raise data.lying(f"{size} bytes of sound are not a whole number of {fmt.block_bytes}-byte frames")
    extra = _trailing(data, start + size, order)
    if extra > _TRAILING_JUNK_MAX_BYTES:
        raise data.lying(f"it promises {size} bytes of sound, and {extra} bytes of something else follow")
    warnings = (f"{extra} bytes after its sound are ignored",) if extra else ()
    return Header(container, fmt.rate_hz, fmt.channels, fmt.frames(size), warnings=warnings)


def _trailing(data: Bytes, position: int, order: str) -> int:
    """How many bytes after the sound are neither chunks nor tags."""
    if position & 1 and data.read(position, 1) == b"\0":
        position += 1  # the pad byte of an odd chunk, which some writers forget
    for _ in range(MAX_CHUNKS):
        left = data.size - position
        chunk = data.read(position, 8)
        if left <= 0 or chunk.startswith(_TAGS):
            return 0
        if len(chunk) < 8 or not all(32 <= c < 127 for c in chunk[:4]):
            return left
        size = _u32(order, chunk, 4)
        if 8 + size > left:
            return left
        position += min(8 + size + (size & 1), left)
    return data.size - position
