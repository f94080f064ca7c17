"""The `application/vnd.amazon.eventstream` framing, encoder only: bytes out, no I/O.

Layout (AWS event stream encoding, all big endian): total length u32, headers' length u32, CRC-32 of those eight
bytes; headers, each name length u8, name, type u8 (7: string), value length u16, value; payload; CRC-32 of
everything before it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

CONTENT_TYPE = "application/vnd.amazon.eventstream"

# Limits of the format, from AWS's specification (and botocore's decoder, which refuses more).
MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
_MAX_NAME_BYTES = 255
_MAX_VALUE_BYTES = 0x7FFF

_PRELUDE_BYTES = 12
_CRC_BYTES = 4
_STRING = 7


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message with string `headers`. Raises ValueError beyond the format's limits."""
    packed = b"".join(_header(name, value) for name, value in headers.items())
    if len(packed) > MAX_HEADERS_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"an event of {len(packed)} header bytes and {len(payload)} payload bytes is too long")
    total = _PRELUDE_BYTES + len(packed) + len(payload) + _CRC_BYTES
    prelude = struct.pack(">II", total, len(packed))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    message = prelude + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, body: Mapping[str, Any]) -> bytes:
    """An event of an operation's stream, its body as JSON."""
    return encode({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, _json(body))


def exception(kind: str, body: Mapping[str, Any]) -> bytes:
    """An error in the middle of a stream; `kind` is the member's name, such as `throttlingException`."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, _json(body))


def _header(name: str, value: str) -> bytes:
    name_bytes, value_bytes = name.encode(), value.encode()
    if not 0 < len(name_bytes) <= _MAX_NAME_BYTES or len(value_bytes) > _MAX_VALUE_BYTES:
        raise ValueError(f"the header {name!r} is too long")
    length = struct.pack(">H", len(value_bytes))
    return bytes((len(name_bytes),)) + name_bytes + bytes((_STRING,)) + length + value_bytes


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
