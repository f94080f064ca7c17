"""Frames: their types, channels, limits and layout. `firmware/coproc/wire.py` is the board's copy; a test compares.

A frame before COBS, little endian: type u8, channel u8, seq u16, length u16, payload, crc32 u32 (zlib's, over header
and payload). After COBS a zero byte delimits it.
"""

from __future__ import annotations

import json
import secrets
import struct
from dataclasses import dataclass
from enum import IntEnum
from zlib import crc32

from cobs import cobs

VERSION = 1


class FrameType(IntEnum):
    """What a frame is. A receiver skips and counts types that it does not know."""

    HELLO = 1
    ACK = 2
    DATA = 3
    PING = 4
    PONG = 5
    CLOSE = 6


class Channel(IntEnum):
    """Who a DATA frame is for."""

    CONTROL = 0
    EVENT = 1
    AUDIO = 2
    FILE = 3
    UTTERANCE = 4
    LOG = 5
    FEATURE = 6
    TENSOR = 7


class LogLevel(IntEnum):
    """The first byte of a payload on the log channel."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


CREDITED = frozenset({Channel.AUDIO, Channel.FILE})
"""Bulk channels from host to board: nothing is sent on them beyond the board's credit."""

HEADER = 6
TRAILER = 4
MAX_PAYLOAD = 1024
MIN_PAYLOAD = 64
MAX_FRAME = HEADER + MAX_PAYLOAD + TRAILER
MAX_ENCODED = MAX_FRAME + -(-MAX_FRAME // 254) + 1
MAX_REASON = 256
MAX_SESSION = 32
MAX_SACKS = 8
MAX_CREDITS = 8
MAX_FILE = 1 << 20
WINDOW = 1024

CTRL_C = b"\x03"
ATTENTION = b"\0\r" + 2 * CTRL_C + b"\0"
"""Interrupts whatever runs on a board. Firmware that is in a session takes Ctrl-C for a byte like any other and this
for a frame that no valid one equals: it ends, and the board's REPL is there."""

SEQ_MASK = 0xFFFF
HALF = 0x8000

_HEADER = struct.Struct("<BBHH")
_CRC = struct.Struct("<I")
_ACK = struct.Struct("<HBB")
_RANGE = struct.Struct("<HH")
_CREDIT = struct.Struct("<BI")
PING = struct.Struct("<Q")
PONG = struct.Struct("<QQQ")


class FrameError(ValueError):
    """Bytes that are no valid frame; `crc` tells a failed checksum from a wrong shape."""

    def __init__(self, message: str, *, crc: bool = False) -> None:
        super().__init__(message)
        self.crc = crc


@dataclass(frozen=True)
class Hello:
    """What the ends tell each other first. `next` is the number that the sender expects of its peer's next DATA.

    `resumed` is the board's: it knew the session and goes on with it. A version that is not ours leaves the rest
    empty.
    """

    version: int
    session: str
    max_payload: int = MAX_PAYLOAD
    next: int = 0
    credits: tuple[tuple[int, int], ...] = ()
    ticks_bits: int = 62
    capabilities: tuple[str, ...] = ()
    resumed: bool = False

    def pack(self) -> bytes:
        """The hello's payload."""
        fields = {
            "version": self.version,
            "session": self.session,
            "max_payload": self.max_payload,
            "next": self.next,
            "credits": [list(entry) for entry in self.credits],
            "ticks_bits": self.ticks_bits,
            "capabilities": list(self.capabilities),
            "resumed": self.resumed,
        }
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, payload: bytes) -> Hello:
        """Read a peer's hello; FrameError where a field is missing, of the wrong type or out of its range."""
        try:
            fields = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise FrameError("a hello that is no JSON") from error
        if not isinstance(fields, dict):
            raise FrameError("a hello that is no JSON object")
        version = _number(fields, "version", 0, 0xFFFF)
        if version != VERSION:
            return cls(version, "")  # another version may have other fields
        session = fields.get("session")
        if not isinstance(session, str) or len(session) > MAX_SESSION:
            raise FrameError("a hello without a usable session")
        names = fields.get("capabilities", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise FrameError("a hello whose capabilities are no list of names")
        return cls(
            version,
            session,
            _number(fields, "max_payload", MIN_PAYLOAD, 0xFFFF),
            _number(fields, "next", 0, SEQ_MASK),
            _credits(fields.get("credits", [])),
            _number({"ticks_bits": 62, **fields}, "ticks_bits", 16, 64),
            tuple(names),
            fields.get("resumed") is True,
        )


def _number(fields: dict[str, object], name: str, low: int, high: int) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise FrameError(f"a hello whose {name} is not a number from {low} to {high}")
    return value


def _credits(entries: object) -> tuple[tuple[int, int], ...]:
    if not isinstance(entries, list) or len(entries) > MAX_CREDITS:
        raise FrameError("a hello whose credits are no short list")
    credit = []
    for entry in entries:
        if not isinstance(entry, list) or len(entry) != 2:
            raise FrameError("a hello whose credits are no pairs")
        pair = {"channel": entry[0], "limit": entry[1]}
        credit.append((_number(pair, "channel", 0, 0xFF), _number(pair, "limit", 0, 0xFFFFFFFF)))
    return tuple(credit)


@dataclass(frozen=True)
class Ack:
    """`next`: all DATA before it arrived. A sack range holds the first and the number after the last frame that was
    kept beyond `next`; an empty one says that something at `next` went missing and nothing after it was kept."""

    next: int
    sacks: tuple[tuple[int, int], ...] = ()
    credits: tuple[tuple[int, int], ...] = ()

    def pack(self) -> bytes:
        """The acknowledgement's payload."""
        parts = [_ACK.pack(self.next, len(self.sacks), len(self.credits))]
        parts += [_RANGE.pack(*entry) for entry in self.sacks]
        parts += [_CREDIT.pack(*entry) for entry in self.credits]
        return b"".join(parts)

    @classmethod
    def unpack(cls, payload: bytes) -> Ack:
        """Read an acknowledgement; FrameError where its counts do not fit its length."""
        if len(payload) < _ACK.size:
            raise FrameError("an acknowledgement cut short")
        expected, n_sack, n_credit = _ACK.unpack_from(payload)
        if n_sack > MAX_SACKS or n_credit > MAX_CREDITS:
            raise FrameError("an acknowledgement with too many entries")
        credits_at = _ACK.size + n_sack * _RANGE.size
        if len(payload) != credits_at + n_credit * _CREDIT.size:
            raise FrameError("an acknowledgement of the wrong length")
        sacks = tuple(_RANGE.iter_unpack(payload[_ACK.size : credits_at])) if n_sack else ()
        return cls(expected, sacks, tuple(_CREDIT.iter_unpack(payload[credits_at:])) if n_credit else ())


def encode(kind: int, channel: int, seq: int, payload: bytes) -> bytes:
    """A whole frame as it goes over the wire, delimiter included."""
    body = _HEADER.pack(kind, channel, seq, len(payload)) + payload
    encoded: bytes = cobs.encode(body + _CRC.pack(crc32(body)))
    return encoded + b"\0"


def session_name() -> str:
    """A random name for a session, such that its hello has no Ctrl-C in it: that still interrupts a board then."""
    while True:
        name = secrets.token_hex(4)
        if CTRL_C not in encode(FrameType.HELLO, 0, 0, Hello(VERSION, name).pack()):
            return name


def decode(encoded: bytes) -> tuple[int, int, int, bytes]:
    """Type, channel, sequence number and payload of a frame, from the bytes between two delimiters; or FrameError."""
    try:
        frame: bytes = cobs.decode(encoded)
    except cobs.DecodeError as error:
        raise FrameError(f"no COBS: {error}") from error
    if len(frame) < HEADER + TRAILER:
        raise FrameError("a frame cut short")
    kind, channel, seq, length = _HEADER.unpack_from(frame)
    if length != len(frame) - HEADER - TRAILER:
        raise FrameError("a frame of the wrong length")
    # A checksum over itself, little endian, leaves the same residue whatever the frame.
    if crc32(frame) != _RESIDUE:
        raise FrameError("a frame whose checksum fails", crc=True)
    return kind, channel, seq, frame[HEADER:-TRAILER]


_RESIDUE = 0x2144DF1C
