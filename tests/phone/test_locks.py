"""A lock opens after a question, a later plain yes, and not otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.phone.home import Home
from bodydouble.phone.locks import CONFIRM_WITHIN_S, LockGuard, affirms, normalise
from bodydouble.phone.tools import Tools


@pytest.fixture
def tools() -> Tools:
    return Tools(Home())


def turn(tools: Tools, now_s: float, said: str | None, *calls: tuple[str, bool]) -> list[str]:
    """One user turn at `now_s` in which the model calls unlock so; gives the results' statuses."""
    tools.guard.begin_turn(now_s)
    if said is not None:
        tools.guard.heard(said)
    results = [tools.run("unlock", {"name": name, "confirmed": confirmed}) for name, confirmed in calls]
    tools.guard.end_turn()
    return [result["status"] for result in results]


ASK, OK = "confirmation_required", "ok"


def test_asked_and_confirmed(tools: Tools) -> None:
    assert turn(tools, 10, "unlock the front door", ("front door", False)) == [ASK]
    assert tools.home.device("front door").locked
    assert turn(tools, 15, "yes", ("front door", True)) == [OK]
    assert tools.home.device("front door").locked is False


def test_result_brings_the_question(tools: Tools) -> None:
    result = tools.run("unlock", {"name": "front door", "confirmed": False})
    assert result == {
        "status": "confirmation_required",
        "name": "front door",
        "question": "Shall I unlock the front door?",
    }


def test_the_model_cannot_confirm_for_the_user(tools: Tools) -> None:
    calls = [("front door", False), ("front door", True), ("front door", True)]
    assert turn(tools, 10, "unlock the front door yes", *calls) == [ASK, ASK, ASK]
    assert turn(tools, 11, "turn on the fan", ("front door", True)) == [ASK]
    assert turn(tools, 12, "unlock the front door", ("front door", True)) == [ASK]
    assert tools.home.device("front door").locked


@pytest.mark.parametrize(
    "said", ["no", "yes no", "no yes", "never mind", "okay nabu no", "yes unlock the back door", ""]
)
def test_anything_but_a_yes_drops_the_question(tools: Tools, said: str) -> None:
    turn(tools, 10, "unlock the front door", ("front door", False))
    assert turn(tools, 12, said) == []
    assert turn(tools, 14, "yes", ("front door", True)) == [ASK]
    assert tools.home.device("front door").locked


def test_only_the_next_turn_answers(tools: Tools) -> None:
    turn(tools, 10, "unlock the front door", ("front door", False))
    assert turn(tools, 12, "yes") == []
    assert turn(tools, 14, "yes", ("front door", True)) == [ASK]


def test_a_yes_without_confirmed_asks_again(tools: Tools) -> None:
    turn(tools, 10, "unlock the front door", ("front door", False))
    assert turn(tools, 12, "yes", ("front door", False), ("front door", True)) == [ASK, ASK]
    assert turn(tools, 13, "yes", ("front door", True)) == [OK]


def test_too_late_or_from_another_session(tools: Tools) -> None:
    for later_s in (10 + CONFIRM_WITHIN_S + 0.001, 9.0):
        turn(tools, 10, "unlock the front door", ("front door", False))
        assert turn(tools, later_s, "yes", ("front door", True)) == [ASK]
        turn(tools, 500, "stop")
    turn(tools, 10, "unlock the front door", ("front door", False))
    assert turn(tools, 10 + CONFIRM_WITHIN_S, "yes", ("front door", True)) == [OK]


def test_a_yes_is_for_what_was_asked_and_good_once(tools: Tools) -> None:
    turn(tools, 10, "unlock the front door", ("front door", False))
    assert turn(tools, 12, "yes", ("back door", True), ("front door", True), ("front door", True)) == [ASK, OK, ASK]
    assert tools.home.device("back door").locked


def test_two_locks_asked_at_once(tools: Tools) -> None:
    turn(tools, 10, "unlock both doors", ("front door", False), ("back door", False))
    assert turn(tools, 12, "yes unlock the back door", ("front door", True), ("back door", True)) == [ASK, OK]


def test_unknown_transcript_leaves_it_to_the_model_but_not_in_one_turn(tools: Tools) -> None:
    assert turn(tools, 10, None, ("front door", True), ("front door", True)) == [ASK, ASK]
    assert turn(tools, 12, None) == []
    assert turn(tools, 13, None, ("front door", True)) == [ASK]
    assert turn(tools, 14, None, ("front door", True)) == [OK]


def test_a_turn_that_was_broken_off_asked_nothing(tools: Tools) -> None:
    tools.guard.begin_turn(10)
    tools.run("unlock", {"name": "front door", "confirmed": False})
    assert turn(tools, 12, "yes", ("front door", True)) == [ASK]
    tools.guard.forget()
    assert turn(tools, 13, "yes", ("front door", True)) == [ASK]


def test_locking_never_asks(tools: Tools) -> None:
    turn(tools, 10, "unlock the front door", ("front door", False))
    turn(tools, 11, "yes", ("front door", True))
    assert tools.run("lock", {"name": "front door"})["status"] == OK
    assert tools.home.device("front door").locked


@pytest.mark.parametrize(
    "said",
    [
        "yes", "Yes.", "yes, please!", "Yeah", "sure", "go ahead", "do it please", "alexa yes", "okay nabu, yes",
        "yes unlock it", "yes, unlock the front door", "confirm", "yes do it",
    ],
)  # fmt: skip
def test_affirmative(said: str) -> None:
    assert affirms(said, "front door")


@pytest.mark.parametrize(
    "said",
    [
        "", "no", "okay nabu", "ok", "yesterday", "yes but not now", "yes no", "don't do it", "is it yes or no",
        "yes unlock the back door", "unlock the front door", "yes lock the front door", "no do it", "yes\nno",
    ],
)  # fmt: skip
def test_not_affirmative(said: str) -> None:
    assert not affirms(said, "front door")


def test_normalise() -> None:
    assert normalise("Okay Nabu,  Turn ON the Kitchen-Light!") == "turn on the kitchen light"
    assert normalise("alexander") == "alexander"


SAID = st.sampled_from([None, "yes", "no", "unlock the front door", "turn on the fan"])
CALL = st.tuples(st.sampled_from(["front door", "back door"]), st.booleans())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 70), SAID, st.lists(CALL, max_size=3)), max_size=8))
def test_no_order_of_calls_opens_unasked(turns: list[tuple[float, str | None, list[tuple[str, bool]]]]) -> None:
    guard, now_s = LockGuard(), 0.0
    asked: dict[str, float] = {}
    for pause_s, said, calls in turns:
        now_s += pause_s
        guard.begin_turn(now_s)
        if said is not None:
            guard.heard(said)
        asking: dict[str, float] = {}
        for name, confirmed in calls:
            opened = guard.may_unlock(name, confirmed)
            in_time = name in asked and now_s - asked[name] <= CONFIRM_WITHIN_S
            assert opened == (confirmed and in_time and said in (None, "yes"))
            asked.pop(name, None)
            if not opened:
                asking[name] = now_s
        guard.end_turn()
        asked = asking
