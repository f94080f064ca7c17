"""The agent: turns, tools, times and failures, against a scripted model."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest
from botocore import eventstream
from botocore import exceptions as boto
from urllib3 import exceptions as urllib

from bodydouble.clock import Timeline
from bodydouble.errors import CloudError, ExitCode, InputError
from bodydouble.phone import agent as agent_module
from bodydouble.phone.agent import (
    EMPTY_REPLY,
    MAX_STEPS,
    MAX_TOOL_USES,
    MAX_TURNS,
    TOO_MANY_STEPS_REPLY,
    UNHEARD_REPLY,
    Agent,
    Turn,
)
from bodydouble.phone.asr import Transcript, Vocabulary
from bodydouble.phone.client import CloudCallError
from bodydouble.phone.home import Home
from phone.scripted import FakeClock, ScriptedClient, text_events, tool_events

PCM = np.arange(1600, dtype=np.int16)


class ScriptedRecogniser:
    """Hears what it is told to; takes 0.1 s."""

    def __init__(self, clock: FakeClock, *heard: str) -> None:
        self.clock, self.heard = clock, list(heard)
        self.vocabulary = Vocabulary()

    def recognise(self, pcm: np.ndarray, vocabulary: Vocabulary) -> Transcript:
        self.clock.advance(0.1)
        self.vocabulary = vocabulary
        return Transcript(self.heard.pop(0), 0.1, "scripted")


class Rig:
    """An agent, its scripted surroundings and one clock for all."""

    def __init__(self, heard: list[str], *answers: Any, asr: Any = "phone", headers: Any = None) -> None:
        self.clock = FakeClock()
        self.client = ScriptedClient(*answers, clock=self.clock, head_s=0.2, headers=headers)
        self.recogniser = ScriptedRecogniser(self.clock, *heard)
        self.home = Home()
        self.agent = Agent(self.client, self.home, self.recogniser, "model-1", asr, self.clock)
        self.start = 50.0
        self.timeline = Timeline(self.clock, start=self.start)

    def turn(self) -> Turn:
        self.timeline = Timeline(self.clock, start=self.start)
        self.timeline.add("endpoint", 0.5, "board")
        self.start += 10
        return self.agent.handle(PCM, self.timeline)

    def fails(self) -> CloudError:
        with pytest.raises(CloudError) as caught:
            self.turn()
        assert caught.value.exit_code == ExitCode.CLOUD
        assert caught.value.hint
        assert "\n" not in str(caught.value)
        assert not self.timeline._stage, "a failed turn stops the timeline too"
        return caught.value


LIGHT_ON = ("set_power", {"name": "kitchen light", "state": "on"})


def test_words_to_tool_to_words() -> None:
    rig = Rig(["turn on the kitchen light"], tool_events(LIGHT_ON), text_events("The kitchen light is on."))
    turn = rig.turn()
    assert turn.transcript == "turn on the kitchen light"
    assert turn.reply == "The kitchen light is on."
    assert turn.actions == [
        {
            "tool": "set_power",
            "input": {"name": "kitchen light", "state": "on"},
            "result": {"status": "ok", "name": "kitchen light", "state": "on"},
        }
    ]
    assert (turn.stop_reason, turn.where) == ("end_turn", "cloud")
    assert (turn.usage.input_tokens, turn.usage.output_tokens, turn.usage.calls) == (20, 10, 2)
    assert rig.home.device("kitchen light").on is True
    assert rig.recogniser.vocabulary == Vocabulary.of(rig.home)
    assert "kitchen light" in rig.recogniser.vocabulary.lights
    first, second = rig.client.requests
    assert first["modelId"] == "model-1"
    assert first["messages"] == [{"role": "user", "content": [{"text": "turn on the kitchen light"}]}]
    assert first["toolConfig"]["tools"][0]["toolSpec"]["name"] == "set_power"
    assert second["messages"][1] == {
        "role": "assistant",
        "content": [{"toolUse": {"toolUseId": "use-1", "name": "set_power", "input": LIGHT_ON[1]}}],
    }
    assert second["messages"][2]["content"] == [
        {
            "toolResult": {
                "toolUseId": "use-1",
                "content": [{"json": {"status": "ok", "name": "kitchen light", "state": "on"}}],
                "status": "success",
            }
        }
    ]
    assert rig.client.closed == 2


def test_requests_are_what_botocore_takes() -> None:
    import botocore.session
    from botocore.validate import ParamValidator

    shape = botocore.session.Session().get_service_model("bedrock-runtime").operation_model("ConverseStream")
    bad = tool_events(LIGHT_ON, ("unlock", "{broken"), text="Let me see.")
    rig = Rig([], bad, text_events("Well."), text_events("Yes."), asr="cloud")
    rig.turn()
    rig.turn()
    for request in rig.client.requests:
        report = ParamValidator().validate(request, shape.input_shape)
        assert not report.has_errors(), report.generate_report()


def test_times_of_a_real_service_are_measured_on_the_host_clock() -> None:
    events = [0.3, *text_events("It is on.")]
    events[2:2] = [0.05]
    events.append(0.4)
    rig = Rig(["what"], events)
    turn = rig.turn()
    spans = rig.timeline.spans
    assert spans["endpoint"] == pytest.approx(0.5)
    assert spans["host"] == pytest.approx(0.1)
    assert spans["network"] == pytest.approx(0.0)
    assert spans["cloud_prefill"] == pytest.approx(0.2 + 0.3)
    assert spans["cloud_decode"] == pytest.approx(0.05 + 0.4)
    assert rig.timeline.clocks["cloud_prefill"] == rig.timeline.clocks["cloud_decode"] == "host"
    assert turn.first_reply_s == pytest.approx(0.5 + 0.1 + 0.2 + 0.3 + 0.05)
    assert turn.end_s == pytest.approx(50 + sum(spans.values()))


HEADERS = {
    "x-bodydouble-queue-us": "1000000",
    "x-bodydouble-prefill-us": "2000000",
    "x-bodydouble-decode-us": "4000000",
    "x-bodydouble-first-token-us": "3500000",
    "x-bodydouble-service-us": "150000",
}


def test_times_of_the_emulated_service_are_simulated() -> None:
    events = [0.02, *text_events("It is on."), 0.03]
    rig = Rig(["what"], tool_events(LIGHT_ON), events, headers=HEADERS)
    turn = rig.turn()
    spans, clocks = rig.timeline.spans, rig.timeline.clocks
    assert spans["cloud_queue"] == pytest.approx(2.0)
    assert spans["cloud_prefill"] == pytest.approx(4.0)
    assert spans["cloud_decode"] == pytest.approx(8.0)
    assert {clocks[name] for name in ("cloud_queue", "cloud_prefill", "cloud_decode")} == {"simulated"}
    assert {clocks[name] for name in ("host", "network", "tools")} == {"host"}
    assert spans["network"] == pytest.approx(0.2 + 0.25 - 2 * 0.15), "what the emulation took is told apart"
    assert spans["cloud_service"] == pytest.approx(2 * 0.15)
    assert spans["host"] == pytest.approx(0.1)
    assert rig.timeline.simulated == pytest.approx(14.0)
    assert turn.end_s - 50 == pytest.approx(sum(spans.values()))
    # endpoint, recognition, the first call whole, the second up to its first token
    assert turn.first_reply_s == pytest.approx(0.5 + 0.1 + (0.2 + 7.0) + (0.2 + 0.02 + 3.5))


@pytest.mark.parametrize("text", ["-5", "soon", "nan", "inf", "1e300", ""])
def test_a_hostile_time_counts_as_none(text: str) -> None:
    rig = Rig(["what"], text_events("Fine."), headers={**HEADERS, "x-bodydouble-queue-us": text})
    rig.turn()
    assert rig.timeline.spans["cloud_queue"] == 0.0


def test_nothing_heard_needs_no_cloud() -> None:
    rig = Rig(["", " "])
    for _ in range(2):
        turn = rig.turn()
        assert (turn.transcript, turn.reply, turn.where) == ("", UNHEARD_REPLY, "phone")
        assert (turn.stop_reason, turn.usage.calls, turn.actions) == ("unheard", 0, [])
        assert turn.first_reply_s == pytest.approx(0.6)
    assert rig.client.requests == []
    assert rig.agent.history == []
    cloud = Rig([], asr="cloud")
    assert cloud.agent.handle(PCM[:0], Timeline(cloud.clock, 0)).where == "phone"


def test_the_cloud_recognises() -> None:
    headers = {"x-bodydouble-transcript": "turn%20on%20the%20fan%21"}
    rig = Rig([], text_events("Fine."), text_events("And?"), asr="cloud", headers=headers)
    assert rig.turn().transcript == "turn on the fan!"
    audio, hint = rig.client.requests[0]["messages"][0]["content"]
    assert audio["audio"]["format"] == "wav"
    with wave.open(io.BytesIO(audio["audio"]["source"]["bytes"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        assert file.readframes(9999) == PCM.tobytes()
    assert set(hint) == {"text"}
    rig.turn()
    assert rig.client.requests[1]["messages"][0]["content"] == [{"text": "turn on the fan!"}], "sent once"


def test_a_cloud_that_does_not_say_what_it_heard() -> None:
    rig = Rig([], text_events("Fine."), asr="cloud")
    assert rig.turn().transcript is None


def test_the_lock_is_guarded_on_the_phone() -> None:
    ask = tool_events(("unlock", {"name": "front door", "confirmed": True}))
    said = ["unlock the front door", "yes", "unlock the front door", "no"]
    rig = Rig(said, *[answer for _ in said for answer in (ask, text_events("Well."))])
    statuses = [rig.turn().actions[0]["result"]["status"] for _ in said[:2]]
    assert statuses == ["confirmation_required", "ok"]
    assert rig.home.device("front door").locked is False
    rig.home.set_locked("front door", True)
    statuses = [rig.turn().actions[0]["result"]["status"] for _ in said[2:]]
    assert statuses == ["confirmation_required", "confirmation_required"]
    assert rig.home.device("front door").locked is True


def test_the_clouds_transcript_confirms_too_but_a_no_does_not() -> None:
    ask = tool_events(("unlock", {"name": "front door", "confirmed": True}))
    rig = Rig([], *[answer for _ in range(3) for answer in (ask, text_events("Well."))], asr="cloud")
    for transcript, status in (("unlock", "confirmation_required"), ("no", "confirmation_required"), ("yes", "ok")):
        rig.client.headers = {"x-bodydouble-transcript": transcript}
        assert rig.turn().actions[0]["result"]["status"] == status


def test_a_phone_that_heard_is_not_overruled_by_a_header() -> None:
    ask = tool_events(("unlock", {"name": "front door", "confirmed": True}))
    rig = Rig(["unlock", "no"], ask, text_events("Well?"), ask, text_events("Well."))
    rig.client.headers = {"x-bodydouble-transcript": "yes"}
    rig.turn()
    turn = rig.turn()
    assert turn.transcript == "no"
    assert turn.actions[0]["result"]["status"] == "confirmation_required"


def test_history_is_bounded_and_whole() -> None:
    answers = [answer for _ in range(MAX_TURNS + 4) for answer in (tool_events(LIGHT_ON), text_events("On."))]
    rig = Rig([f"say {number}" for number in range(MAX_TURNS + 4)], *answers)
    for _ in range(MAX_TURNS + 4):
        rig.turn()
    messages = rig.agent.history
    assert len(messages) == MAX_TURNS * 4
    assert messages[0] == {"role": "user", "content": [{"text": "say 4"}]}
    assert [message["role"] for message in messages] == ["user", "assistant"] * (MAX_TURNS * 2)
    rig.agent.forget()
    assert rig.agent.history == []


def test_typed_request() -> None:
    rig = Rig([], text_events("Hello."))
    turn = rig.agent.handle_text("hello", Timeline(rig.clock, 0.0))
    assert (turn.transcript, turn.reply) == ("hello", "Hello.")


def test_a_phone_without_a_recogniser_is_refused() -> None:
    with pytest.raises(InputError, match=r"no speech recogniser \(use --asr cloud") as caught:
        Agent(ScriptedClient(), Home(), None, "m")
    assert caught.value.exit_code == ExitCode.USAGE
    Agent(ScriptedClient(), Home(), None, "m", asr="cloud")


# What a model may do wrong


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (("set_power", '{"name": "fan"'), "the arguments are not a JSON object"),
        (("set_power", "[1, 2]"), "the arguments are not a JSON object"),
        (("set_power", '{"name": NaN}'), "the arguments are not a JSON object"),
        (("set_power", "[" * 10000), "the arguments are not a JSON object"),
        (("set_power", ""), "the argument 'state' is missing"),
        (("launch_rocket", {}), "there is no tool called 'launch_rocket'"),
        (("set_power", {"name": "moon", "state": "on"}), "name is 'moon'; it must be one of: "),
    ],
)
def test_bad_tool_uses_are_answered_and_the_turn_goes_on(use: tuple[str, object], error: str) -> None:
    rig = Rig(["do it"], tool_events(use), text_events("Sorry, I could not."))
    turn = rig.turn()
    assert turn.reply == "Sorry, I could not."
    assert turn.actions[0]["result"]["status"] == "error"
    assert turn.actions[0]["result"]["error"].startswith(error)
    result = rig.client.requests[1]["messages"][2]["content"][0]["toolResult"]
    assert result["status"] == "error"
    assert result["content"][1]["text"].startswith(error)


def test_an_endless_loop_of_tools_ends() -> None:
    rig = Rig(["loop", "again"], *[tool_events(LIGHT_ON)] * MAX_STEPS, text_events("Yes?"))
    turn = rig.turn()
    assert (turn.reply, turn.stop_reason) == (TOO_MANY_STEPS_REPLY, "too_many_steps")
    assert (turn.usage.calls, len(turn.actions)) == (MAX_STEPS, MAX_STEPS)
    assert turn.first_reply_s == pytest.approx(turn.end_s - 50)
    assert rig.turn().reply == "Yes?", "and the conversation goes on"
    roles = [message["role"] for message in rig.client.requests[-1]["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def test_too_many_tools_at_once() -> None:
    uses = [("shopping_list_add", {"item": "milk"})] * (MAX_TOOL_USES + 2)
    rig = Rig(["flood"], tool_events(*uses), text_events("Done."))
    statuses = [action["result"]["status"] for action in rig.turn().actions]
    assert statuses == ["ok"] * MAX_TOOL_USES + ["error"] * 2
    assert rig.home.shopping()[0].quantity == MAX_TOOL_USES
    assert len(rig.client.requests[1]["messages"][2]["content"]) == len(uses), "every use has its result"


def test_an_answer_cut_off_by_its_length_runs_no_tool() -> None:
    events = tool_events(LIGHT_ON, text="Switching")
    events[-2] = {"messageStop": {"stopReason": "max_tokens"}}
    rig = Rig(["go", "go on"], events, text_events("Yes."))
    turn = rig.turn()
    assert (turn.reply, turn.stop_reason, turn.actions) == ("Switching", "max_tokens", [])
    assert rig.home.device("kitchen light").on is False
    rig.turn()
    assert "toolUse" not in str(rig.client.requests[1]["messages"])


def test_a_reply_without_words() -> None:
    rig = Rig(["hm"], text_events(" "))
    turn = rig.turn()
    assert turn.reply == EMPTY_REPLY
    assert rig.agent.history[-1]["content"] == [{"text": EMPTY_REPLY}]


# What a service may do wrong


def client_error(code: str, message: str, status: int) -> boto.ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(response, "ConverseStream")


URL = "http://127.0.0.1:9/model/m/converse-stream"
FAILURES = [
    (
        client_error("ThrottlingException", "Too many\nrequests", 429),
        "the cloud throttled the request: Too many requests",
    ),
    (client_error("ServiceUnavailableException", "", 503), "the cloud is overloaded"),
    (client_error("ModelTimeoutException", "slow", 408), "the model took too long: slow"),
    (client_error("ValidationException", "no audio", 400), "the cloud rejected the request: no audio"),
    (client_error("AccessDeniedException", "no", 403), "the cloud denied access: no"),
    (client_error("ResourceNotFoundException", "what", 404), "the cloud has no such model: what"),
    (client_error("TeapotException", "tea" * 200, 418), "the cloud refused (TeapotException): teatea"),
    (boto.EndpointConnectionError(endpoint_url=URL), "the cloud could not be reached: "),
    (boto.ConnectTimeoutError(endpoint_url=URL), "the cloud did not answer in time: "),
    (boto.ReadTimeoutError(endpoint_url=URL), "the cloud fell silent: "),
    (boto.ConnectionClosedError(endpoint_url=URL), "the cloud closed the connection: "),
    (boto.NoCredentialsError(), "there are no AWS credentials: "),
    (boto.ParamValidationError(report="x"), "the request does not fit the service: "),
    (boto.UnknownServiceError(service_name="x", known_service_names=[]), "the cloud could not be used: "),
    (ConnectionResetError("reset"), "the connection to the cloud failed: reset"),
]


@pytest.mark.parametrize(("error", "text"), FAILURES, ids=lambda value: type(value).__name__)
def test_a_call_that_fails_is_one_line_and_leaves_nothing(error: Exception, text: str) -> None:
    rig = Rig(["turn on the light", "again"], error, text_events("Yes."))
    events = rig.home.events()
    assert rig.fails().message.startswith(text)
    assert len(rig.timeline.spans) == 3, "how far it got is booked"
    assert rig.home.events() == events
    assert rig.agent.history == []
    assert rig.turn().reply == "Yes.", "the next turn works"


STREAM_FAILURES = [
    (
        boto.EventStreamError({"Error": {"Code": "throttlingException", "Message": "mid-stream"}}, "ConverseStream"),
        "the cloud throttled the request: mid-stream",
    ),
    (
        boto.EventStreamError({"Error": {"Code": "modelStreamErrorException"}}, "ConverseStream"),
        "the model failed in the middle of its answer",
    ),
    (urllib.ReadTimeoutError(None, URL, "timed out"), "the cloud fell silent: "),  # type: ignore[arg-type]
    (urllib.ProtocolError("IncompleteRead"), "the cloud's answer broke off: IncompleteRead"),
    (eventstream.ChecksumMismatch(1, 2), "what answers there is no Bedrock service: "),
    (boto.ResponseStreamingError(error="x"), "the cloud's answer broke off: "),
]


@pytest.mark.parametrize(("error", "text"), STREAM_FAILURES, ids=lambda value: type(value).__name__)
def test_a_stream_that_fails(error: Exception, text: str) -> None:
    rig = Rig(["turn on the light"], [*text_events("The light is")[:3], error])
    assert rig.fails().message.startswith(text)
    assert rig.client.closed == 1


def test_a_failure_after_an_action_says_what_was_done() -> None:
    broken = client_error("ServiceUnavailableException", "", 503)
    bad = ("set_power", {"name": "moon", "state": "on"})
    rig = Rig(["light", "what now"], tool_events(LIGHT_ON, bad), broken, text_events("It is on."))
    error = rig.fails()
    assert isinstance(error, CloudCallError)
    assert error.message == "the cloud is overloaded; done before that: set_power"
    assert [action["result"]["status"] for action in error.actions] == ["ok", "error"]
    assert error.code == "ServiceUnavailableException"
    assert rig.home.device("kitchen light").on is True
    rig.turn()
    told = rig.client.requests[-1]["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "user", "assistant", "user"]
    assert "My reply was lost" in told[3]["content"][0]["text"]


def test_a_question_that_got_lost_cannot_be_answered() -> None:
    unlock = tool_events(("unlock", {"name": "front door", "confirmed": True}))
    broken = client_error("ServiceUnavailableException", "", 503)
    rig = Rig(["unlock", "yes"], unlock, broken, unlock, text_events("Well."))
    rig.fails()
    assert rig.turn().actions[0]["result"]["status"] == "confirmation_required"


def test_ctrl_c_in_the_middle_of_tools_keeps_the_history_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(["both", "and"], tool_events(LIGHT_ON, LIGHT_ON), text_events("Yes."))
    run, calls = rig.agent.tools.run, []

    def interrupted(name: str, arguments: object) -> dict[str, Any]:
        calls.append(name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(name, arguments)

    monkeypatch.setattr(rig.agent.tools, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rig.turn()
    rig.turn()
    told = rig.client.requests[-1]["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert told[1]["content"][0]["text"] == "(My reply was lost. Tools that I had called: set_power.)"


BROKEN = [
    (text_events("Half an answer")[:3], "it broke off before its end"),
    ([], "it broke off before its end"),
    ([{"contentBlockDelta": {"delta": {"text": "x"}}}], "an event lacks a field (KeyError: 'contentBlockIndex')"),
    ([{"messageStop": {}}], "an event lacks a field"),
    ([{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": 5}}}], "an event lacks a field (TypeError"),
    (
        [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{"}}}}],
        "arguments came for no",
    ),
    ([{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "x" * 70_000}}}], "it is longer than 65536"),
    (tool_events(("time", "x" * 20_000)), "it is longer than 16384 characters"),
    ([{"contentBlockStop": {"contentBlockIndex": index}} for index in range(65)], "it has more than 64 parts"),
]


@pytest.mark.parametrize(("events", "text"), BROKEN, ids=[text for _, text in BROKEN])
def test_a_broken_answer(events: list[Any], text: str) -> None:
    rig = Rig(["hm"], events)
    assert rig.fails().message.startswith(f"the cloud's answer is broken: {text}")


def test_what_is_unknown_is_skipped() -> None:
    events = text_events("Fine.")
    events[1:1] = [
        {"novelty": {}},
        {"contentBlockStart": {"contentBlockIndex": 7, "start": {}}},
        {"contentBlockDelta": {"contentBlockIndex": 7, "delta": {"reasoningContent": {"text": "hm"}}}},
    ]
    assert Rig(["hm"], events).turn().reply == "Fine."


def test_an_answer_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    dripping: list[Any] = []
    for _ in range(1000):
        dripping += [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "a "}}}, 5.0]
    rig = Rig(["hm"], dripping)
    assert rig.fails().message == "the cloud's answer took longer than 120 seconds"
    assert rig.client.closed == 1
    assert agent_module.MAX_ANSWER_S == 120
