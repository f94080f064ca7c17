"""The tools: what the model is told, and what comes of right, wrong and hostile calls."""

from __future__ import annotations

import json
import string
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.phone.default_home import light, sensor
from bodydouble.phone.home import Home
from bodydouble.phone.tools import Tools
from bodydouble.phone.validation import ArgumentError, check_arguments
from bodydouble.phone.weather import Weather
from phone.scripted import FakeClock

NOON = datetime(2026, 11, 25, 14, 5, tzinfo=timezone.utc).timestamp()


@pytest.fixture
def tools() -> Tools:
    return Tools(Home(clock=FakeClock(NOON)), weather=Weather(seed=0), timezone=timezone.utc)


def test_specs_are_what_bedrock_takes(tools: Tools) -> None:
    import botocore.session
    from botocore.validate import ParamValidator

    model = botocore.session.Session().get_service_model("bedrock-runtime")
    shape = model.operation_model("ConverseStream").input_shape
    request = {"modelId": "m", "messages": [], "toolConfig": tools.specs()}
    assert not ParamValidator().validate(request, shape).has_errors()
    assert json.loads(json.dumps(request)) == request
    specs = {tool["toolSpec"]["name"]: tool["toolSpec"]["inputSchema"]["json"] for tool in tools.specs()["tools"]}
    assert list(specs) == [
        "set_power", "set_brightness", "set_temperature", "get_state", "lock", "unlock", "shopping_list_add",
        "shopping_list_remove", "shopping_list_show", "timer_set", "timer_cancel", "timer_query", "weather", "time",
    ]  # fmt: skip
    assert "kitchen light" in specs["set_power"]["properties"]["name"]["enum"]
    assert "front door" not in specs["set_power"]["properties"]["name"]["enum"], "no way around the lock's question"
    assert specs["lock"]["properties"]["name"]["enum"] == ["back door", "front door", "garage door"]
    assert specs["unlock"]["required"] == ["name", "confirmed"]


def test_a_tool_without_devices_is_not_offered() -> None:
    tools = Tools(Home(devices=[light("lamp", "den"), sensor("cellar", "cellar", 9.0)]))
    names = [tool["toolSpec"]["name"] for tool in tools.specs()["tools"]]
    assert not {"lock", "unlock", "set_temperature"} & set(names)
    assert {"set_power", "set_brightness", "get_state"} < set(names)
    assert tools.run("unlock", {"name": "front door", "confirmed": True})["status"] == "error"


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("set_power", {"name": "kitchen light", "state": "on"}, {"name": "kitchen light", "state": "on"}),
        ("set_power", {"name": "fan", "kind": "switch", "state": "on"}, {"name": "fan", "state": "on"}),
        (
            "set_power",
            {"area": "bedroom", "kind": "light", "state": "on"},
            {"area": "bedroom", "kind": "light", "state": "on", "names": ["bedroom lamp"]},
        ),
        (
            "set_brightness",
            {"name": "kitchen light", "percent": 40.0},
            {"name": "kitchen light", "percent": 40, "state": "on"},
        ),
        ("set_temperature", {"name": "thermostat", "celsius": 21.5}, {"name": "thermostat", "celsius": 21.5}),
        (
            "get_state",
            {"name": "kitchen light"},
            {"name": "kitchen light", "kind": "light", "area": "kitchen", "state": "off", "percent": 0},
        ),
        (
            "get_state",
            {"name": "thermostat"},
            {"name": "thermostat", "kind": "thermostat", "area": "hallway", "target_c": 20.0, "celsius": 19.5},
        ),
        (
            "get_state",
            {"name": "front door"},
            {"name": "front door", "kind": "lock", "area": "hallway", "state": "locked"},
        ),
        ("lock", {"name": "front door"}, {"name": "front door", "state": "locked"}),
        ("shopping_list_add", {"item": "oat  Milk", "quantity": 2}, {"item": "oat milk", "quantity": 2}),
        ("shopping_list_show", {}, {"items": []}),
        ("timer_set", {"seconds": 600, "label": "pasta"}, {"seconds": 600, "remaining_s": 600, "label": "pasta"}),
        ("timer_set", {"seconds": 60}, {"seconds": 60, "remaining_s": 60}),
        ("timer_query", {}, {"timers": []}),
        (
            "weather",
            {"when": "today"},
            {
                "when": "today",
                "date": "2026-11-25",
                "condition": "stormy",
                "high_c": 7,
                "low_c": 1,
                "rain_percent": 98,
            },
        ),
        ("time", {}, {"time": "14:05", "date": "2026-11-25"}),
    ],
)
def test_right_calls(tools: Tools, name: str, arguments: dict[str, Any], result: dict[str, Any]) -> None:
    assert tools.run(name, arguments) == {"status": "ok", **result}


def test_lists_and_timers_through_their_tools(tools: Tools) -> None:
    tools.run("shopping_list_add", {"item": "milk"})
    assert tools.run("shopping_list_show", {})["items"] == [{"item": "milk", "quantity": 1}]
    assert tools.run("shopping_list_remove", {"item": "milk"}) == {"status": "ok", "item": "milk"}
    assert tools.run("shopping_list_remove", {"item": "milk"})["status"] == "error"
    tools.run("timer_set", {"seconds": 60, "label": "tea"})
    assert tools.run("timer_query", {})["timers"] == [{"seconds": 60, "remaining_s": 60, "label": "tea"}]
    assert tools.run("timer_cancel", {"label": ""})["status"] == "ok"
    assert tools.run("timer_cancel", {})["error"] == "no timer is running"
    tomorrow = tools.run("weather", {"when": "tomorrow"})
    assert tomorrow["date"] == "2026-11-26"


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("explode", {}, "there is no tool called 'explode'; there are: set_power, "),
        ("set_power", [], "the arguments must be an object"),
        ("set_power", None, "the arguments must be an object"),
        ("set_power", {"name": "fan"}, "the argument 'state' is missing"),
        ("set_power", {"state": "on"}, "give either name or area"),
        ("set_power", {"name": "fan", "area": "bedroom", "state": "on"}, "give either name or area"),
        ("set_power", {"name": "fan", "kind": "light", "state": "on"}, "the fan is a switch"),
        (
            "set_power",
            {"name": "front door", "state": "off"},
            "name is 'front door'; it must be one of: kitchen light",
        ),
        ("set_power", {"name": "fan", "state": "ON"}, "state is 'ON'; it must be one of: on, off"),
        ("set_power", {"name": ["fan"], "state": "on"}, "name must be text, not ['fan']"),
        ("set_power", {"name": "fan", "state": "on", "force": 1}, "there is no argument 'force'; there are: name"),
        ("set_brightness", {"name": "fan", "percent": 5}, "name is 'fan'; it must be one of: kitchen light"),
        ("set_brightness", {"name": "desk lamp", "percent": 101}, "percent is 101; it must be from 0 to 100"),
        ("set_brightness", {"name": "desk lamp", "percent": 1.5}, "percent must be a whole number, not 1.5"),
        ("set_brightness", {"name": "desk lamp", "percent": True}, "percent must be a number, not True"),
        ("set_brightness", {"name": "desk lamp", "percent": "50"}, "percent must be a number, not '50'"),
        (
            "set_brightness",
            {"name": "desk lamp", "percent": float("nan")},
            "percent is nan; it must be from 0 to 100",
        ),
        ("set_brightness", {"name": "desk lamp", "percent": 10**5000}, "percent is a very long number; it must be"),
        ("set_temperature", {"name": "thermostat", "celsius": 451}, "celsius is 451; it must be from 5.0 to 35.0"),
        ("unlock", {"name": "front door"}, "the argument 'confirmed' is missing"),
        ("unlock", {"name": "front door", "confirmed": "true"}, "confirmed must be true or false, not 'true'"),
        ("shopping_list_add", {"item": "  "}, "item is empty"),
        ("shopping_list_add", {"item": "x" * 61}, "item is longer than 60 characters"),
        ("shopping_list_add", {"item": "a\x1b[2Jb"}, "item holds characters that cannot be shown"),
        ("shopping_list_add", {"item": "\ud800"}, "item holds characters that cannot be shown"),
        ("shopping_list_add", {"item": "milk", "quantity": 0}, "quantity is 0; it must be from 1 to 999"),
        ("timer_set", {"seconds": 0}, "seconds is 0; it must be from 1 to 86400"),
        ("timer_set", {"seconds": float("inf")}, "seconds is inf; it must be from 1 to 86400"),
        ("weather", {"when": "yesterday"}, "when is 'yesterday'; it must be one of: today, tomorrow"),
        ("time", {"zone": "mars"}, "there is no argument 'zone'; there are: none"),
    ],
)
def test_wrong_calls_are_answered_and_change_nothing(tools: Tools, name: str, arguments: object, error: str) -> None:
    before = tools.home.events()
    result = tools.run(name, arguments)
    assert result["status"] == "error"
    assert result["error"].startswith(error)
    assert "\n" not in result["error"]
    assert tools.home.events() == before


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["set_power", "set_brightness", "unlock", "lock", "timer_set", "shopping_list_add", "nothing"]
ARGUMENTS = ["name", "area", "kind", "state", "percent", "confirmed", "seconds", "label", "item", "quantity"]
LIKELY = st.sampled_from(["front door", "fan", "kitchen", "light", "on", 5, True, "x"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(ARGUMENTS), LIKELY | JSON) | JSON)))
def test_no_call_raises_or_opens_a_lock(calls: list[tuple[str, object]]) -> None:
    tools = Tools(Home())
    for name, arguments in calls:
        result = tools.run(name, arguments)
        assert result["status"] in ("ok", "confirmation_required", "error")
        json.dumps(result, allow_nan=False)
    assert all(device.locked for device in tools.home.devices("lock"))


def test_a_home_that_fails_is_an_error_result(tools: Tools) -> None:
    tools.home._connection.execute("PRAGMA query_only = 1")
    result = tools.run("set_power", {"name": "fan", "state": "on"})
    assert result["status"] == "error"
    assert "could not be read or written" in result["error"]


def test_a_schema_that_nothing_checks_is_a_defect() -> None:
    schema = {"properties": {"x": {"type": "string", "pattern": "a"}}}
    with pytest.raises(TypeError, match="pattern"):
        check_arguments(schema, {"x": "a"})
    with pytest.raises(TypeError, match="array"):
        check_arguments({"properties": {"x": {"type": "array"}}}, {"x": []})
    assert issubclass(ArgumentError, ValueError)
