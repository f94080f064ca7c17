"""MPEG audio, layers I to III. Sources: ISO 11172-3 2.4.2.3, ISO 13818-3, the Xing and VBRI headers, ID3v2.4 3.1.

All frame headers are walked: the decoder would believe a Xing header that counts too many or too few frames, and
would play a second recording that follows at another rate as if it were the first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bodydouble.streams.containers.base import Bytes, Header

_WINDOW_BYTES = 1 << 20
_MAX_FRAME_BYTES = 8_192
_GAPLESS_MAX_FRAMES = 2 * 4_095  # LAME's delay and padding are 12 bits each
_KBPS_1 = {
    3: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBPS_2 = {
    3: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    1: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


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
    if second & 0xE0 != 0xE0 or version == 1 or not layer or kbps_index in (0, 15) or rate_index == 3:
        return None
    rate_hz = (44_100, 48_000, 32_000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    kbps = (_KBPS_1 if version == 3 else _KBPS_2)[layer][kbps_index - 1]
    padding = third >> 1 & 1
    channels = 1 if fourth >> 6 == 3 else 2
    if layer == 3:
        return Frame((12_000 * kbps // rate_hz + padding) * 4, 384, rate_hz, channels, version)
    samples = 576 if layer == 1 and version != 3 else 1_152
    return Frame(samples * 125 * kbps // rate_hz + padding, samples, rate_hz, channels, version)


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
    promised = _promised(data.read(base, 192), first)
    if promised:
        count -= 1  # the frame that carries the promise has no sound
        frames, size = promised
        if frames is not None and frames > count + 1:
            raise data.truncated(f"it promises {frames} frames of sound and holds {count}")
        if frames is not None and frames < count - 1:
            raise data.lying(f"it promises {frames} frames of sound and holds {count}")
        held = end - base
        if size is not None and abs(size - held) * 100 > held and abs(size - held) > 2 * first.length:
            raise data.lying(f"it promises {size} bytes of sound and holds {held}")
    return Header(
        "MP3", first.rate_hz, first.channels, count * first.samples, slack=_GAPLESS_MAX_FRAMES + 2 * first.samples
    )


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


def _promised(head: bytes, first: Frame) -> tuple[int | None, int | None] | None:
    """Frames and bytes that a Xing, Info or VBRI header promises; None where there is no such header."""
    side = {(3, 2): 32, (3, 1): 17}.get((first.version, first.channels), 17 if first.channels == 2 else 9)
    tag = head[4 + side :]
    if tag[:4] in (b"Xing", b"Info") and len(tag) >= 16:
        flags, *values = struct.unpack_from(">III", tag, 4)
        frames = values.pop(0) if flags & 1 else None
        return frames, values.pop(0) if flags & 2 else None
    if head[36:40] == b"VBRI" and len(head) >= 54:
        size, frames = struct.unpack_from(">II", head, 46)
        return frames, size
    return None
