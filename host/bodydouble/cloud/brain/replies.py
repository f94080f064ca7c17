"""Words for what the tools gave back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bodydouble.cloud.converse import ToolResultBlock

MAX_DETAIL = 200
LARGEST_NUMBER = 10**9
CONFIRMATION = "confirmation_required"


@dataclass(frozen=True)
class Outcome:
    """A tool that was used, with what it gave back; `facts` is the result's JSON object, empty where it has none."""

    tool: str
    input: Mapping[str, Any]
    facts: Mapping[str, Any]
    text: str
    failed: bool

    @classmethod
    def of(cls, tool: str, arguments: Any, result: ToolResultBlock) -> Outcome:
        """From a request's toolUse and toolResult."""
        facts: dict[str, Any] = {}
        texts = []
        for part in result.content:
            data = part.data if part.text is None else _parsed(part.text)
            if isinstance(data, dict):
                facts |= data
            elif part.text is not None:
                texts.append(part.text)
            elif data is not None:
                texts.append(json.dumps(data, ensure_ascii=False))
        failed = result.status == "error" or facts.get("status") == "error"
        return cls(tool, arguments if isinstance(arguments, dict) else {}, facts, " ".join(texts), failed)

    def word(self, name: str, default: str = "") -> str:
        """A fact, or else the argument of that name, as text."""
        value = self.facts.get(name, self.input.get(name))
        return value if isinstance(value, str) and value else default

    def number(self, name: str) -> float | None:
        """A fact, or else the argument of that name, as a number."""
        return _number(self.facts.get(name, self.input.get(name)))

    @property
    def unconfirmed(self) -> bool:
        """Whether the tool asks for the user's word first."""
        return self.facts.get("status") == CONFIRMATION


def _number(value: object) -> float | None:
    """`value` where it is a number that can be said."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) <= LARGEST_NUMBER else None  # false for what is no number, too


def _parsed(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def reply(outcomes: Sequence[Outcome]) -> str:
    """One short answer about all of them: what was done, what went wrong, what is asked back."""
    done = [one for one in outcomes if not one.failed and not one.unconfirmed]
    sentences: list[str] = []
    for tool in dict.fromkeys(one.tool for one in done):
        alike = [one for one in done if one.tool == tool]
        together = _TOGETHER.get(tool)
        sentences += together(alike) if together else [_WORDS.get(tool, _anything)(one) for one in alike]
    sentences += [_failure(outcome) for outcome in outcomes if outcome.failed]
    for outcome in outcomes:
        if outcome.unconfirmed and not outcome.failed:
            sentences.append(f"Do you want me to unlock the {outcome.word('name', 'door')}? Say yes to confirm.")
    return " ".join(dict.fromkeys(sentences)) or "Done."


def kept_locked(names: Sequence[str]) -> str:
    """The answer to a no."""
    return f"Okay, the {listed(names)} {'stays' if len(names) == 1 else 'stay'} locked."


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def duration(seconds: float) -> str:
    """In words, to the second: "1 hour and 5 minutes"."""
    left = max(round(seconds), 0)
    parts = []
    for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return listed(parts) or "no time"


def _switched(outcomes: Sequence[Outcome]) -> list[str]:
    """Everything that was switched, one sentence for each state."""
    states = dict.fromkeys(one.word("state", "set") for one in outcomes)
    return [_are([_subject(one) for one in outcomes if one.word("state", "set") == state], state) for state in states]


def _are(subjects: Sequence[tuple[str, bool]], state: str) -> str:
    """One sentence for all `subjects`, each with whether it is a plural."""
    plural = len(subjects) > 1 or subjects[0][1]
    return f"{_capital(listed([text for text, _ in subjects]))} {'are' if plural else 'is'} {state}."


def _subject(outcome: Outcome) -> tuple[str, bool]:
    """What was switched, and whether that is a plural."""
    name, area = outcome.word("name"), outcome.word("area")
    if name or not area:
        return f"the {name or 'device'}", False
    things = {"light": "lights", "switch": "switches"}.get(outcome.word("kind"), "devices")
    return f"the {things} in the {area}", True


def _failure(outcome: Outcome) -> str:
    why = outcome.word("error") or outcome.text or "it did not work"
    return f"Sorry, that did not work: {why[:MAX_DETAIL].rstrip('.')}."


def _brightness(outcome: Outcome) -> str:
    percent = outcome.number("percent")
    return f"The {outcome.word('name', 'light')} is at {_plain(percent)} percent."


def _set_temperature(outcome: Outcome) -> str:
    return f"The {outcome.word('name', 'thermostat')} is set to {_degrees(outcome.number('celsius'))}."


def _state(outcome: Outcome) -> str:
    name, state, percent = outcome.word("name", "device"), outcome.word("state"), outcome.number("percent")
    measured, target = outcome.number("celsius"), outcome.number("target_c")
    if measured is not None and target is not None:
        return f"The {name} measures {_degrees(measured)} and is set to {_degrees(target)}."
    if measured is not None:
        return f"The {name.removesuffix(' temperature')} is at {_degrees(measured)}."
    if target is not None:
        return f"The {name} is set to {_degrees(target)}."
    if state == "on" and percent is not None:
        return f"The {name} is on, at {_plain(percent)} percent."
    return f"The {name} is {state}." if state else _anything(outcome)


def _locked(outcomes: Sequence[Outcome]) -> list[str]:
    return [_are([(f"the {one.word('name', 'door')}", False) for one in outcomes], "locked")]


def _unlocked(outcomes: Sequence[Outcome]) -> list[str]:
    return [_are([(f"the {one.word('name', 'door')}", False) for one in outcomes], "unlocked")]


def _added(outcomes: Sequence[Outcome]) -> list[str]:
    added = listed([_counted(one.word("item", "it"), one.number("quantity")) for one in outcomes])
    return [f"I put {added} on your shopping list."]


def _removed(outcomes: Sequence[Outcome]) -> list[str]:
    return [f"I took {listed([one.word('item', 'it') for one in outcomes])} off your shopping list."]


def _shown(outcome: Outcome) -> str:
    entries = outcome.facts.get("items")
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and isinstance(entry.get("item"), str):
            found.append(_counted(entry["item"], entry.get("quantity")))
    return f"On your shopping list: {listed(found)}." if found else "Your shopping list is empty."


def _counted(item: str, quantity: object) -> str:
    several = _number(quantity)
    return f"{_plain(several)} {item}" if several is not None and several > 1 else item


def _timer(facts: Mapping[str, Any], key: str) -> str:
    label, seconds = facts.get("label"), _number(facts.get(key))
    named = f"{label} timer" if isinstance(label, str) and label else "timer"
    return named if seconds is None else f"{named} for {duration(seconds)}"


def _timer_set(outcome: Outcome) -> str:
    return f"Your {_timer({**outcome.input, **outcome.facts}, 'seconds')} is running."


def _timer_cancelled(outcome: Outcome) -> str:
    return f"Your {_timer({**outcome.input, **outcome.facts}, '')} is cancelled."


def _timers(outcome: Outcome) -> str:
    entries = outcome.facts.get("timers")
    timers = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if not timers:
        return "No timer is running."
    return " ".join(
        f"Your {_timer(entry, '')} has {duration(_number(entry.get('remaining_s')) or 0)} left." for entry in timers
    )


def _weather(outcome: Outcome) -> str:
    high, low, rain = outcome.number("high_c"), outcome.number("low_c"), outcome.number("rain_percent")
    text = f"{_capital(outcome.word('when', 'today'))} will be {outcome.word('condition', 'as it comes')}"
    if high is not None and low is not None:
        text += f", with {_degrees(high)} at most and {_degrees(low)} at least"
    if rain:
        text += f", and a chance of rain of {_plain(rain)} percent"
    return text + "."


def _time(outcome: Outcome) -> str:
    hour, _, minute = outcome.word("time").partition(":")
    clock = outcome.word("time")
    if hour.isdecimal() and minute[:2].isdecimal():
        clock = f"{int(hour) % 12 or 12}:{minute[:2]} {'PM' if int(hour) >= 12 else 'AM'}"
    try:
        day = date.fromisoformat(outcome.word("date"))
    except ValueError:
        return f"It is {clock}." if clock else _anything(outcome)
    return f"It is {clock} on {day:%A}, {day.day} {day:%B}." if clock else f"It is {day:%A}, {day.day} {day:%B}."


def _anything(outcome: Outcome) -> str:
    """About a tool that is not known: what it said."""
    if outcome.text:
        return outcome.text[:MAX_DETAIL]
    facts = [f"{name} {value}" for name, value in outcome.facts.items() if name != "status" and _short(value)]
    return f"Done: {listed(facts)}."[:MAX_DETAIL] if facts else "Done."


def _short(value: object) -> bool:
    return isinstance(value, str) or _number(value) is not None


def _plain(number: float | None) -> str:
    if number is None:
        return "an unknown"
    text = f"{abs(number):.0f}" if float(number).is_integer() else f"{abs(number):.1f}"
    return f"minus {text}" if number < 0 else text


def _degrees(celsius: float | None) -> str:
    return f"{_plain(celsius)} {'degree' if celsius == 1 else 'degrees'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_WORDS: dict[str, Callable[[Outcome], str]] = {
    "set_brightness": _brightness,
    "set_temperature": _set_temperature,
    "get_state": _state,
    "shopping_list_show": _shown,
    "timer_set": _timer_set,
    "timer_cancel": _timer_cancelled,
    "timer_query": _timers,
    "weather": _weather,
    "time": _time,
}
# Tools whose results are told in one sentence where there are several.
_TOGETHER: dict[str, Callable[[Sequence[Outcome]], list[str]]] = {
    "set_power": _switched,
    "lock": _locked,
    "unlock": _unlocked,
    "shopping_list_add": _added,
    "shopping_list_remove": _removed,
}
