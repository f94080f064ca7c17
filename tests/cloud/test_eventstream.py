"""The event stream framing against AWS's own vectors and botocore's decoder."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.cloud import eventstream


def decoded(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


# Of aws-c-event-stream's and botocore's test data: an empty message, and a payload without headers.
EMPTY = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")
PAYLOAD = bytes.fromhex("0000001d 00000000 fd528c5a 7b27666f6f273a27626172277d c3653936")


@pytest.mark.parametrize(("payload", "message"), [(b"", EMPTY), (b"{'foo':'bar'}", PAYLOAD)])
def test_known_messages(payload: bytes, message: bytes) -> None:
    assert eventstream.encode({}, payload) == message


def test_a_string_header() -> None:
    """Name length, name, type 7, value length, value; the rest as in the published vector `one string header`."""
    message = eventstream.encode({"content-type": "application/json"}, b"{'foo':'bar'}")
    assert message.hex() == (
        "0000003d00000020" "07fd8396" "0c636f6e74656e742d74797065070010"
        "6170706c69636174696f6e2f6a736f6e" "7b27666f6f273a27626172277d" "8d9c08b1"
    )  # fmt: skip


header_names = st.text(min_size=1, max_size=60).filter(lambda text: len(text.encode(errors="replace")) <= 255)
header_values = st.text(max_size=200)


@settings(deadline=None)
@given(st.dictionaries(header_names, header_values, max_size=8), st.binary(max_size=2000))
def test_botocore_reads_what_is_written(headers: dict[str, str], payload: bytes) -> None:
    assert decoded(eventstream.encode(headers, payload)) == [(headers, payload)]


def test_events_and_exceptions() -> None:
    stream = eventstream.event("messageStart", {"role": "assistant"})
    stream += eventstream.exception("throttlingException", {"message": "slow down"})
    (first, second) = decoded(stream)
    assert first[0] == {
        ":event-type": "messageStart",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert json.loads(first[1]) == {"role": "assistant"}
    assert second[0] == {
        ":exception-type": "throttlingException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    assert json.loads(second[1]) == {"message": "slow down"}


@settings(deadline=None)
@given(st.integers(0, 60))
def test_a_flipped_bit_is_noticed(position: int) -> None:
    """The checksums are where the decoder looks for them: no byte is outside of them."""
    message = bytearray(eventstream.encode({"content-type": "application/json"}, b"{'foo':'bar'}"))
    message[position] ^= 1
    with pytest.raises(ChecksumMismatch):
        decoded(bytes(message))


def test_limits_of_the_format() -> None:
    eventstream.encode({"n" * 255: "v" * 32767}, b"")
    for headers, payload in (
        ({"n" * 256: ""}, b""),
        ({"": ""}, b""),
        ({"n": "v" * 32768}, b""),
        ({str(number): "v" * 32000 for number in range(5)}, b""),
        ({}, bytes(eventstream.MAX_PAYLOAD_BYTES + 1)),
    ):
        with pytest.raises(ValueError, match="too long"):
            eventstream.encode(headers, payload)


def test_no_number_that_json_lacks() -> None:
    with pytest.raises(ValueError, match="JSON"):
        eventstream.event("metadata", {"latencyMs": float("nan")})
