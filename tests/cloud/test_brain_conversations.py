"""What the brain says to tools' results, and how it gets a confirmation; language, names and mending on their own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.cloud.brain import Reply, ToolCall, replies
from bodydouble.cloud.brain.language import digits, lengths_in_seconds, normalise
from bodydouble.cloud.brain.matcher import Matcher, spoken_forms
from bodydouble.cloud.brain.plan import items
from bodydouble.cloud.brain.registry import MAX_NAMES, Registry
from bodydouble.cloud.brain.rules import NOT_HEARD, NOT_UNDERSTOOD, RuleBrain
from bodydouble.cloud.brain.understand import edit_distance, mend, understand
from bodydouble.cloud.converse import parse_request
from cloud.kit import LIGHTS, LOCKS, SENSORS, SWITCHES, assistant, result, tool_config, use, user


@pytest.fixture(scope="module")
def brain() -> RuleBrain:
    return RuleBrain()


def answer(brain: RuleBrain, *messages: dict[str, Any], transcript: str | None = None) -> Reply:
    body = {"messages": list(messages), "toolConfig": tool_config()}
    return brain.answer(parse_request(json.dumps(body).encode()), transcript)


UNCONFIRMED = {"status": "confirmation_required", "name": "front door", "question": "Shall I unlock the front door?"}


def asked(*names: str) -> list[dict[str, Any]]:
    """A conversation up to the question whether to unlock `names`."""
    calls = [use("unlock", {"name": name, "confirmed": False}, f"use-{name[:4]}") for name in names]
    results = [result({**UNCONFIRMED, "name": name}, f"use-{name[:4]}") for name in names]
    return [user("unlock it"), assistant(*calls), user(*results), assistant("Do you want me to unlock it?")]


def unlock(name: str) -> ToolCall:
    return ToolCall("unlock", {"name": name, "confirmed": True})


def test_an_unlock_is_asked_back(brain: RuleBrain) -> None:
    reply = answer(brain, *asked("front door")[:3])
    assert reply == Reply("Do you want me to unlock the front door? Say yes to confirm.")


@pytest.mark.parametrize(
    "words",
    ["yes", "Yes, please.", "alexa yes", "yeah do it", "go ahead", "okay", "yes unlock the front door", "sure"],
)
def test_a_yes_confirms(brain: RuleBrain, words: str) -> None:
    assert answer(brain, *asked("front door"), user(words)).tools == (unlock("front door"),)


@pytest.mark.parametrize("words", ["no", "nope", "no thanks", "cancel", "never mind", "don't unlock it", "stop"])
def test_a_no_keeps_it_locked(brain: RuleBrain, words: str) -> None:
    assert answer(brain, *asked("front door"), user(words)) == Reply("Okay, the front door stays locked.")


def test_a_yes_to_two_locks_confirms_both_and_a_name_picks_one(brain: RuleBrain) -> None:
    two = asked("front door", "back door")
    assert answer(brain, *two, user("yes")).tools == (unlock("front door"), unlock("back door"))
    assert answer(brain, *two, user("yes unlock the back door")).tools == (unlock("back door"),)
    assert answer(brain, *two, user("no")).text == "Okay, the front door and back door stay locked."


def test_a_yes_to_another_lock_confirms_nothing(brain: RuleBrain) -> None:
    reply = answer(brain, *asked("front door"), user("yes unlock the back door"))
    assert reply.tools == ()


def test_a_confirmation_cannot_be_had_later(brain: RuleBrain) -> None:
    """Only the turn right after the question counts."""
    later = [*asked("front door"), user("what time is it"), assistant("It is late.")]
    assert answer(brain, *later, user("yes")) == Reply("There is nothing to confirm.")


def test_something_else_than_yes_is_done_instead(brain: RuleBrain) -> None:
    assert answer(brain, *asked("front door"), user("lock the front door")).tools == (
        ToolCall("lock", {"name": "front door"}),
    )
    again = answer(brain, *asked("front door"), user("unlock the front door"))
    assert again.tools == (ToolCall("unlock", {"name": "front door", "confirmed": False}),)


def test_a_spoken_yes_confirms(brain: RuleBrain) -> None:
    """The transcript counts, not the hint that goes with the recording."""
    reply = answer(brain, *asked("front door"), user("(The request is in the recording.)"), transcript="yes")
    assert reply.tools == (unlock("front door"),)


def test_nothing_heard(brain: RuleBrain) -> None:
    assert answer(brain, user("hint"), transcript="") == Reply(NOT_HEARD)
    assert answer(brain, user("alexa"), transcript=None) == Reply(NOT_UNDERSTOOD)


OK = {"status": "ok"}


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([("set_power", {"name": "fan", "state": "on"}, OK)], "The fan is on."),
        (
            [
                ("set_power", {"name": "fan", "state": "off"}, OK),
                ("set_power", {"name": "desk lamp", "state": "off"}, OK),
                ("set_power", {"area": "kitchen", "kind": "light", "state": "off"}, OK),
            ],
            "The fan, the desk lamp and the lights in the kitchen are off.",
        ),
        (
            [("set_power", {"name": "fan", "state": "on"}, OK), ("lock", {"name": "back door"}, OK)],
            "The fan is on. The back door is locked.",
        ),
        ([("set_brightness", {"name": "desk lamp", "percent": 40}, OK)], "The desk lamp is at 40 percent."),
        (
            [("set_temperature", {"name": "thermostat", "celsius": 20.5}, OK)],
            "The thermostat is set to 20.5 degrees.",
        ),
        (
            [("get_state", {"name": "thermostat"}, {**OK, "celsius": 19.5, "target_c": 20.0})],
            "The thermostat measures 19.5 degrees and is set to 20 degrees.",
        ),
        (
            [("get_state", {"name": "living room temperature"}, {**OK, "celsius": 21.0})],
            "The living room is at 21 degrees.",
        ),
        ([("get_state", {"name": "front door"}, {**OK, "state": "locked"})], "The front door is locked."),
        (
            [("get_state", {"name": "desk lamp"}, {**OK, "state": "on", "percent": 30})],
            "The desk lamp is on, at 30 percent.",
        ),
        ([("unlock", {"name": "front door", "confirmed": True}, OK)], "The front door is unlocked."),
        (
            [("shopping_list_add", {"item": "apples", "quantity": 6}, OK)],
            "I put 6 apples on your shopping list.",
        ),
        (
            [("shopping_list_add", {"item": "milk", "quantity": 2}, OK), ("shopping_list_add", {"item": "eggs"}, OK)],
            "I put 2 milk and eggs on your shopping list.",
        ),
        (
            [("lock", {"name": "front door"}, OK), ("lock", {"name": "back door"}, OK)],
            "The front door and the back door are locked.",
        ),
        (
            [("get_state", {"name": "thermostat"}, {**OK, "celsius": -1})],
            "The thermostat is at minus 1 degrees.",
        ),
        ([("shopping_list_remove", {"item": "milk"}, OK)], "I took milk off your shopping list."),
        (
            [
                (
                    "shopping_list_show",
                    {},
                    {**OK, "items": [{"item": "milk", "quantity": 1}, {"item": "eggs", "quantity": 6}]},
                )
            ],
            "On your shopping list: milk and 6 eggs.",
        ),
        ([("shopping_list_show", {}, {**OK, "items": []})], "Your shopping list is empty."),
        ([("timer_set", {"seconds": 5400}, OK)], "Your timer for 1 hour and 30 minutes is running."),
        (
            [("timer_set", {"seconds": 61, "label": "pasta"}, OK)],
            "Your pasta timer for 1 minute and 1 second is running.",
        ),
        ([("timer_cancel", {}, OK)], "Your timer is cancelled."),
        ([("timer_query", {}, {**OK, "timers": []})], "No timer is running."),
        (
            [("timer_query", {}, {**OK, "timers": [{"seconds": 600, "remaining_s": 90, "label": "eggs"}]})],
            "Your eggs timer has 1 minute and 30 seconds left.",
        ),
        (
            [
                (
                    "weather",
                    {"when": "tomorrow"},
                    {**OK, "condition": "cloudy", "high_c": 9, "low_c": 1, "rain_percent": 30},
                )
            ],
            (
                "Tomorrow will be cloudy, with 9 degrees at most and 1 degree at least,"
                " and a chance of rain of 30 percent."
            ),
        ),
        ([("time", {}, {**OK, "time": "14:05", "date": "2026-11-25"})], "It is 2:05 PM on Wednesday, 25 November."),
        ([("time", {}, {**OK, "time": "00:30"})], "It is 12:30 AM."),
        ([("dance", {}, {**OK, "steps": 3})], "Done: steps 3."),
        ([("dance", {}, OK)], "Done."),
    ],
)
def test_words_for_results(brain: RuleBrain, calls: list[tuple[str, dict[str, Any], Any]], words: str) -> None:
    asked = assistant(*(use(name, given, f"use-{index}") for index, (name, given, _) in enumerate(calls)))
    given = user(*(result(facts, f"use-{index}") for index, (_, _, facts) in enumerate(calls)))
    assert answer(brain, user("do it"), asked, given) == Reply(words)


def test_words_for_failures(brain: RuleBrain) -> None:
    """A failure is told as one, whether the result's status or its JSON says so, beside what worked."""
    calls = assistant(use("lock", {"name": "back door"}, "a"), use("set_power", {"name": "fan", "state": "on"}, "b"))
    failed = result({"status": "error", "error": "the door is open"}, "a", status="error")
    assert answer(brain, user("x"), calls, user(failed, result(OK, "b"))).text == (
        "The fan is on. Sorry, that did not work: the door is open."
    )
    silent = {"toolResult": {"toolUseId": "a", "content": [{"text": "jammed"}], "status": "error"}}
    assert "jammed" in answer(brain, user("x"), calls, user(silent, result(OK, "b"))).text
    told = {"toolResult": {"toolUseId": "a", "content": [{"text": '{"status": "error", "error": "stuck"}'}]}}
    assert "stuck" in answer(brain, user("x"), calls, user(told, result(OK, "b"))).text


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("status", "name", "state", "items", "timers", "seconds", "remaining_s", "label", "time", "date", "percent")
facts = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), any_json, max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([*sorted(replies._WORDS), *sorted(replies._TOGETHER), "other"]), facts, facts)
def test_any_result_has_words(tool: str, given_input: dict[str, Any], found: dict[str, Any]) -> None:
    """Whatever a tool of this name gives back, there is an answer."""
    outcome = replies.Outcome(tool, given_input, found, "", failed=False)
    assert replies.reply([outcome]).strip()


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80))
def test_any_text_has_an_answer(text: str) -> None:
    body = {"messages": [user(f"x{text}")], "toolConfig": tool_config()}
    reply = _BRAIN.answer(parse_request(json.dumps(body).encode()), text)
    assert reply.text or reply.tools


_BRAIN = RuleBrain()
WORDS = ["and", "the", "turn", "on", "off", "lock", "unlock", "add", "order", "set", "timer", "for", "5", "minutes"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([*WORDS, *LIGHTS, *LOCKS]), max_size=40))
def test_word_salad_is_answered_in_time(words: list[str]) -> None:
    """No sentence, however it is put together, keeps the brain busy for long."""
    body = {"messages": [user("x")], "toolConfig": tool_config()}
    reply = _BRAIN.answer(parse_request(json.dumps(body).encode()), " ".join(words))
    assert all(
        call.name in {tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]} for call in reply.tools
    )


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Alexa, turn it ON!", "turn it on"),
        ("hey jarvis", ""),
        ("um could you please uh stop", "stop"),
        ("Okay. What's up?", "what's up"),
        ("set it to 20.5°", "set it to 20.5°"),
        ("fifty-five  percent", "55 percent"),
        ("the front-door", "the front-door"),
        ("no - 5 degrees", "no 5 degrees"),
        ("it’s on.", "it's on"),
        ("word " * 51, ""),
        ("", ""),
    ],
)
def test_normalise(said: str, left: str) -> None:
    assert normalise(said) == left


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("zero", "0"),
        ("nineteen", "19"),
        ("twenty", "20"),
        ("ninety nine", "99"),
        ("one hundred", "100"),
        ("a hundred and five", "105"),
        ("three hundred sixty", "360"),
        ("twenty one point five", "21.5"),
        ("two and a half", "2.5"),
        ("a dozen eggs", "12 eggs"),
        ("half a dozen", "6"),
        ("someone", "someone"),
        ("often", "often"),
        ("twenty percent and five percent", "20 percent and 5 percent"),
    ],
)
def test_number_words(words: str, number: str) -> None:
    assert digits(words) == number


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 hour and 30 minutes", "5400 seconds"),
        ("1 hour 5 minutes and 10 seconds", "3910 seconds"),
        ("an hour and a half", "5400 seconds"),
        ("half an hour", "1800 seconds"),
        ("3 quarters of an hour", "2700 seconds"),
        ("a minute", "60 seconds"),
        ("1.5 hours", "5400 seconds"),
        ("a 5-minute timer", "a 300 seconds timer"),
        ("10 mins", "600 seconds"),
        ("a minuet", "a minuet"),
    ],
)
def test_lengths_of_time(text: str, seconds: str) -> None:
    assert lengths_in_seconds(text) == seconds


def test_items() -> None:
    assert items("2 bottles of milk and some eggs") == [("bottles of milk", 2), ("eggs", None)]
    assert items("mac and cheese and a few apples") == [("mac and cheese", None), ("apples", None)]
    assert items("2% milk") == [("2% milk", None)]
    assert items("1 two three four five six seven eight") == []


REGISTRY = Registry(lights=LIGHTS, switches=SWITCHES, locks=LOCKS, sensors=SENSORS)


@pytest.mark.parametrize(
    ("sentence", "mended"),
    [
        ("turn on the kitchin light", "turn on the kitchen light"),
        ("turn on the ketchin lite", None),  # four edits
        ("lock the font door", "lock the front door"),
        ("unlock the frontdoor", "unlock the front door"),
        ("turn on the kitchen light now", None),  # nothing is wrong with its name
        ("unlok the thing", None),  # words that say what to do are left alone
        ("turn on the fin", None),  # too short a name to guess
    ],
)
def test_mending(sentence: str, mended: str | None) -> None:
    assert mend(sentence, REGISTRY) == mended


def test_a_name_that_could_be_two_is_not_mended() -> None:
    assert mend("lock the wast gate", Registry(locks=("west gate", "east gate"))) is None
    assert mend("lock the wast gate", Registry(locks=("west gate", "back gate"))) == "lock the west gate"


def test_lock_and_unlock_are_never_taken_for_one_another() -> None:
    """Two edits apart, and yet another word: neither the verb nor a device named like one is mended into it."""
    registry = Registry(locks=("unlock box", "lock box"))
    matcher = Matcher()
    for sentence, intent in (("lock the lock box", "Lock"), ("unlock the lock box", "Unlock")):
        (match,) = understand(sentence, registry, matcher)
        assert (match.intent, match.slots["lock"]) == (intent, "lock box")
    assert understand("ulock the lock box", registry, matcher) == []
    assert mend("open the unlock box", Registry(locks=("lock box",))) is None
    assert understand("nlock the front door", REGISTRY, matcher) == []


@settings(deadline=None)
@given(st.text("abc ", max_size=8), st.text("abc ", max_size=8), st.integers(0, 4))
def test_edit_distance(one: str, other: str, limit: int) -> None:
    exact = _distance(one, other)
    assert edit_distance(one, other, limit) == min(exact, limit + 1) == edit_distance(other, one, limit)


def _distance(one: str, other: str) -> int:
    """The textbook's recursion, with swaps of neighbours."""
    table = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            options = [table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (one[i - 1] != other[j - 1])]
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                options.append(table[i - 2, j - 2] + 1)
            table[i, j] = min(options)
    return table[len(one), len(other)]


def test_aliases_that_are_ambiguous_or_taken_are_not_used() -> None:
    forms = spoken_forms(("bedroom lamp", "bedroom light", "hall lamp"))
    assert ("bedroom light", "bedroom lamp") not in forms
    assert ("hall light", "hall lamp") in forms
    assert ("corridor lamp", "hall lamp") in forms
    assert spoken_forms(("Désk Lamp #2",))[0] == ("désk lamp 2", "Désk Lamp #2")
    assert spoken_forms(("?!",)) == []


def test_the_registry_is_what_the_enums_say() -> None:
    body = {"messages": [user("x")], "toolConfig": tool_config()}
    registry = Registry.of(parse_request(json.dumps(body).encode()).tools)
    assert registry.lights == LIGHTS
    assert registry.switches == SWITCHES
    assert registry.locks == LOCKS
    assert registry.sensors == SENSORS
    assert registry.within(registry.lights, "living room") == ("living room light",)
    body = {"messages": [user("x")], "toolConfig": tool_config("set_power")}
    assert Registry.of(parse_request(json.dumps(body).encode()).tools).lights == LIGHTS  # their names say so


def test_a_registry_has_its_limits() -> None:
    config = json.loads(json.dumps(tool_config("lock")))
    names = [f"door {number}" for number in range(2 * MAX_NAMES)]
    config["tools"][0]["toolSpec"]["inputSchema"]["json"]["properties"]["name"]["enum"] = ["x" * 100, 7, " ", *names]
    body = {"messages": [user("x")], "toolConfig": config}
    registry = Registry.of(parse_request(json.dumps(body).encode()).tools)
    assert registry.locks == tuple(names[:MAX_NAMES])
