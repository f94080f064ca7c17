"""Converse and ConverseStream as boto3 sees them: text, tools, audio, streams, headers, errors."""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import boto3
import botocore.session
import numpy as np
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from bodydouble.cloud.accelerator import Accelerator, Fleet
from bodydouble.cloud.app import MAX_BODY_BYTES
from bodydouble.cloud.catalogue import find_model
from bodydouble.cloud.server import CloudServer
from bodydouble.errors import CloudError
from cloud.kit import (
    Recogniser,
    assistant,
    audio,
    client,
    encoded,
    events,
    result,
    tone,
    tool_config,
    use,
    user,
)

MODEL = "meta.llama3-3-70b-instruct-v1:0"


def ask(bedrock: Any, *messages: Any, **more: Any) -> Any:
    return bedrock.converse(modelId=MODEL, messages=list(messages), **more)


def post(cloud: CloudServer, path: str, body: bytes, method: str = "POST", **headers: str) -> tuple[int, Any, bytes]:
    """A request without boto3: status, headers, body."""
    connection = HTTPConnection(urlsplit(cloud.url).netloc, timeout=10)
    try:
        connection.request(method, path, body, {"content-type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def converse_path(model: str = MODEL, operation: str = "converse") -> str:
    return f"/model/{quote(model, safe='')}/{operation}"


def test_words(bedrock: Any) -> None:
    response = ask(bedrock, user("thanks"))
    assert response["output"]["message"] == {"role": "assistant", "content": [{"text": "You're welcome."}]}
    assert response["stopReason"] == "end_turn"
    usage = response["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert usage["outputTokens"] == 4  # 15 characters
    assert response["metrics"]["latencyMs"] > 0


def test_a_tool_is_used_and_its_result_told(bedrock: Any) -> None:
    first = ask(bedrock, user("turn on the kitchen light and lock the front door"), toolConfig=tool_config())
    assert first["stopReason"] == "tool_use"
    message = first["output"]["message"]
    uses = [block["toolUse"] for block in message["content"]]
    assert [(one["name"], one["input"]) for one in uses] == [
        ("set_power", {"name": "kitchen light", "state": "on"}),
        ("lock", {"name": "front door"}),
    ]
    results = user(*(result({"status": "ok"}, one["toolUseId"]) for one in uses))
    second = ask(bedrock, user("turn on ..."), message, results, toolConfig=tool_config())
    assert second["stopReason"] == "end_turn"
    assert second["output"]["message"]["content"] == [{"text": "The kitchen light is on. The front door is locked."}]
    assert second["usage"]["inputTokens"] > first["usage"]["inputTokens"]


def test_the_same_request_has_the_same_answer(bedrock: Any) -> None:
    """Ids too: a retry is the same call. Another request has other ids."""

    def ids(text: str) -> list[str]:
        content = ask(bedrock, user(text), toolConfig=tool_config())["output"]["message"]["content"]
        return [block["toolUse"]["toolUseId"] for block in content]

    first = ids("lock all the doors")
    assert first == ids("lock all the doors")
    assert len({*first, *ids("lock all doors")}) == 6


def test_the_stream_of_words(bedrock: Any) -> None:
    response = bedrock.converse_stream(modelId=MODEL, messages=[user("hello")])
    stream = events(response)
    names = [name for name, _ in stream]
    assert names == [
        "messageStart",
        *["contentBlockDelta"] * (len(names) - 4),
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    deltas = [body["delta"]["text"] for name, body in stream if name == "contentBlockDelta"]
    assert len(deltas) > 3
    assert "".join(deltas) == "Hello! What can I do for you?"
    assert stream[0][1] == {"role": "assistant"}
    assert stream[-2][1] == {"stopReason": "end_turn"}
    whole = ask(bedrock, user("hello"))
    assert stream[-1][1] == {"usage": whole["usage"], "metrics": whole["metrics"]}


def test_the_stream_of_tools(bedrock: Any) -> None:
    response = bedrock.converse_stream(
        modelId=MODEL,
        messages=[user("set a pasta timer for 10 minutes and turn on the fan")],
        toolConfig=tool_config(),
    )
    stream = events(response)
    assert [name for name, _ in stream] == [
        "messageStart",
        *["contentBlockStart", "contentBlockDelta", "contentBlockStop"] * 2,
        "messageStop",
        "metadata",
    ]
    starts = [body["start"]["toolUse"]["name"] for name, body in stream if name == "contentBlockStart"]
    inputs = [body["delta"]["toolUse"]["input"] for name, body in stream if name == "contentBlockDelta"]
    assert starts == ["timer_set", "set_power"]
    assert [json.loads(one) for one in inputs] == [
        {"seconds": 600, "label": "pasta"},
        {"name": "fan", "state": "on"},
    ]
    assert [body["contentBlockIndex"] for name, body in stream if name == "contentBlockStop"] == [0, 1]
    assert stream[-2][1] == {"stopReason": "tool_use"}


def test_answers_have_the_shape_of_the_service_model(cloud: CloudServer, bedrock: Any) -> None:
    """botocore's parser drops what it does not know: nothing may get lost, and no required member may miss."""
    model = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse")
    body = json.dumps({"messages": [user("lock the back door")], "toolConfig": tool_config()}).encode()
    status, headers, raw = post(cloud, converse_path(), body)
    parsed = create_parser("rest-json").parse(
        {"status_code": status, "headers": dict(headers), "body": raw}, model.output_shape
    )
    parsed.pop("ResponseMetadata")
    assert parsed == json.loads(raw)
    assert set(model.output_shape.required_members) <= set(parsed)


def times(response: Any) -> dict[str, int]:
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    return {
        name: int(headers[f"x-bodydouble-{name}-us"])
        for name in ("queue", "prefill", "decode", "first-token", "service", "recognise")
    }


@pytest.mark.parametrize("stream", [False, True])
def test_simulated_times(bedrock: Any, stream: bool) -> None:
    """They are the roofline's, for the tokens that the usage tells; the host's own time stands beside."""
    request = {"modelId": MODEL, "messages": [user("hello")], "toolConfig": tool_config()}
    response = bedrock.converse_stream(**request) if stream else bedrock.converse(**request)
    usage, metrics = response.get("usage"), response.get("metrics")
    if stream:
        metadata = events(response)[-1][1]
        usage, metrics = metadata["usage"], metadata["metrics"]
    found = times(response)
    accelerator = Accelerator(find_model("llama-3.3-70b"), Fleet.parse("trn2:16"))
    prefill_s = accelerator.prefill_s(usage["inputTokens"])
    decode_s = accelerator.decode_s(usage["outputTokens"] - 1, usage["inputTokens"] + 1)
    assert found["queue"] == 0
    assert found["prefill"] == pytest.approx(prefill_s * 1e6, abs=1)
    assert found["decode"] == pytest.approx(decode_s * 1e6, abs=1)
    assert found["first-token"] == found["queue"] + found["prefill"]
    assert metrics["latencyMs"] == round((prefill_s + decode_s) * 1e3)
    assert 0 < found["service"] < 5_000_000
    assert found["recognise"] == 0
    assert "x-bodydouble-transcript" not in response["ResponseMetadata"]["HTTPHeaders"]


def test_the_service_does_not_wait_for_simulated_times(bedrock: Any) -> None:
    """A second and more of decoding takes a few milliseconds."""
    response = ask(bedrock, user("what can you do"))
    assert response["metrics"]["latencyMs"] > 500
    assert times(response)["service"] < 500_000


@pytest.mark.parametrize("kind", ["wav", "flac", "pcm"])
def test_audio(bedrock: Any, recogniser: Recogniser, kind: str) -> None:
    samples = tone(0.5)
    data = samples.astype("<i2").tobytes() if kind == "pcm" else encoded(samples, kind)
    recogniser.text = "turn on the kitchen light"
    response = ask(bedrock, user(audio(data, kind), "(a recording)"), toolConfig=tool_config())
    assert response["output"]["message"]["content"][0]["toolUse"]["input"] == {"name": "kitchen light", "state": "on"}
    assert np.array_equal(recogniser.recordings[-1], samples)
    assert recogniser.registries[-1].locks == ("back door", "front door", "garage door")
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert unquote(headers["x-bodydouble-transcript"]) == "turn on the kitchen light"
    assert 0 < times(response)["recognise"] <= times(response)["service"]


def test_audio_costs_tokens_by_its_length(bedrock: Any) -> None:
    """25 a second, in every later call that holds the recording too."""

    def tokens(*messages: Any) -> int:
        return int(ask(bedrock, *messages, toolConfig=tool_config())["usage"]["inputTokens"])

    short, long = user(audio(encoded(tone(1.0), "wav"))), user(audio(encoded(tone(3.0), "wav")))
    assert tokens(long) - tokens(short) == 50
    loop = (assistant(use("time")), user(result({"status": "ok", "time": "12:00"})))
    assert tokens(long, *loop) - tokens(short, *loop) == 50


def test_audio_of_an_earlier_message_is_not_recognised_again(bedrock: Any, recogniser: Recogniser) -> None:
    before = len(recogniser.recordings)
    response = ask(
        bedrock,
        user(audio(encoded(tone(), "wav"))),
        assistant(use("time")),
        user(result({"status": "ok", "time": "12:00"})),
        toolConfig=tool_config(),
    )
    assert response["output"]["message"]["content"] == [{"text": "It is 12:00 PM."}]
    assert len(recogniser.recordings) == before
    assert "x-bodydouble-transcript" not in response["ResponseMetadata"]["HTTPHeaders"]


def test_a_transcript_with_any_characters(bedrock: Any, recogniser: Recogniser) -> None:
    recogniser.text = " naïve ☃\r\nx-evil: 1  " + "é" * 5000
    response = ask(bedrock, user(audio(encoded(tone(), "wav"))))
    heard = unquote(response["ResponseMetadata"]["HTTPHeaders"]["x-bodydouble-transcript"])
    assert heard == "naïve ☃ x-evil: 1 " + "é" * (1000 - 18)
    recogniser.text = ""
    response = ask(bedrock, user(audio(encoded(tone(), "wav"))))
    assert response["ResponseMetadata"]["HTTPHeaders"]["x-bodydouble-transcript"] == ""
    assert response["output"]["message"]["content"] == [{"text": "Sorry, I did not catch that."}]


def test_a_recogniser_that_fails(bedrock: Any, recogniser: Recogniser) -> None:
    recogniser.error = CloudError("no acoustic model", hint="install one")
    try:
        with pytest.raises(ClientError) as caught:
            ask(bedrock, user(audio(encoded(tone(), "wav"))))
    finally:
        recogniser.error = None
    assert caught.value.response["Error"]["Code"] == "ModelErrorException"
    assert "no acoustic model (install one)" in str(caught.value)


def test_audio_without_a_recogniser() -> None:
    with (
        CloudServer() as server,
        contextlib.closing(client(server.url)) as bedrock,
        pytest.raises(ClientError, match="has no speech recogniser"),
    ):
        ask(bedrock, user(audio(encoded(tone(), "wav"))))


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        f"us.{MODEL}",
        f"eu.{MODEL}",
        "llama-3.3-70b",
        f"arn:aws:bedrock:us-east-1::foundation-model/{MODEL}",
        f"arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.{MODEL}",
        "meta.llama3-1-8b-instruct-v1:0",
    ],
)
def test_names_of_models(bedrock: Any, model: str) -> None:
    response = bedrock.converse(modelId=model, messages=[user("hello")])
    assert response["stopReason"] == "end_turn"


def test_a_smaller_model_is_quicker(bedrock: Any) -> None:
    large, small = (
        bedrock.converse(modelId=find_model(name).bedrock_id, messages=[user("hello")])["metrics"]["latencyMs"]
        for name in ("llama-3.3-70b", "llama-3.1-8b")
    )
    assert small < large / 2


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("nobody.knows-v1:0", "ValidationException", "The provided model identifier is invalid."),
        ("x" * 2049, "ValidationException", "The provided model identifier is invalid."),
        (f"mars.{MODEL}", "ValidationException", "The provided model identifier is invalid."),
        (
            "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abcdef123456",
            "ResourceNotFoundException",
            "was not found",
        ),
    ],
)
def test_models_that_are_not_there(cloud: CloudServer, model: str, code: str, words: str) -> None:
    body = json.dumps({"messages": [user("hello")]}).encode()
    status, headers, raw = post(cloud, converse_path(model), body)
    assert (status, headers["x-amzn-ErrorType"]) == ({"ValidationException": 400}.get(code, 404), code)
    assert words in json.loads(raw)["message"]


def test_a_model_that_does_not_fit_the_fleet() -> None:
    with (
        CloudServer(fleet="inf2:2", model="llama-3.1-8b") as server,
        contextlib.closing(client(server.url)) as bedrock,
    ):
        assert bedrock.converse(modelId=server.model_id, messages=[user("hello")])["stopReason"] == "end_turn"
        with pytest.raises(bedrock.exceptions.ResourceNotFoundException, match="use --fleet inf2:5 or more"):
            ask(bedrock, user("hello"))


def test_the_token_limit_and_stop_sequences(bedrock: Any) -> None:
    def limited(**config: Any) -> Any:
        return ask(bedrock, user("what can you do"), inferenceConfig=config)

    cut = limited(maxTokens=3)
    assert cut["output"]["message"]["content"] == [{"text": "I can switch"}]
    assert (cut["stopReason"], cut["usage"]["outputTokens"]) == ("max_tokens", 3)
    stopped = limited(stopSequences=["plugs", "lights"])
    assert stopped["output"]["message"]["content"] == [{"text": "I can switch "}]
    assert stopped["stopReason"] == "stop_sequence"
    short = ask(bedrock, user("lock all the doors"), toolConfig=tool_config(), inferenceConfig={"maxTokens": 8})
    assert short["stopReason"] == "max_tokens"
    assert [block["toolUse"]["name"] for block in short["output"]["message"]["content"]] == ["lock"]
    nothing = ask(bedrock, user("lock all the doors"), toolConfig=tool_config(), inferenceConfig={"maxTokens": 1})
    assert (nothing["stopReason"], nothing["output"]["message"]["content"]) == ("max_tokens", [{"text": ""}])


def wrong(**fields: Any) -> dict[str, Any]:
    return {"messages": [user("hello")], "toolConfig": tool_config("time", "lock"), **fields}


CALL, RESULT = assistant(use("time")), user(result({"status": "ok"}))
INVALID: dict[str, tuple[Any, str]] = {
    "no messages": ({}, "Malformed input request: #/messages: Field required"),
    "messages of another type": ({"messages": "hello"}, "Malformed input request: #/messages: "),
    "an array": ([], "Malformed input request: #/: "),
    "an empty conversation": (wrong(messages=[]), "A conversation must start with a user message."),
    "an assistant's start": (wrong(messages=[assistant("hi")]), "A conversation must start with a user message."),
    "an assistant's end": (wrong(messages=[user("a"), assistant("b")]), "to be a user message"),
    "the same role twice": (
        wrong(messages=[user("a"), user("b")]),
        "must alternate between user and assistant roles",
    ),
    "another role": (wrong(messages=[{"role": "pilot", "content": [{"text": "a"}]}]), "#/messages/0/role: "),
    "no content": (wrong(messages=[user()]), "The content field in the Message object at messages.0 is empty."),
    "blank text": (wrong(messages=[user("  ")]), "messages.0.content.0 is blank"),
    "two members": (wrong(messages=[user({"text": "a", "cachePoint": {"type": "default"}})]), "it sets 2"),
    "no member": (wrong(messages=[user({"futureBlock": 1})]), "it sets 0"),
    "a number for text": (wrong(messages=[user({"text": 5})]), "#/messages/0/content/0/text: "),
    "an image": (
        wrong(messages=[user({"image": {"format": "png", "source": {"bytes": "aGk="}}})]),
        "This model doesn't support the image content block",
    ),
    "an assistant's audio": (
        wrong(messages=[user("a"), assistant({"audio": {"format": "wav", "source": {"bytes": ""}}}), user("b")]),
        "This model doesn't support the audio content block",
    ),
    "a result without a use": (wrong(messages=[RESULT]), "The number of toolResult blocks at messages.0.content"),
    "a use without a result": (
        wrong(messages=[user("a"), CALL, user("b")]),
        "Expected toolResult blocks at messages.2.content for the following Ids: use-1",
    ),
    "a result of another use": (
        wrong(messages=[user("a"), CALL, user(result({}, "use-2"))]),
        "Expected toolResult blocks at messages.2.content for the following Ids: use-1",
    ),
    "a result twice": (
        wrong(messages=[user("a"), CALL, user(result({}), result({}))]),
        "exceeds the number of toolUse blocks of previous turn",
    ),
    "the same id twice": (
        wrong(messages=[user("a"), assistant(use("time"), use("lock")), RESULT]),
        "do not have different Ids",
    ),
    "a user's use": (wrong(messages=[user(use("time"))]), "The user role cannot have a toolUse block"),
    "an assistant's result": (
        wrong(messages=[user("a"), assistant(result({})), user("b")]),
        "The assistant role cannot have a toolResult block",
    ),
    "tools without their config": (
        {"messages": [user("a"), CALL, RESULT]},
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    ),
    "a tool twice": (wrong(toolConfig=tool_config("time", "time")), "The tool time is already defined"),
    "a tool's name": (
        wrong(toolConfig={"tools": [{"toolSpec": {"name": "a b", "inputSchema": {"json": {"type": "object"}}}}]}),
        "#/toolConfig/tools/0/toolSpec/name: ",
    ),
    "a schema of no object": (
        wrong(toolConfig={"tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "array"}}}}]}),
        "inputSchema.json.type must be one of the following: object",
    ),
    "no tools": (wrong(toolConfig={"tools": []}), "#/toolConfig/tools: "),
    "a choice of no tool": (
        wrong(toolConfig={**tool_config("time"), "toolChoice": {"tool": {"name": "lock"}}}),
        "The tool lock of toolChoice is not defined",
    ),
    "a temperature of 2": (wrong(inferenceConfig={"temperature": 2}), "#/inferenceConfig/temperature: "),
    "no tokens": (wrong(inferenceConfig={"maxTokens": 0}), "#/inferenceConfig/maxTokens: "),
    "too long a context": (wrong(system=[{"text": "x" * 600_000}]), "Input is too long for requested model"),
    "an unsupported format": (
        wrong(messages=[user({"audio": {"format": "mp3", "source": {"bytes": "aGk="}}})]),
        "The audio format mp3 at messages.0.content.0 is not supported. Use one of wav, pcm, flac.",
    ),
    "an unknown format": (
        wrong(messages=[user({"audio": {"format": "tape", "source": {"bytes": "aGk="}}})]),
        "#/messages/0/content/0/audio/format: ",
    ),
    "audio elsewhere": (
        wrong(messages=[user({"audio": {"format": "wav", "source": {"s3Location": {"uri": "s3://a/b"}}}})]),
        "must set bytes",
    ),
    "audio that is not base64": (
        wrong(messages=[user({"audio": {"format": "wav", "source": {"bytes": "!!"}}})]),
        "are not base64",
    ),
    "audio that is not wav": (
        wrong(messages=[user({"audio": {"format": "wav", "source": {"bytes": "aGk="}}})]),
        "it does not begin as wav does",
    ),
}


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
@pytest.mark.parametrize("name", INVALID)
def test_invalid_requests(cloud: CloudServer, name: str, operation: str) -> None:
    body, words = INVALID[name]
    status, headers, raw = post(cloud, converse_path(operation=operation), json.dumps(body).encode())
    assert (status, headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert words in json.loads(raw)["message"]
    assert headers["x-amzn-RequestId"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"\xff\xfe",
        b'{"messages": [}',
        b"[" * 100_000,
        b'"\\ud800"',
        b'{"messages": NaN}',
        b"9" * 9999,
    ],
)
def test_what_is_no_json(cloud: CloudServer, body: bytes) -> None:
    status, headers, raw = post(cloud, converse_path(), body)
    assert (status, headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert "Malformed input request" in json.loads(raw)["message"]
    assert len(raw) < 2000


def test_an_error_is_botos_own_exception(bedrock: Any) -> None:
    with pytest.raises(bedrock.exceptions.ValidationException) as caught:
        ask(bedrock, assistant("hi"))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(bedrock.exceptions.ValidationException):
        bedrock.converse_stream(modelId=MODEL, messages=[assistant("hi")])


def test_fields_that_are_not_known_are_ignored(cloud: CloudServer) -> None:
    body = {
        "messages": [user({"text": "hello", "mood": "good"})],
        "serviceTier": {"type": "flex"},
        "future": [1],
        "system": [{"text": "be brief"}, {"cachePoint": {"type": "default"}}],
        "inferenceConfig": {"topK": 3, "topP": 1},
    }
    status, _, raw = post(cloud, converse_path(), json.dumps(body).encode())
    assert (status, json.loads(raw)["stopReason"]) == (200, "end_turn")


def test_a_body_that_is_too_large(cloud: CloudServer, bedrock: Any) -> None:
    """The client hears why, boto3 too, and the service is there for the next."""
    with pytest.raises(ClientError) as caught:
        ask(bedrock, user("x" * (MAX_BODY_BYTES + 8_000_000)))
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert f"larger than {MAX_BODY_BYTES} bytes" in str(caught.value)
    assert ask(bedrock, user("hello"))["stopReason"] == "end_turn"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", converse_path()),
        ("POST", "/model/x/invoke"),
        ("DELETE", "/model/x/converse"),
        ("POST", "/../../etc/passwd"),
        ("POST", "/model//converse"),
        ("OPTIONS", "/x"),
    ],
)
def test_other_operations(cloud: CloudServer, method: str, path: str) -> None:
    status, headers, _ = post(cloud, path, b"{}", method)
    assert status in (400, 404)
    assert headers["x-amzn-ErrorType"] in ("UnknownOperationException", "ValidationException")


def test_many_requests_at_once(cloud: CloudServer, bedrock: Any, recogniser: Recogniser) -> None:
    """Each gets its own answer, whoever asks at the same time; the recogniser is asked one by one."""
    recogniser.text = "what time is it"
    before = cloud.requests

    def one(number: int) -> tuple[int, Any]:
        content = user(audio(encoded(tone(0.1), "wav"))) if number % 4 == 0 else user(f"add {number} eggs")
        return number, ask(bedrock, content, toolConfig=tool_config())

    with ThreadPoolExecutor(8) as pool:
        for number, response in pool.map(one, range(24)):
            call = response["output"]["message"]["content"][0]["toolUse"]
            expected = (
                ("time", {})
                if number % 4 == 0
                else (
                    "shopping_list_add",
                    {"item": "eggs", **({"quantity": number} if number else {})},
                )
            )
            assert (call["name"], call["input"]) == expected
    assert cloud.requests == before + 24


def test_the_service_is_reached_by_the_environment(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", cloud.url)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    response = boto3.client("bedrock-runtime", region_name="us-east-1").converse(
        modelId=MODEL, messages=[user("hello")]
    )
    assert response["stopReason"] == "end_turn"
