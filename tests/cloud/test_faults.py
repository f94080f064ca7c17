"""Faults: what the client sees, and how often it tries again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import RemoteDisconnected
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EventStreamError

from bodydouble.cloud.errors import FaultError
from bodydouble.cloud.faults import KINDS, Fault
from bodydouble.cloud.server import CloudServer
from bodydouble.errors import ExitCode
from cloud.kit import client, user
from cloud.test_api import converse_path, post

STREAM = [False, True]


@contextmanager
def failing(fault: str, attempts: int = 1) -> Iterator[tuple[CloudServer, Any]]:
    with CloudServer(fault=fault) as server:
        bedrock = client(server.url, attempts)
        yield server, bedrock
        bedrock.close()


def call(server: CloudServer, bedrock: Any, stream: bool) -> Any:
    request = {"modelId": server.model_id, "messages": [user("hello")]}
    if not stream:
        return bedrock.converse(**request)
    with closing(bedrock.converse_stream(**request)["stream"]) as events:
        return list(events)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """botocore waits a random time between attempts: not here."""
    waits: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", waits.append)
    return waits


@pytest.mark.parametrize("stream", STREAM)
@pytest.mark.parametrize(
    ("fault", "code", "status", "hits"),
    [
        ("throttle", "ThrottlingException", 429, 3),
        ("unavailable", "ServiceUnavailableException", 503, 3),
        ("timeout", "ModelTimeoutException", 408, 1),  # botocore does not try this one again
    ],
)
def test_errors_and_their_retries(fault: str, code: str, status: int, hits: int, stream: bool) -> None:
    with failing(fault, attempts=3) as (server, bedrock):
        with pytest.raises(getattr(bedrock.exceptions, code)) as caught:
            call(server, bedrock, stream)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert server.requests == hits


@pytest.mark.parametrize("stream", STREAM)
def test_a_dropped_connection(stream: bool) -> None:
    with failing("drop", attempts=3) as (server, bedrock):
        with pytest.raises(ConnectionClosedError):
            call(server, bedrock, stream)
        assert server.requests == 3


def test_a_connection_is_dropped_whoever_it_says_it_is() -> None:
    """A forwarding header does not stand in for the client's own address."""
    with CloudServer(fault="drop") as server:
        body = json.dumps({"messages": [user("hello")]}).encode()
        with pytest.raises((RemoteDisconnected, ConnectionResetError)):
            post(server, converse_path(), body, **{"X-Forwarded-For": "10.0.0.1"})


@pytest.mark.parametrize("stream", STREAM)
@pytest.mark.parametrize("fault", ["throttle:2", "unavailable:2", "drop:2"])
def test_a_client_that_tries_again_gets_through(fault: str, stream: bool) -> None:
    with failing(fault, attempts=3) as (server, bedrock):
        assert call(server, bedrock, stream)
        assert server.requests == 3
        assert call(server, bedrock, stream)
        assert server.requests == 4


def test_a_stream_that_breaks() -> None:
    """It begins as any other; the error is an event of the stream and is not tried again."""
    with failing("midstream", attempts=3) as (server, bedrock):
        response = bedrock.converse_stream(modelId=server.model_id, messages=[user("hello")])
        seen: list[str] = []
        with closing(response["stream"]) as stream, pytest.raises(EventStreamError) as caught:
            seen.extend(next(iter(event)) for event in stream)
        assert seen == ["messageStart", "contentBlockDelta"]
        assert caught.value.response["Error"]["Code"] == "modelStreamErrorException"
        assert "failed while it was answering" in str(caught.value)
        assert server.requests == 1


def test_a_broken_answer_without_a_stream_is_an_error() -> None:
    with failing("midstream:1") as (server, bedrock):
        with pytest.raises(ClientError) as caught:
            call(server, bedrock, stream=False)
        assert caught.value.response["Error"]["Code"] == "ModelErrorException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert call(server, bedrock, stream=True)


def test_the_service_is_there_after_any_fault() -> None:
    for kind in KINDS:
        with failing(f"{kind}:1") as (server, bedrock):
            with pytest.raises((ClientError, ConnectionClosedError, EventStreamError)):
                call(server, bedrock, stream=True)
            assert call(server, bedrock, stream=True)


@pytest.mark.parametrize("text", ["", "fire", "throttle:", "throttle:0", "throttle:-1", "throttle:x", "throttle:1:2"])
def test_faults_that_are_none(text: str) -> None:
    with pytest.raises(FaultError) as caught:
        Fault.parse(text)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.hint in (
        "use one of throttle, unavailable, timeout, drop, midstream, or like throttle:2",
        "use a number from 1, like throttle:2",
    )


def test_how_often_a_fault_strikes() -> None:
    fault = Fault.parse("drop:2")
    assert [fault.strike() for _ in range(4)] == ["drop", "drop", None, None]
    assert [Fault.parse(None).strike() for _ in range(2)] == [None, None]
    always = Fault.parse("timeout")
    assert {always.strike() for _ in range(100)} == {"timeout"}
