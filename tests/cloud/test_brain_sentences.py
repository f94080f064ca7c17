"""Sentences and the tools that they must lead to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bodydouble.cloud.brain import ToolCall
from bodydouble.cloud.brain.rules import NOT_UNDERSTOOD, RuleBrain
from bodydouble.cloud.converse import parse_request
from cloud.kit import AREAS, LIGHTS, LOCKS, tool_config, user


@pytest.fixture(scope="module")
def brain() -> RuleBrain:
    return RuleBrain()


def ask(brain: RuleBrain, sentence: str, *tools: str) -> Any:
    body = {"messages": [user(sentence)], "toolConfig": tool_config(*tools)}
    return brain.answer(parse_request(json.dumps(body).encode()), None)


def power(name: str, state: str) -> ToolCall:
    return ToolCall("set_power", {"name": name, "state": state})


def area(name: str, state: str, kind: str | None = "light") -> ToolCall:
    return ToolCall("set_power", {"area": name, **({"kind": kind} if kind else {}), "state": state})


def bright(name: str, percent: int) -> ToolCall:
    return ToolCall("set_brightness", {"name": name, "percent": percent})


def heat(celsius: float) -> ToolCall:
    return ToolCall("set_temperature", {"name": "thermostat", "celsius": celsius})


def state(name: str) -> ToolCall:
    return ToolCall("get_state", {"name": name})


def lock(name: str) -> ToolCall:
    return ToolCall("lock", {"name": name})


def unlock(name: str) -> ToolCall:
    return ToolCall("unlock", {"name": name, "confirmed": False})


def add(item: str, quantity: int | None = None) -> ToolCall:
    return ToolCall("shopping_list_add", {"item": item, **({"quantity": quantity} if quantity else {})})


def timer(seconds: int, label: str | None = None) -> ToolCall:
    return ToolCall("timer_set", {"seconds": seconds, **({"label": label} if label else {})})


def remove(item: str) -> ToolCall:
    return ToolCall("shopping_list_remove", {"item": item})


def cancel(label: str | None = None) -> ToolCall:
    return ToolCall("timer_cancel", {"label": label} if label else {})


def weather(when: str = "today") -> ToolCall:
    return ToolCall("weather", {"when": when})


TIME, TIMERS, LIST = ToolCall("time", {}), ToolCall("timer_query", {}), ToolCall("shopping_list_show", {})

# What was tried with Home Assistant's sentences alone: both what they know and what they miss.
TRIED = {
    "turn on the kitchen light": [power("kitchen light", "on")],
    "set the thermostat to 20 degrees": [heat(20)],
    "order more milk": [add("milk")],
    "add milk to my shopping list": [add("milk")],
    "what is the weather today": [weather()],
    "what time is it": [TIME],
    "lock the front door": [lock("front door")],
    "unlock the front door": [unlock("front door")],
    "set a timer for ten minutes": [timer(600)],
    "set a 5 minute timer": [timer(300)],
    "turn off all the lights in the kitchen": [area("kitchen", "off")],
    "set brightness to 50 percent in the bedroom": [bright("bedroom lamp", 50)],
    "what is the temperature": [state("thermostat")],
    "cancel the timer": [cancel()],
    "is the front door locked": [state("front door")],
}
SENTENCES = {
    # wake words, fillers, punctuation
    "Alexa, turn on the kitchen light.": [power("kitchen light", "on")],
    "hey jarvis could you please turn off the fan": [power("fan", "off")],
    "okay nabu um switch on the coffee machine please": [power("coffee machine", "on")],
    "Hey Mycroft! Would you turn the porch light on, please?": [power("porch light", "on")],
    "alexa alexa what time is it": [TIME],
    "okay, lock the back door now": [lock("back door")],
    # power
    "switch the fan off": [power("fan", "off")],
    "kitchen light on": [power("kitchen light", "on")],
    "turn on the tv": [power("television", "on")],
    "turn off the bedroom light": [power("bedroom lamp", "off")],
    "turn off the hall light": [power("hallway light", "off")],
    "turn off the kitchen lights": [area("kitchen", "off")],
    "turn on the lights in the living room": [area("living room", "on")],
    "turn on every light in the office": [area("office", "on")],
    "turn off everything in the kitchen": [area("kitchen", "off", None)],
    "turn off all the lights": [power(name, "off") for name in LIGHTS],
    "turn off the lights": [power(name, "off") for name in LIGHTS],
    "lights off": [power(name, "off") for name in LIGHTS],
    "light up the kitchen": [area("kitchen", "on")],
    # brightness
    "set the kitchen light to fifty percent": [bright("kitchen light", 50)],
    "set the desk lamp to 5%": [bright("desk lamp", 5)],
    "set the brightness of the porch light to one hundred percent": [bright("porch light", 100)],
    "dim the desk lamp to twenty five percent": [bright("desk lamp", 25)],
    "make the living room light brighter": [bright("living room light", 100)],
    "dim the lights in the hall": [bright("hallway light", 30)],
    "dim the bedroom": [bright("bedroom lamp", 30)],
    # heat
    "set the thermostat to twenty one point five degrees": [heat(21.5)],
    "set the thermostat to twenty and a half degrees": [heat(20.5)],
    "set the temperature to nineteen degrees celsius": [heat(19)],
    "make it 22 degrees": [heat(22)],
    "set it eleven degrees": [heat(11)],
    "set the thermostat to 68 degrees fahrenheit": [heat(20)],
    "turn the heating up to twenty two": [heat(22)],
    "what is the temperature in the living room": [state("living room temperature")],
    "how warm is it in the bedroom": [state("thermostat")],
    "what is the thermostat set to": [state("thermostat")],
    "how cold is it outside": [weather()],
    # locks
    "open the garage door": [unlock("garage door")],
    "close the garage door": [lock("garage door")],
    "lock all the doors": [lock(name) for name in LOCKS],
    "did i lock the back door": [state("back door")],
    "is the garage door open": [state("garage door")],
    # shopping
    "reorder coffee": [add("coffee")],
    "we are out of eggs": [add("eggs")],
    "i need some more toilet paper": [add("toilet paper")],
    "put two bottles of milk on the shopping list": [add("bottles of milk", 2)],
    "add a dozen eggs and some bread to the list": [add("eggs", 12), add("bread")],
    "add mac and cheese to the shopping list": [add("mac and cheese")],
    "buy six apples": [add("apples", 6)],
    "remove milk from the shopping list": [remove("milk")],
    "take the eggs off my list": [remove("eggs")],
    "what is on my shopping list": [LIST],
    "read me the shopping list": [LIST],
    # timers
    "set a timer for an hour and a half": [timer(5400)],
    "set a timer for one hour and thirty minutes": [timer(5400)],
    "set a timer for ninety seconds": [timer(90)],
    "set a timer for half an hour": [timer(1800)],
    "start a thirty second timer": [timer(30)],
    "set a pasta timer for eleven minutes": [timer(660, "pasta")],
    "set a ten minute timer for the eggs": [timer(600, "eggs")],
    "timer for a quarter of an hour": [timer(900)],
    "set a timer for 2 hours 5 minutes and 10 seconds": [timer(7510)],
    "cancel the pasta timer": [cancel("pasta")],
    "stop the timer": [cancel()],
    "how much time is left on the timer": [TIMERS],
    "what timers are running": [TIMERS],
    # weather and time
    "what's the weather like tomorrow": [weather("tomorrow")],
    "what will the weather be tomorrow": [weather("tomorrow")],
    "will it rain today": [weather()],
    "do i need an umbrella tomorrow": [weather("tomorrow")],
    "tell me the time": [TIME],
    "what day is it": [TIME],
    "what day is it today": [TIME],
    # several at once
    "turn on the kitchen light and lock the front door": [power("kitchen light", "on"), lock("front door")],
    "turn on the kitchen light and the fan": [power("kitchen light", "on"), power("fan", "on")],
    "turn the kitchen light on and the fan off": [power("kitchen light", "on"), power("fan", "off")],
    "turn on the kitchen light and the fan and the tv": [
        power("kitchen light", "on"),
        power("fan", "on"),
        power("television", "on"),
    ],
    "please lock the front door and then could you turn off the porch light": [
        lock("front door"),
        power("porch light", "off"),
    ],
    "lock the front door and the back door": [lock("front door"), lock("back door")],
    "turn off the lights in the kitchen and the bedroom": [area("kitchen", "off"), area("bedroom", "off")],
    "order milk and turn on the porch light": [add("milk"), power("porch light", "on")],
    "add milk and eggs to the shopping list and set a timer for 1 hour and 10 minutes": [
        add("milk"),
        add("eggs"),
        timer(4200),
    ],
    # misheard names
    "turn on the kitchin light": [power("kitchen light", "on")],
    "turn off the porsh light": [power("porch light", "off")],
    "lock the font door": [lock("front door")],
    "set the thermostate to 20 degrees": [heat(20)],
    # states
    "is the kitchen light on": [state("kitchen light")],
    "what is the state of the fan": [state("fan")],
    "are all the lights off": [state(name) for name in LIGHTS],
}


@pytest.mark.parametrize("sentence", [*TRIED, *SENTENCES])
def test_a_sentence_leads_to_its_tools(brain: RuleBrain, sentence: str) -> None:
    answer = ask(brain, sentence)
    assert list(answer.tools) == (TRIED | SENTENCES)[sentence], answer.text


@pytest.mark.parametrize(
    "sentence",
    [
        "the quick brown fox",
        "a lexus drove past the election office",
        "turn on the flux capacitor",
        "unlock the kitchen light",
        "lock the fan",
        "set a timer",
        "play some music",
        "turn on",
        "and",
        "turn on the the the the",
        "?!...",
        "you lock the door",
        "x" * 400,
        "turn on the kitchen light " * 30,
        "ünïcödé ☃ \N{ZERO WIDTH JOINER}",
        "{lock} [the] (front|back) <door>",
    ],
)
def test_what_is_not_understood_uses_no_tool(brain: RuleBrain, sentence: str) -> None:
    answer = ask(brain, sentence)
    assert answer.tools == ()
    assert answer.text.startswith("Sorry")


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("thanks", "You're welcome."),
        ("thank you very much", "You're welcome."),
        ("hello there", "Hello! What can I do for you?"),
        ("yes", "There is nothing to confirm."),
        ("never mind", "Okay."),
        ("set a timer for 0 seconds", "Sorry, a timer needs at least one second."),
        (
            "set brightness to 50 percent in the office",
            "Sorry, I do not know which light in the office you mean. Say its name, please.",
        ),
    ],
)
def test_what_is_answered_by_words(brain: RuleBrain, sentence: str, words: str) -> None:
    answer = ask(brain, sentence)
    assert (answer.text, answer.tools) == (words, ())


def test_help_says_what_can_be_done(brain: RuleBrain) -> None:
    assert "shopping list" in ask(brain, "what can you do").text


def test_only_tools_on_offer_are_used(brain: RuleBrain) -> None:
    """The home is what the request says it is: without the tool or the name there is nothing to do."""
    assert ask(brain, "lock the front door", "lock").tools == (lock("front door"),)
    assert ask(brain, "what time is it", "lock").tools == ()
    assert ask(brain, "what time is it", "lock").text == "Sorry, I cannot do that here."
    assert ask(brain, "turn on the kitchen light", "lock").text == NOT_UNDERSTOOD


def test_arguments_are_those_of_the_schema(brain: RuleBrain) -> None:
    """A home whose tools know no kind and no quantity is not given them."""
    config = tool_config("set_power", "shopping_list_add")
    config = json.loads(json.dumps(config))
    del config["tools"][0]["toolSpec"]["inputSchema"]["json"]["properties"]["kind"]
    del config["tools"][1]["toolSpec"]["inputSchema"]["json"]["properties"]["quantity"]
    body = {"messages": [user("turn off the lights in the kitchen and buy 2 apples")], "toolConfig": config}
    answer = brain.answer(parse_request(json.dumps(body).encode()), None)
    assert list(answer.tools) == [area("kitchen", "off", None), add("apples")]


def test_every_area_and_device_can_be_switched_by_name(brain: RuleBrain) -> None:
    for name in AREAS:
        assert ask(brain, f"turn on the lights in the {name}").tools == (area(name, "on"),), name
    for name in LIGHTS:
        assert ask(brain, f"turn {name} off").tools == (power(name, "off"),), name
