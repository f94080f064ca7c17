"""The server's life: start, stop, threads, sockets, signals, and what it costs to import."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodydouble.cloud.errors import CloudStartError, FaultError, FleetError, MemoryFitError, ModelNameError
from bodydouble.cloud.server import CloudServer
from bodydouble.cloud.service import Completion, Service
from bodydouble.errors import ExitCode
from cloud.kit import client, user
from cloud.test_api import converse_path, post

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


def address(server: CloudServer) -> tuple[str, int]:
    parts = urlsplit(server.url)
    assert parts.hostname and parts.port
    return parts.hostname, parts.port


def hello(server: CloudServer) -> str:
    with contextlib.closing(client(server.url)) as bedrock:
        response = bedrock.converse(modelId=server.model_id, messages=[user("hello")])
    return str(response["output"]["message"]["content"][0]["text"])


def ours() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("bodydouble-cloud"))


def test_start_and_stop_leave_nothing_behind() -> None:
    process = psutil.Process()
    with CloudServer() as server:  # whatever is opened once and kept
        hello(server)
    files = process.num_fds()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for _ in range(2):
        with CloudServer() as server:
            assert hello(server).startswith("Hello!")
            assert {number: signal.getsignal(number) for number in handlers} == handlers
            assert ours()
            where = address(server)
        assert ours() == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where, timeout=1).close()
    assert process.num_fds() <= files + 1


def test_it_listens_on_the_loopback_alone() -> None:
    with CloudServer() as server:
        _, port = address(server)
        listening = [
            one.laddr for one in psutil.Process().net_connections("inet") if one.status == psutil.CONN_LISTEN
        ]
        assert [one.ip for one in listening if one.port == port] == ["127.0.0.1"]


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """asyncio switches Nagle's algorithm off only on sockets that name their protocol: 40 ms an answer otherwise."""
    with CloudServer() as server:
        assert server._serving is not None
        assert server._serving._listener.proto == socket.IPPROTO_TCP


def test_it_takes_connections_at_once() -> None:
    """Before anything slow is imported: the connection waits, it is not refused."""
    server = CloudServer()
    started = time.perf_counter()
    server.start()
    connection = socket.create_connection(address(server), timeout=5)
    assert time.perf_counter() - started < 1.0
    connection.close()
    server.stop()


def test_it_starts_again_and_twice_is_once() -> None:
    server = CloudServer()
    server.start()
    first = server.url
    server.start()
    assert server.url == first
    hello(server)
    assert server.requests == 1
    server.stop()
    server.stop()
    assert server.requests == 1  # still told after the end
    with server:
        assert hello(server)
        assert server.requests == 1


def test_it_is_stopped_before_it_serves() -> None:
    for _ in range(5):
        server = CloudServer()
        server.start()
        server.stop()
    assert ours() == []


def test_it_runs_in_any_thread() -> None:
    said: list[str] = []

    def run() -> None:
        with CloudServer() as server:
            said.append(hello(server))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert said and said[0].startswith("Hello!")


def test_several_at_once() -> None:
    with CloudServer(model="llama-3.1-8b") as one, CloudServer(fleet="h100:8") as other:
        assert one.url != other.url
        assert hello(one) == hello(other)


def test_it_is_stopped_at_once_under_idle_and_half_open_connections() -> None:
    server = CloudServer()
    server.start()
    hello(server)
    silent = socket.create_connection(address(server), timeout=5)
    half = socket.create_connection(address(server), timeout=5)
    half.sendall(b"POST /model/x/converse HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    time.sleep(0.05)  # until the server has read it
    started = time.perf_counter()
    server.stop()
    assert time.perf_counter() - started < 4.0
    assert ours() == []
    for connection in (silent, half):
        connection.settimeout(2)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):  # at most an error, then the end
                pass
        connection.close()


def test_no_url_before_the_start() -> None:
    server = CloudServer()
    with pytest.raises(CloudStartError, match=r"is not started \(call start\(\) first\)") as caught:
        _ = server.url
    assert caught.value.exit_code == ExitCode.CLOUD


def test_a_loopback_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr("bodydouble.cloud.server.socket.socket.bind", refuse, raising=False)
    server = CloudServer()
    with pytest.raises(CloudStartError, match=r"cannot listen on 127\.0\.0\.1: Cannot assign") as caught:
        server.start()
    assert caught.value.hint == "check that the loopback interface is up"
    assert ours() == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"fleet": "abacus:3"}, FleetError),
        ({"fleet": "trn2:many"}, FleetError),
        ({"model": "hal-9000"}, ModelNameError),
        ({"fleet": "inf2:1"}, MemoryFitError),
        ({"fault": "fire"}, FaultError),
    ],
)
def test_what_cannot_be_used_is_told_at_once(options: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        CloudServer(**options)


def test_prewarming_loads_the_sentences() -> None:
    server = CloudServer()
    server.prewarm()
    with server:
        assert hello(server)


@pytest.mark.parametrize("kind", ["throttle", "drop"])
def test_prewarming_a_started_server_goes_all_the_way_and_leaves_no_trace(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[Completion] = []
    answer = Service.answer

    def keep(self: Service, model_id: str, body: bytes) -> Completion:
        answered.append(answer(self, model_id, body))
        return answered[-1]

    monkeypatch.setattr(Service, "answer", keep)
    body = json.dumps({"messages": [user("hello")]}).encode()
    with CloudServer() as cold:
        _, headers, _ = post(cold, converse_path(), body)
    answered.clear()
    with CloudServer() as warm:
        warm.prewarm()
        assert [one.stop_reason for one in answered] == ["tool_use"]  # understood, so the whole brain was at work
        assert warm.requests == 0
        _, same, _ = post(warm, converse_path(), body)
        assert same["x-amzn-RequestId"] == headers["x-amzn-RequestId"]
    with CloudServer(fault=f"{kind}:1") as server:
        server.prewarm()
        if kind == "drop":
            with pytest.raises(RemoteDisconnected):
                post(server, converse_path(), body)
        else:
            assert post(server, converse_path(), body)[0] == 429
        assert post(server, converse_path(), body)[0] == 200
        assert server.requests == 2


def test_prewarming_while_it_is_stopped_is_harmless() -> None:
    for pause in (0.0, 0.05, 0.3):
        server = CloudServer()
        server.start()
        warming = threading.Thread(target=server.prewarm)
        warming.start()
        time.sleep(pause)
        server.stop()
        warming.join(10)
        assert not warming.is_alive()
    server.prewarm()  # stopped
    assert ours() == []


def test_importing_it_is_light() -> None:
    """Neither the client nor the web server nor the sentences are loaded before they are needed."""
    code = "import sys, bodydouble.cloud.server; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "bodydouble.cloud.server" in loaded
    assert not loaded & {"boto3", "hassil", "uvicorn", "starlette", "pydantic", "numpy", "yaml", "soundfile"}


def test_the_process_ends_without_a_stop() -> None:
    """A program that forgets to stop it ends all the same."""
    code = (
        "from bodydouble.cloud.server import CloudServer; server = CloudServer(); server.start(); print(server.url)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.startswith("http://127.0.0.1:")
    assert done.stderr == ""


def test_a_stopped_service_cannot_be_reached() -> None:
    with CloudServer() as server:
        bedrock = client(server.url)
        model = server.model_id
    with pytest.raises(EndpointConnectionError):
        bedrock.converse(modelId=model, messages=[user("hello")])


@pytest.fixture(scope="module")
def quiet() -> Any:
    with CloudServer() as server:
        yield server


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
KEYS = st.sampled_from(
    [
        "messages",
        "role",
        "content",
        "text",
        "toolUse",
        "toolResult",
        "toolUseId",
        "toolConfig",
        "tools",
        "toolSpec",
        "name",
        "inputSchema",
        "json",
        "properties",
        "enum",
        "audio",
        "format",
        "source",
        "bytes",
        "system",
        "input",
    ]
)
VALUES = SCALARS | st.sampled_from(["user", "assistant", "wav", "pcm", "UklGRg==", "object", "unlock", "turn on x"])
JSON = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)
BLOCK = st.dictionaries(KEYS, JSON, max_size=2) | st.builds(lambda text: {"text": text}, st.text(max_size=30))
REQUEST = st.fixed_dictionaries(
    {"messages": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": st.lists(BLOCK, max_size=2)}))},
    optional={"toolConfig": JSON, "system": JSON, "inferenceConfig": JSON},
)
SCHEMA = st.fixed_dictionaries({"type": st.just("object"), "properties": JSON})
TOOLS = st.lists(
    st.builds(
        lambda name, schema: {"toolSpec": {"name": name, "inputSchema": {"json": schema}}},
        st.sampled_from(["set_power", "lock", "get_state", "time", "set_brightness"]),
        SCHEMA,
    ),
    min_size=1,
    max_size=3,
)
SENTENCES = st.sampled_from(["turn on x", "lock the x", "what time is it", "yes"]) | st.text(min_size=1, max_size=30)
PLAUSIBLE = st.builds(
    lambda text, tools: {"messages": [user(text)], "toolConfig": {"tools": tools}}, SENTENCES, TOOLS
)


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.one_of(JSON, REQUEST, PLAUSIBLE).map(json.dumps).map(str.encode) | st.binary(max_size=200))
def test_no_body_breaks_the_service(quiet: CloudServer, body: bytes) -> None:
    """Whatever comes is answered, or refused as the client's fault."""
    status, headers, raw = post(quiet, converse_path(), body)
    assert status in (200, 400), raw
    assert headers["x-amzn-RequestId"]
    assert isinstance(json.loads(raw), dict)


RAW = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /model/x/converse HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /model/x/converse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"POST /model/%ff%fe/converse HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /model/x/converse HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX: " + b"y" * 70_000 + b"\r\n\r\n{}",
    b"A" * 100_000,
]


@pytest.mark.parametrize("data", RAW)
def test_no_bytes_break_the_service(quiet: CloudServer, data: bytes) -> None:
    connection = socket.create_connection(address(quiet), timeout=5)
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 431"))
    connection.close()
    assert hello(quiet)
