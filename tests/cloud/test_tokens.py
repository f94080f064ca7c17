"""The approximation of tokens, by its own rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bodydouble.cloud import tokens
from bodydouble.cloud.converse import parse_request
from cloud.kit import assistant, result, tool_config, use, user


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("x" * 400, 100)])
def test_text(text: str, count: int) -> None:
    assert tokens.of_text(text) == count


def test_json_and_audio() -> None:
    assert tokens.of_json({"a": [1, 2]}) == 3  # {"a":[1,2]}
    assert tokens.of_audio(2.0) == 50
    assert tokens.of_audio(0.001) == 1


def counted(*messages: dict[str, Any], **more: Any) -> int:
    request = parse_request(json.dumps({"messages": messages, "toolConfig": tool_config("time"), **more}).encode())
    return tokens.of_request(request, 0.0)


def test_a_request_is_the_sum_of_its_parts() -> None:
    """Each message has a frame of 4; a tool's name, description and schema are read in every call."""
    # time; "The tool time."; {"type":"object","properties":{},"required":[],"additionalProperties":false}
    tool = 1 + 4 + 19
    assert counted(user("four")) == tool + 4 + 1
    assert counted(user("four"), system=[{"text": "be brief"}]) == tool + 4 + 1 + 2
    # {} is one token, {"time":"12:00"} four
    loop = (user("four"), assistant(use("time")), user(result({"time": "12:00"})))
    assert counted(*loop) == tool + (4 + 1) + (4 + 1 + 1) + (4 + 4)
