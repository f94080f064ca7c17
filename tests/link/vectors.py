"""Makes tests/data/link_vectors.json: `python tests/link/vectors.py`. Both ends must read and write these bytes.

The encoder here is written for itself, byte by byte from firmware/LINK.md, and shares no code with either end.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

PATH = Path(__file__).resolve().parents[1] / "data" / "link_vectors.json"


def crc(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def stuff(data: bytes) -> bytes:
    out = bytearray()
    block = bytearray()
    for index, byte in enumerate(data):
        if byte:
            block.append(byte)
            if len(block) == 254 and index < len(data) - 1:
                out += bytes([255]) + block
                block.clear()
        else:
            out += bytes([len(block) + 1]) + block
            block.clear()
    return bytes(out + bytes([len(block) + 1]) + block)


def frame(kind: int, channel: int, seq: int, payload: bytes, *, length: int | None = None, flip: int = 0) -> bytes:
    size = len(payload) if length is None else length
    body = bytes([kind, channel, seq & 255, seq >> 8, size & 255, size >> 8]) + payload
    return stuff(body + (crc(body) ^ flip).to_bytes(4, "little")) + b"\0"


def build() -> dict[str, object]:
    random = Random(1)
    noise = random.randbytes(1024)
    payloads = {
        "empty": b"",
        "one zero": b"\0",
        "silence": bytes(1024),
        "no zero": b"\x55" * 1024,
        "noise": noise,
        "first block just full": b"\x01" * 247,  # header with two zeros before
        "digits": b"123456789",
        "json": b'{"id":1,"op":"info"}',
        "zeros at both ends": b"\0\0abc\0\0",
        **{f"run of {n}": b"\0" + b"\xaa" * n for n in (252, 253, 254, 255, 508, 509)},
    }
    good = [
        {"name": name, "type": 3, "channel": 2, "seq": 65535 - n, "payload": payload.hex()}
        for n, (name, payload) in enumerate(payloads.items())
    ]
    # No zero anywhere but in front, so that whole blocks end with the frame or one byte before and after it.
    good += [
        {"name": f"all set, {n}", "type": 3, "channel": 7, "seq": 0x0101, "payload": (b"\x7f" * n).hex()}
        for n in (0x01F0, 0x01F1, 0x01F2, 0x01F3, 0x01F4, 0x01F5)
    ]
    good += [
        {
            "name": "ack",
            "type": 2,
            "channel": 0,
            "seq": 0,
            "payload": "fbff0102" + "fbfffbff" + "0200400000" + "03ffffffff",
        },
        {
            "name": "ping",
            "type": 4,
            "channel": 0,
            "seq": 0,
            "payload": (0x0123456789ABCDEF).to_bytes(8, "little").hex(),
        },
        {"name": "pong", "type": 5, "channel": 0, "seq": 0, "payload": bytes(range(24)).hex()},
        {"name": "close", "type": 6, "channel": 0, "seq": 0, "payload": b"done".hex()},
        {"name": "type of the future", "type": 200, "channel": 9, "seq": 7, "payload": "00ff00"},
    ]
    for entry in good:
        payload = bytes.fromhex(str(entry["payload"]))
        entry["encoded"] = frame(int(entry["type"]), int(entry["channel"]), int(entry["seq"]), payload).hex()  # type: ignore[call-overload]
    plain = frame(3, 2, 5, b"hello")
    bad = [
        {"name": "one bit of the checksum", "encoded": frame(3, 2, 5, b"hello", flip=1 << 31).hex(), "crc": True},
        {"name": "length too small", "encoded": frame(3, 2, 5, b"hello", length=4).hex(), "crc": False},
        {"name": "length too large", "encoded": frame(3, 2, 5, b"hello", length=6).hex(), "crc": False},
        {"name": "length of the largest u16", "encoded": frame(3, 2, 5, b"hello", length=65535).hex(), "crc": False},
        {"name": "only a checksum", "encoded": (stuff(bytes(4)) + b"\0").hex(), "crc": False},
        {"name": "nine bytes", "encoded": (stuff(b"\3\2\5\0\0\0abc") + b"\0").hex(), "crc": False},
        {"name": "a block that is cut", "encoded": (plain[:-3] + b"\0").hex(), "crc": False},
        {"name": "a code with nothing after it", "encoded": "0500", "crc": False},
        {"name": "a whole frame that is too long", "encoded": frame(3, 2, 5, b"\x11" * 1025).hex(), "crc": False},
        {"name": "far too long", "encoded": (b"\x42" * 5000 + b"\0").hex(), "crc": False},
        {"name": "far too long, short blocks", "encoded": (b"\x01" * 5000 + b"\0").hex(), "crc": False},
    ]
    # Ctrl-C twice: what a REPL and a program understand, and no frame.
    return {"good": good, "bad": bad, "attention": "000d030300"}


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1) + "\n")
