"""From intents to tools: which tool does what was asked, with which arguments, or why none can."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bodydouble.cloud.brain import ToolCall
from bodydouble.cloud.brain.language import join_pairs, part_pairs
from bodydouble.cloud.brain.matcher import Match
from bodydouble.cloud.brain.registry import Registry

if TYPE_CHECKING:
    from bodydouble.cloud.converse import ToolSpec

CANNOT = "Sorry, I cannot do that here."
MAX_CALLS = 16
MAX_ITEM_LENGTH = 60
MAX_ITEM_WORDS = 6
"""More is no item but a sentence that was not understood."""
LEVEL_FROM, LEVEL_TO = 0, 100

_TALK = {
    "Thanks": "You're welcome.",
    "Greeting": "Hello! What can I do for you?",
    "Help": (
        "I can switch lights and plugs, set brightness and temperature, lock and unlock doors, keep your shopping"
        " list and your timers, and tell you the weather and the time."
    ),
    "Confirm": "There is nothing to confirm.",
    "Deny": "Okay.",
    "HassNevermind": "Okay.",
}


@dataclass
class Plan:
    """Tools to use, and words for what no tool is used for."""

    calls: list[ToolCall] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Add words, once."""
        if text not in self.words:
            self.words.append(text)


class Planner:
    """Plans with the tools of one request."""

    def __init__(self, tools: Sequence[ToolSpec], registry: Registry) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._registry = registry

    def plan(self, matches: Sequence[Match]) -> Plan:
        """The plan for all of `matches`, in their order."""
        plan = Plan()
        for match in matches:
            if match.intent in _TALK:
                plan.say(_TALK[match.intent])
            else:
                _STEPS[match.intent](self, match.slots, plan)
        if len(plan.calls) > MAX_CALLS:
            return Plan(words=["Sorry, that is too much at once. Ask for less, please."])
        return plan

    def _use(self, plan: Plan, tool: str, **arguments: Any) -> None:
        """Add a call; of the arguments, those that the tool's schema knows and that have a value."""
        spec = self._tools.get(tool)
        if spec is None:
            plan.say(CANNOT)
            return
        wanted = {name: value for name, value in arguments.items() if value is not None and name in spec.properties}
        call = ToolCall(tool, wanted)
        if call not in plan.calls:
            plan.calls.append(call)

    # Switches and lights

    def _power(self, slots: Mapping[str, Any], plan: Plan) -> None:
        self._use(plan, "set_power", name=slots["powered"], state=slots["state"])

    def _power_all(self, slots: Mapping[str, Any], plan: Plan) -> None:
        kind, state, area = slots.get("kind"), slots["state"], slots.get("area")
        if area is not None:
            self._use(plan, "set_power", area=area, kind=kind, state=state)
            return
        names = {"light": self._registry.lights, "switch": self._registry.switches}.get(
            str(kind), self._registry.powered
        )
        if len(names) > MAX_CALLS:
            for each in self._registry.areas:
                self._use(plan, "set_power", area=each, kind=kind, state=state)
            return
        for name in names:
            self._use(plan, "set_power", name=name, state=state)
        if not names:
            plan.say(CANNOT)

    def _turn(self, slots: Mapping[str, Any], plan: Plan, on: bool) -> None:
        """Home Assistant's turn on and off: of a lock it means lock and unlock."""
        name = slots.get("name")
        if name in self._registry.locks:
            (self._lock if on else self._unlock)({"lock": name}, plan)
        elif name in self._registry.powered:
            self._use(plan, "set_power", name=name, state="on" if on else "off")
        elif name is None and slots.get("domain") in ("light", "switch"):
            whole = {"kind": slots["domain"], "state": "on" if on else "off", "area": slots.get("area")}
            self._power_all(whole, plan)
        else:
            plan.say(CANNOT)

    def _turn_on(self, slots: Mapping[str, Any], plan: Plan) -> None:
        self._turn(slots, plan, on=True)

    def _turn_off(self, slots: Mapping[str, Any], plan: Plan) -> None:
        self._turn(slots, plan, on=False)

    def _brightness(self, slots: Mapping[str, Any], plan: Plan) -> None:
        level = slots.get("percent", slots.get("level", slots.get("brightness")))
        if not isinstance(level, (int, float)) or not LEVEL_FROM <= level <= LEVEL_TO:
            plan.say(CANNOT)
            return
        named = slots.get("light", slots.get("name"))
        area = slots.get("area")
        lights = self._registry.lights
        if named in lights:
            lights = (named,)
        elif named is not None:
            lights = ()
        elif area is not None:
            lights = self._registry.within(lights, area)
        elif len(lights) > MAX_CALLS:
            lights = ()
        for light in lights:
            self._use(plan, "set_brightness", name=light, percent=round(level))
        if not lights:
            where = f" in the {area}" if area else ""
            plan.say(f"Sorry, I do not know which light{where} you mean. Say its name, please.")

    # Heat

    def _set_temperature(self, slots: Mapping[str, Any], plan: Plan) -> None:
        degrees = slots.get("degrees", slots.get("temperature"))
        if not isinstance(degrees, (int, float)):
            plan.say(CANNOT)
            return
        celsius = (degrees - 32) * 5 / 9 if slots.get("scale") == "fahrenheit" else degrees
        rounded = round(float(celsius), 1)
        named = slots.get("thermostat", slots.get("name"))
        name = named if named in self._registry.thermostats else self._measuring(slots.get("area"), thermostat=True)
        if name is None:
            plan.say(CANNOT)
            return
        self._use(plan, "set_temperature", name=name, celsius=int(rounded) if rounded.is_integer() else rounded)

    def _temperature(self, slots: Mapping[str, Any], plan: Plan) -> None:
        if slots.get("outside"):
            self._use(plan, "weather", when="today")
            return
        named = slots.get("thermal", slots.get("name"))
        name = named if named in self._registry.devices else self._measuring(slots.get("area"))
        if name is None:
            plan.say(CANNOT)
            return
        self._use(plan, "get_state", name=name)

    def _measuring(self, area: str | None, *, thermostat: bool = False) -> str | None:
        """The device that has a temperature, of an area where one is meant and known there."""
        registry = self._registry
        sensors = tuple(name for name in registry.sensors if "temperature" in name or "thermometer" in name)
        names = registry.thermostats if thermostat else registry.thermostats + sensors
        if area is not None:
            # Where the thermostat hangs is not known: a home's only one serves all of its rooms.
            names = registry.within(names, area) or registry.thermostats
        return names[0] if names else None

    # Locks

    def _lock(self, slots: Mapping[str, Any], plan: Plan) -> None:
        self._use(plan, "lock", name=slots["lock"])

    def _lock_all(self, _: Mapping[str, Any], plan: Plan) -> None:
        for name in self._registry.locks:
            self._use(plan, "lock", name=name)
        if not self._registry.locks:
            plan.say(CANNOT)

    def _unlock(self, slots: Mapping[str, Any], plan: Plan) -> None:
        self._use(plan, "unlock", name=slots["lock"], confirmed=False)

    def _state(self, slots: Mapping[str, Any], plan: Plan) -> None:
        name = slots.get("device", slots.get("name"))
        if name in self._registry.devices:
            self._use(plan, "get_state", name=name)
        elif name is None and slots.get("domain") == "light" and 0 < len(self._registry.lights) <= MAX_CALLS:
            for light in self._registry.lights:
                self._use(plan, "get_state", name=light)
        else:
            plan.say(CANNOT)

    # Shopping

    def _shopping_add(self, slots: Mapping[str, Any], plan: Plan) -> None:
        for item, quantity in items(str(slots["item"])):
            self._use(plan, "shopping_list_add", item=item, quantity=quantity)
        if not items(str(slots["item"])):
            plan.say("Sorry, I did not catch what to put on the list.")

    def _shopping_remove(self, slots: Mapping[str, Any], plan: Plan) -> None:
        for item, _ in items(str(slots["item"])):
            self._use(plan, "shopping_list_remove", item=item)

    def _shopping_show(self, _: Mapping[str, Any], plan: Plan) -> None:
        self._use(plan, "shopping_list_show")

    # Timers and facts

    def _timer_set(self, slots: Mapping[str, Any], plan: Plan) -> None:
        if slots["seconds"] < 1:
            plan.say("Sorry, a timer needs at least one second.")
            return
        self._use(plan, "timer_set", seconds=int(slots["seconds"]), label=_label(slots))

    def _timer_cancel(self, slots: Mapping[str, Any], plan: Plan) -> None:
        self._use(plan, "timer_cancel", label=_label(slots))

    def _timer_query(self, _: Mapping[str, Any], plan: Plan) -> None:
        self._use(plan, "timer_query")

    def _weather(self, slots: Mapping[str, Any], plan: Plan) -> None:
        self._use(plan, "weather", when=slots.get("when", "today"))

    def _time(self, _: Mapping[str, Any], plan: Plan) -> None:
        self._use(plan, "time")


_STEPS: dict[str, Callable[[Planner, Mapping[str, Any], Plan], None]] = {
    "Power": Planner._power,
    "PowerAll": Planner._power_all,
    "HassTurnOn": Planner._turn_on,
    "HassTurnOff": Planner._turn_off,
    "Brightness": Planner._brightness,
    "BrightnessWord": Planner._brightness,
    "HassLightSet": Planner._brightness,
    "SetTemperature": Planner._set_temperature,
    "HassClimateSetTemperature": Planner._set_temperature,
    "Temperature": Planner._temperature,
    "HassClimateGetTemperature": Planner._temperature,
    "Lock": Planner._lock,
    "LockAll": Planner._lock_all,
    "Unlock": Planner._unlock,
    "State": Planner._state,
    "HassGetState": Planner._state,
    "ShoppingAdd": Planner._shopping_add,
    "HassShoppingListAddItem": Planner._shopping_add,
    "ShoppingRemove": Planner._shopping_remove,
    "HassShoppingListCompleteItem": Planner._shopping_remove,
    "ShoppingShow": Planner._shopping_show,
    "TimerSet": Planner._timer_set,
    "TimerCancel": Planner._timer_cancel,
    "HassCancelTimer": Planner._timer_cancel,
    "HassCancelAllTimers": Planner._timer_cancel,
    "TimerQuery": Planner._timer_query,
    "HassTimerStatus": Planner._timer_query,
    "Weather": Planner._weather,
    "HassGetWeather": Planner._weather,
    "Time": Planner._time,
    "Date": Planner._time,
    "HassGetCurrentTime": Planner._time,
    "HassGetCurrentDate": Planner._time,
}

_LEAD = re.compile(r"^(?:(?:some|more|any|the|another|a bit of|a few|a couple of|a|an|1 more)\s+)+", re.ASCII)
_COUNT = re.compile(r"(?P<count>\d{1,3})\s+(?:x\s+)?(?:more\s+)?(?P<item>[^\d%\s].*)", re.ASCII)


def items(text: str) -> list[tuple[str, int | None]]:
    """The items of "2 bottles of milk and some eggs", each with how many, where that is said."""
    found: list[tuple[str, int | None]] = []
    for part in re.split(r" and | also |,", join_pairs(text)):
        item = part_pairs(_LEAD.sub("", part.strip())).strip()
        count = _COUNT.fullmatch(item)
        quantity = int(count["count"]) if count else None
        if count and quantity:
            item = count["item"].strip()
        if item and len(item.split()) <= MAX_ITEM_WORDS and len(item) <= MAX_ITEM_LENGTH:
            found.append((item, quantity or None))
    return found


def _label(slots: Mapping[str, Any]) -> str | None:
    text = str(slots.get("label", slots.get("name", ""))).strip().removeprefix("the ").removeprefix("my ")
    return text or None
