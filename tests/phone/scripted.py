"""A model that answers from a script: what the agent's tests talk to instead of a service."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any


def text_events(text: str, stop_reason: str = "end_turn", tokens: tuple[int, int] = (10, 5)) -> list[dict[str, Any]]:
    """ConverseStream's events for an answer in words."""
    events: list[dict[str, Any]] = [{"messageStart": {"role": "assistant"}}]
    events += [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": word}}} for word in text.split(" ")]
    for event in events[1:-1]:
        event["contentBlockDelta"]["delta"]["text"] += " "
    events += [{"contentBlockStop": {"contentBlockIndex": 0}}, *_end(stop_reason, tokens)]
    return events


def tool_events(*uses: tuple[str, object], text: str = "", tokens: tuple[int, int] = (10, 5)) -> list[dict[str, Any]]:
    """The events for an answer that asks for tools: (name, arguments); arguments as text go out as they are."""
    events: list[dict[str, Any]] = [{"messageStart": {"role": "assistant"}}]
    if text:
        events.append({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}})
        events.append({"contentBlockStop": {"contentBlockIndex": 0}})
    for index, (name, arguments) in enumerate(uses, start=1):
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        start = {"toolUse": {"toolUseId": f"use-{index}", "name": name}}
        events.append({"contentBlockStart": {"contentBlockIndex": index, "start": start}})
        for piece in (written[:5], written[5:]):
            events.append({"contentBlockDelta": {"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}}})
        events.append({"contentBlockStop": {"contentBlockIndex": index}})
    return events + _end("tool_use", tokens)


def _end(stop_reason: str, tokens: tuple[int, int]) -> list[dict[str, Any]]:
    usage = {"inputTokens": tokens[0], "outputTokens": tokens[1], "totalTokens": sum(tokens)}
    return [{"messageStop": {"stopReason": stop_reason}}, {"metadata": {"usage": usage, "metrics": {"latencyMs": 3}}}]


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class ScriptedClient:
    """Gives one scripted answer for each call: a list of events, or an exception to raise.

    An event that is an exception is raised in the middle of the stream; one that is a number of seconds moves the
    clock. `head_s` is the time until the response's head, `headers` are its headers.
    """

    def __init__(
        self, *answers: Any, clock: FakeClock | None = None, head_s: float = 0.0, headers: Any = None
    ) -> None:
        self.answers = list(answers)
        self.requests: list[dict[str, Any]] = []
        self.clock = clock or FakeClock()
        self.head_s = head_s
        self.headers = dict(headers or {})
        self.closed = 0

    def converse_stream(self, **request: Any) -> dict[str, Any]:
        self.requests.append(copy.deepcopy(request))
        answer = self.answers.pop(0)
        self.clock.advance(self.head_s)
        if isinstance(answer, BaseException):
            raise answer
        return {"ResponseMetadata": {"HTTPHeaders": self.headers}, "stream": _Stream(self, answer)}


class _Stream:
    def __init__(self, client: ScriptedClient, events: list[Any]) -> None:
        self.client, self.events = client, events

    def __iter__(self) -> Iterator[Any]:
        for event in self.events:
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, float):
                self.client.clock.advance(event)
            else:
                yield event

    def close(self) -> None:
        self.client.closed += 1
