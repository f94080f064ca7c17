"""MP3: MPEG audio, layer III. Sources: ISO 11172-3 2.4.2.3, ISO 13818-3, the Xing and VBRI headers, ID3v2.4 3.1.

All frame headers are walked: the decoder would believe a Xing header that counts too many or too few frames, and
would play a second recording that follows at another rate as if it were the first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from bodydouble.streams.containers.base import Bytes, Header

_WINDOW_BYTES = 1 << 20
_MAX_FRAME_BYTES = 8_192
_GAPLESS_MAX_FRAMES = 2 * 4_095  # LAME's delay and padding are 12 bits each
_KBPS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_LAYER_III = 1


@dataclass(frozen=True)
class Frame:
    """What four bytes say about one frame."""

    length: int
    samples: int
    rate_hz: int
    channels: int
    version: int

    def same_sound(self, other: Frame) -> bool:
        """True where one decoder setting fits both."""
        return (self.rate_hz, self.samples, self.channels) == (other.rate_hz, other.samples, other.channels)


_known: dict[int, Frame | None] = {}


def frame_at(raw: bytes, offset: int = 0) -> Frame | None:
    """The frame whose header stands at `raw[offset:offset+4]`, or None where there is none."""
    if len(raw) < offset + 4 or raw[offset] != 0xFF:
        return None
    word = raw[offset + 1] << 10 | raw[offset + 2] << 2 | raw[offset + 3] >> 6
    if word not in _known:
        _known[word] = _frame(raw[offset + 1], raw[offset + 2], raw[offset + 3])
    return _known[word]


def _frame(second: int, third: int, fourth: int) -> Frame | None:
    version, layer = second >> 3 & 3, second >> 1 & 3  # version 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5
    kbps_index, rate_index = third >> 4, third >> 2 & 3
    if second & 0xE0 != 0xE0 or version == 1 or layer != _LAYER_III or kbps_index in (0, 15) or rate_index == 3:
        return None
    rate_hz = (44_100, 48_000, 32_000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    kbps = (_KBPS_1 if version == 3 else _KBPS_2)[kbps_index - 1]
    samples = 1_152 if version == 3 else 576
    length = samples * 125 * kbps // rate_hz + (third >> 1 & 1)
    return Frame(length, samples, rate_hz, 1 if fourth >> 6 == 3 else 2, version)


def id3_bytes(head: bytes) -> int:
    """The length of the ID3v2 tag that `head` begins with, 0 where there is none."""
    if len(head) < 10 or head[:3] != b"ID3" or head[3] == 0xFF or max(head[6:10]) > 0x7F:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def looks_like(head: bytes, frames: int = 3) -> bool:
    """True where `head` begins with up to `frames` frames of one kind, as far as it reaches."""
    first = frame_at(head)
    if first is None:
        return False
    position = 0
    for _ in range(frames):
        if position >= len(head):
            break
        frame = frame_at(head, position)
        if frame is None or not frame.same_sound(first):
            return False
        position += frame.length
    return True


def inspect(data: Bytes, base: int) -> Header:
    """The checked header of a stream of MPEG frames that begins at `base`."""
    first = frame_at(data.need(base, 4))
    if first is None:
        raise data.unsupported("begins with an MPEG frame that is not read here")
    data.check_format(first.rate_hz, first.channels)
    count, end = _walk(data, base, first)
    promise = _promised(data.read(base, 192), first)
    vague = True
    if promise:
        count -= 1  # the frame that carries the promise has no sound
        frames, size, vbri = promise
        if frames is not None and frames > count + 1:
            raise data.truncated(f"it promises {frames} frames of sound and holds {count}")
        if frames is not None and frames < count - 1:
            raise data.lying(f"it promises {frames} frames of sound and holds {count}")
        held = end - base
        off = 0 if size is None else abs(size - held)
        if off * 100 > held and off > 2 * first.length:
            raise data.lying(f"it promises {size} bytes of sound and holds {held}")
        vague = frames is None or vbri or off * 100 > held
    pieces: tuple[bytes | range, ...] = ()
    if vague:
        # libsndfile would guess the length from the first frames, and stop there: tell it.
        start = base + first.length if promise else base
        pieces = (_info_frame(data.need(base, 4), count, end - start), range(start, data.size))
    samples = count * first.samples
    slack = _GAPLESS_MAX_FRAMES + 2 * first.samples
    return Header("MP3", first.rate_hz, first.channels, samples, slack=slack, pieces=pieces)


def _walk(data: Bytes, position: int, first: Frame) -> tuple[int, int]:
    """Count the frames from `position` on; returns the count and where the last one ended."""
    count, window, start, end = 0, b"", position, position
    while position < data.size:
        at = position - start
        if at + _MAX_FRAME_BYTES > len(window) and start + len(window) < data.size:
            window, start, at = data.read(position, _WINDOW_BYTES), position, 0
            if not window:
                break
        frame = frame_at(window, at)
        if frame is None:
            tag = _tag_bytes(window, at, data.size - position)
            if not tag:
                raise data.damaged(f"there is no frame at byte {position}")
            position += tag
            continue
        if frame is not first and not frame.same_sound(first):
            raise data.unsupported(f"changes its rate or its channels at byte {position}")
        position += frame.length
        end = position
        count += 1
    if end > data.size:
        raise data.truncated("its last frame is not whole")
    return count, end


def _tag_bytes(window: bytes, at: int, left: int) -> int:
    """The length of what may stand between or after frames: ID3, APE and lyrics tags, zeros to the end; else 0."""
    head = window[at : at + 32]
    if head[:3] == b"ID3":
        return id3_bytes(head)
    if head[:3] == b"TAG" and left in (128, 128 + 227):
        return left
    if head[:8] == b"APETAGEX" and len(head) == 32:
        size, flags = struct.unpack_from("<I4xI", head, 12)
        return int(size) + (32 if flags & 1 << 29 else 0)
    if head[:11] == b"LYRICSBEGIN":
        return left
    zeros = left <= len(window) - at and not any(window[at : at + left])
    return left if zeros else 0


class _Promise(NamedTuple):
    """Frames and bytes of sound that a header counts, and whether it is Fraunhofer's."""

    frames: int | None
    size: int | None
    vbri: bool


def _side_bytes(frame: Frame) -> int:
    """The side information between a frame's header and its data."""
    if frame.version == 3:
        return 32 if frame.channels == 2 else 17
    return 17 if frame.channels == 2 else 9


def _promised(head: bytes, first: Frame) -> _Promise | None:
    """What a Xing, Info or VBRI header promises; None where there is no such header."""
    tag = head[4 + _side_bytes(first) :]
    if tag[:4] in (b"Xing", b"Info") and len(tag) >= 16:
        flags, *values = struct.unpack_from(">III", tag, 4)
        frames = values.pop(0) if flags & 1 else None
        return _Promise(frames, values.pop(0) if flags & 2 else None, vbri=False)
    if head[36:40] == b"VBRI" and len(head) >= 54:
        size, frames = struct.unpack_from(">II", head, 46)
        return _Promise(frames, size, vbri=True)
    return None


def _info_frame(header: bytes, count: int, size: int) -> bytes:
    """A frame without sound, of the same kind as `header`, that says how many frames follow."""
    # 64 kbit/s has room at every rate; no padding, no CRC.
    kbps_index = 5 if header[1] >> 3 & 3 == 3 else 8
    mine = bytes((0xFF, header[1] | 1, kbps_index << 4 | header[2] & 0x0C, header[3]))
    frame = frame_at(mine)
    if frame is None:
        raise ValueError("not a frame's header")
    tag = b"Info" + struct.pack(">III", 3, count, size + frame.length)
    return (mine + bytes(_side_bytes(frame)) + tag).ljust(frame.length, b"\0")
