"""boto3's client against a small local service: what is sent, what is retried, how failures read."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import pytest

from bodydouble.clock import Timeline, monotonic
from bodydouble.errors import CloudError, ExitCode, InputError
from bodydouble.phone.agent import Agent
from bodydouble.phone.client import CloudCallError, make_client, prewarm
from bodydouble.phone.home import Home
from phone.scripted import text_events, tool_events


def frame(headers: dict[str, str], body: object) -> bytes:
    """One message of Amazon's event stream."""
    payload = json.dumps(body).encode()
    packed = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(content: dict[str, Any]) -> bytes:
    (name, body), *_ = content.items()
    return frame({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, body)


def exception(name: str, message: str) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, {"message": message})


class Service(BaseHTTPRequestHandler):
    """Answers each POST by the next of `answers`: (status, headers, chunks), the last one again and again."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[Any]] = []
    requests: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).requests.append((self.path, dict(self.headers), body))
        status, headers, chunks = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            if chunk is None:  # the connection breaks here
                self.close_connection = True
                return
            if isinstance(chunk, threading.Event):
                chunk.wait(5)
                continue
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    """A client that hangs up in the middle is what the tests are about."""

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Any]:
    Service.answers, Service.requests = [], []
    server = QuietServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    Service.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    yield Service
    server.shutdown()
    thread.join()
    server.server_close()


STREAM = {"Content-Type": "application/vnd.amazon.eventstream"}


def answer(events: list[dict[str, Any]], headers: dict[str, str] | None = None) -> Any:
    return 200, {**STREAM, **(headers or {})}, [event(content) for content in events]


def refusal(status: int, code: str) -> Any:
    return status, {"Content-Type": "application/json", "x-amzn-ErrorType": code}, [b'{"message":"because"}']


def ask(url: str, **options: Any) -> Any:
    agent = Agent(make_client(url, **options), Home(), None, "a:model/1", asr="cloud")
    timeline = Timeline(monotonic, 0.0)
    return agent.handle(np.zeros(160, np.int16), timeline), timeline, agent


def fails(url: str, **options: Any) -> CloudCallError:
    with pytest.raises(CloudError) as caught:
        ask(url, **options)
    assert caught.value.exit_code == ExitCode.CLOUD
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, CloudCallError)
    return caught.value


def test_a_turn_over_http(service: Any) -> None:
    times = {"queue": "0", "prefill": "1500", "decode": "2500", "first-token": "1500", "service": "900"}
    headers = {f"x-bodydouble-{name}-us": value for name, value in times.items()}
    headers["x-bodydouble-transcript"] = "turn%20on%20the%20fan"
    service.answers = [
        answer(tool_events(("set_power", {"name": "fan", "state": "on"})), headers),
        answer(text_events("The fan is on."), headers),
    ]
    turn, timeline, agent = ask(service.url)
    assert (turn.transcript, turn.reply) == ("turn on the fan", "The fan is on.")
    assert turn.actions[0]["result"] == {"status": "ok", "name": "fan", "state": "on"}
    assert agent.tools.home.device("fan").on is True
    assert timeline.spans["cloud_prefill"] == pytest.approx(0.003)
    assert timeline.spans["cloud_decode"] == pytest.approx(0.005)
    assert sum(timeline.spans.values()) == pytest.approx(turn.end_s - timeline.start, abs=1e-6)
    assert 0.003 < turn.first_reply_s < turn.end_s
    path, sent, body = service.requests[0]
    assert path == "/model/a%3Amodel%2F1/converse-stream"
    assert sent["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=bodydouble/")
    assert "audio" in body["messages"][0]["content"][0]


def test_nothing_of_the_users_aws_setup_reaches_an_endpoint(service: Any) -> None:
    # In a process of its own: botocore reads some of it once.
    service.answers = [answer(text_events("Hello."))]
    script = (
        "import sys\n"
        "from bodydouble.phone.client import make_client\n"
        "r = make_client(sys.argv[1]).converse_stream(modelId='m', messages=[])\n"
        "print([e for e in r['stream']][-1]['metadata']['usage']['totalTokens'])\n"
    )
    environment = {
        "AWS_PROFILE": "missing",
        "AWS_BEARER_TOKEN_BEDROCK": "secret-token",
        "AWS_ACCESS_KEY_ID": "SECRETID",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": "/nonexistent/config",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "AWS_REGION": "nowhere-1",
    }
    command = [sys.executable, "-c", script, service.url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == ("15\n", 0), done.stderr
    assert "secret" not in str(service.requests[0]).lower()


@pytest.mark.parametrize(
    ("status", "code", "text", "hits"),
    [
        (429, "ThrottlingException", "the cloud throttled the request: ", 2),
        (503, "ServiceUnavailableException", "the cloud is overloaded: ", 2),
        (408, "ModelTimeoutException", "the model took too long: ", 1),
        (400, "ValidationException", "the cloud rejected the request: because", 1),
    ],
)
def test_refusals_and_their_retries(
    service: Any, monkeypatch: pytest.MonkeyPatch, status: int, code: str, text: str, hits: int
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.01)  # botocore waits for up to a second times this
    service.answers = [refusal(status, code)]
    error = fails(service.url)
    assert error.message.startswith(text)
    assert error.code == code
    assert len(service.requests) == hits
    service.requests.clear()
    fails(service.url, max_attempts=1)
    assert len(service.requests) == 1


def test_an_exception_in_the_stream(service: Any) -> None:
    chunks = [event(content) for content in text_events("It is on")[:3]]
    service.answers = [(200, STREAM, [*chunks, exception("throttlingException", "slow down")])]
    assert fails(service.url).message == "the cloud throttled the request: slow down"


def test_a_stream_that_breaks_off(service: Any) -> None:
    chunks = [event(content) for content in text_events("It is on")[:3]]
    service.answers = [(200, STREAM, [*chunks, None])]
    assert fails(service.url).message.startswith("the cloud's answer broke off")
    service.answers = [(200, STREAM, chunks)]
    assert fails(service.url).message == "the cloud's answer is broken: it broke off before its end"


def test_a_stream_that_falls_silent(service: Any) -> None:
    release = threading.Event()
    chunks = [event(content) for content in text_events("It is on")[:3]]
    service.answers = [(200, STREAM, [*chunks, release])]
    began = time.monotonic()
    try:
        assert fails(service.url, read_timeout_s=0.2).message.startswith("the cloud fell silent")
        assert time.monotonic() - began < 3
    finally:
        release.set()


def test_a_stream_of_rubbish(service: Any) -> None:
    good = event(text_events("x")[1])
    service.answers = [(200, STREAM, [good[:-1] + bytes([good[-1] ^ 1])])]
    assert fails(service.url).message.startswith("what answers there is no Bedrock service: ")


@pytest.mark.parametrize(
    "body",
    [b"<html>It works!</html>", b"", b"\xff" * 9, b"[]", b"null", b'"text"', b'{"message": [1]}'],
    ids=repr,
)
def test_an_address_where_something_else_answers(service: Any, body: bytes) -> None:
    chunks = [body] if body else []
    service.answers = [(200, {"Content-Type": "text/html"}, chunks)]
    fails(service.url)
    service.answers = [(404, {"Content-Type": "text/html"}, chunks)]
    fails(service.url)


@pytest.mark.parametrize(
    "body",
    [[], None, 5, "x", {"delta": []}, {"delta": {"text": [1]}, "contentBlockIndex": "a"}, {"delta": 1}],
    ids=repr,
)
def test_events_of_another_shape(service: Any, body: object) -> None:
    headers = {":event-type": "contentBlockDelta", ":content-type": "application/json", ":message-type": "event"}
    service.answers = [(200, STREAM, [frame(headers, body)])]
    fails(service.url)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = fails(url, max_attempts=1)
    assert error.message.startswith("the cloud could not be reached: ")
    assert error.hint == "check the address and that it runs; or --cloud sim"


def test_a_server_that_accepts_and_says_nothing() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        assert fails(url, max_attempts=1, read_timeout_s=0.2).message.startswith("the cloud fell silent: ")


def test_an_address_that_is_none() -> None:
    with pytest.raises(InputError, match=r"'not a url' is no address of a cloud \(write it like http://") as caught:
        make_client("not a url")
    assert caught.value.exit_code == ExitCode.USAGE


def test_the_real_service_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    client = make_client()
    assert client.meta.endpoint_url == "https://bedrock-runtime.us-east-1.amazonaws.com"  # type: ignore[attr-defined]
    with pytest.raises(CloudError, match=r"there are no AWS credentials: .*\(sign in: aws configure"):
        Agent(client, Home(), None, "m", asr="cloud").handle_text("hello", Timeline(monotonic, 0.0))


def test_the_agent_imports_cheaply_and_prewarm_does_the_rest() -> None:
    script = (
        "import sys\n"
        "import bodydouble.phone.agent, bodydouble.phone.tools, bodydouble.phone.home\n"
        "assert not {'boto3', 'botocore', 'pocketsphinx', 'numpy'} & set(sys.modules)\n"
        "from bodydouble.phone.client import prewarm\n"
        "prewarm()\n"
        "assert 'boto3' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_prewarm_may_run_in_a_thread() -> None:
    threads = [threading.Thread(target=prewarm) for _ in range(3)]
    for thread in threads:
        thread.start()
    make_client("http://127.0.0.1:9")
    for thread in threads:
        thread.join()
