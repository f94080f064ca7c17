"""Frames: both ends read and write the same bytes, and nothing else passes for a frame."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodydouble.link import wire
from bodydouble.link.wire import Ack, FrameError, Hello, decode, encode
from link.board_end import FIRMWARE, kernels
from link.vectors import PATH, build

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(PATH.read_text())


def test_the_vectors_are_what_their_maker_makes() -> None:
    assert build() == VECTORS


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda vector: str(vector["name"]))
def test_good_vectors_both_ways(vector: dict[str, Any]) -> None:
    payload, encoded = bytes.fromhex(vector["payload"]), bytes.fromhex(vector["encoded"])
    assert encode(vector["type"], vector["channel"], vector["seq"], payload) == encoded
    assert decode(encoded[:-1]) == (vector["type"], vector["channel"], vector["seq"], payload)


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=lambda vector: str(vector["name"]))
def test_bad_vectors_are_refused(vector: dict[str, Any]) -> None:
    encoded = bytes.fromhex(vector["encoded"])[:-1]
    if len(encoded) < wire.MAX_ENCODED:  # longer ones never reach decode()
        with pytest.raises(FrameError) as caught:
            decode(encoded)
        assert caught.value.crc is vector["crc"]


def test_attention_is_ctrl_c_and_no_frame() -> None:
    attention = bytes.fromhex(str(VECTORS["attention"]))
    assert attention == wire.ATTENTION
    with pytest.raises(FrameError):
        decode(attention.strip(b"\0"))


def test_hellos_interrupt_no_board() -> None:
    names = {wire.session_name() for _ in range(500)}
    assert len(names) == 500
    for name in names:
        hello = encode(wire.FrameType.HELLO, 0, 0, Hello(wire.VERSION, name).pack())
        assert wire.CTRL_C not in hello


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=1024), st.data())
def test_any_frame_comes_back_at_both_ends(
    kind: int, channel: int, seq: int, payload: bytes, data: st.DataObject
) -> None:
    encoded = encode(kind, channel, seq, payload)
    assert encoded.index(0) == len(encoded) - 1 < wire.MAX_ENCODED
    assert decode(encoded[:-1]) == (kind, channel, seq, payload)
    frame, out = bytearray(wire.MAX_FRAME + 2), bytearray(wire.MAX_ENCODED)
    kernels.pack(frame, kind, channel, seq, b"x" + payload, 1, len(payload))
    assert out[: kernels.seal(frame, len(payload), out, 0)] == encoded
    at = data.draw(st.integers(0, len(encoded) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    broken = bytearray(encoded)
    broken[at] ^= bit
    for piece in bytes(broken).split(b"\0"):
        with pytest.raises(FrameError):
            decode(piece)


def test_both_ends_name_the_same_numbers() -> None:
    ours = {
        name: int(value)
        for group in (wire.FrameType, wire.Channel, wire.LogLevel)
        for name, value in group.__members__.items()
    }
    ours |= {name: value for name, value in vars(wire).items() if name.isupper() and isinstance(value, int)}
    theirs = {}
    for node in ast.parse((FIRMWARE / "wire.py").read_text()).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
        ):
            theirs[node.targets[0].id] = ast.literal_eval(node.value.args[0])
    shared = ours.keys() & theirs.keys()
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    assert shared >= {*wire.FrameType.__members__, *wire.Channel.__members__, *wire.LogLevel.__members__}
    assert shared >= {"VERSION", "MAX_PAYLOAD", "MAX_ENCODED"}


def test_ack_round_trip() -> None:
    ack = Ack(65535, ((1, 1), (5, 9)), ((2, 0xFFFFFFFF), (3, 0)))
    assert Ack.unpack(ack.pack()) == ack


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0\0",
        b"\0\0\1\0",
        b"\0\0\0\1",
        b"\0\0\0\0x",
        b"\0\0\xff\0" + bytes(4 * 255),
        b"\0\0\0\xff" + bytes(5 * 255),
    ],
)
def test_acks_whose_counts_lie(payload: bytes) -> None:
    with pytest.raises(FrameError):
        Ack.unpack(payload)


def test_hello_round_trip() -> None:
    hello = Hello(1, "abc", 512, 65535, ((2, 16384), (3, 0)), 30, ("taps",), True)
    assert Hello.unpack(hello.pack()) == hello


def test_a_hello_of_another_version_is_read_as_far_as_its_version() -> None:
    assert Hello.unpack(b'{"version": 9, "session": 5}').version == 9


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1"}, {"version": True}, {"version": None}, {"session": 7}, {"session": "s" * 33},
        {"max_payload": 63}, {"max_payload": 65536}, {"max_payload": 1e3}, {"next": -1}, {"next": 65536},
        {"credits": {}}, {"credits": [[2]]}, {"credits": [[2, -1]]}, {"credits": [[2, 1 << 32]]},
        {"credits": [[2, 0]] * 9}, {"ticks_bits": 0}, {"ticks_bits": 65},
        {"capabilities": "x"}, {"capabilities": [1]},
    ],
    ids=str,
)  # fmt: skip
def test_hellos_that_cannot_be_used(change: dict[str, Any]) -> None:
    fields = {**json.loads(Hello(1, "s").pack()), **change}
    with pytest.raises(FrameError):
        Hello.unpack(json.dumps(fields).encode())


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b"\xff", b"{", b"[" * 1024, b'{"version":1}'])
def test_hellos_that_are_none(payload: bytes) -> None:
    with pytest.raises(FrameError):
        Hello.unpack(payload)


def test_the_specification_lists_the_vectors_it_shows() -> None:
    text = (Path(FIRMWARE).parent / "LINK.md").read_text()
    shown = encode(wire.FrameType.DATA, wire.Channel.AUDIO, 5, b"hello").hex(" ")
    assert shown in text
