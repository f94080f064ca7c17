"""The tools that the model may call: their specifications, and their execution on the home.

A tool never raises for what a model or a user did: every outcome is a JSON object with `status`, one of `ok`,
`confirmation_required` and `error` (with `error`, a sentence), and facts to phrase an answer from.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

from bodydouble.phone.default_home import Device
from bodydouble.phone.home import HIGHEST_TARGET_C, LOWEST_TARGET_C, MAX_QUANTITY, Home, HomeError, Timer
from bodydouble.phone.locks import LockGuard
from bodydouble.phone.validation import ArgumentError, check_arguments
from bodydouble.phone.weather import Weather

MAX_TIMER_S = 24 * 60 * 60
MAX_ITEM_LENGTH = 60
MAX_LABEL_LENGTH = 40

Arguments = dict[str, Any]
Result = dict[str, Any]


class Tools:
    """The tools of one home; `specs()` goes to the model, `run()` does what it asks for.

    `timezone` is that of the answers to "what time is it"; None is this machine's.
    """

    def __init__(self, home: Home, *, weather: Weather | None = None, timezone: tzinfo | None = None) -> None:
        self.home = home
        self.guard = LockGuard()
        self._weather = weather or Weather()
        self._timezone = timezone
        self._run: dict[str, Callable[[Arguments], Result]] = {
            "set_power": self._set_power,
            "set_brightness": self._set_brightness,
            "set_temperature": self._set_temperature,
            "get_state": self._get_state,
            "lock": self._lock,
            "unlock": self._unlock,
            "shopping_list_add": self._shopping_list_add,
            "shopping_list_remove": self._shopping_list_remove,
            "shopping_list_show": self._shopping_list_show,
            "timer_set": self._timer_set,
            "timer_cancel": self._timer_cancel,
            "timer_query": self._timer_query,
            "weather": self._weather_of,
            "time": self._time,
        }

    def specs(self) -> dict[str, Any]:
        """Bedrock's `toolConfig`; names are drawn from the home, and a tool without any device is left out."""
        tools = [
            {"toolSpec": {"name": name, "description": description, "inputSchema": {"json": schema}}}
            for name, (description, schema) in self._schemas().items()
        ]
        return {"tools": tools}

    def run(self, name: str, arguments: object) -> Result:
        """Call tool `name`: everything or nothing is done, and the result says which."""
        schemas = self._schemas()
        if name not in schemas:
            return _error(f"there is no tool called {name[:MAX_LABEL_LENGTH]!r}; there are: {', '.join(schemas)}")
        try:
            return self._run[name](check_arguments(schemas[name][1], arguments))
        except (ArgumentError, HomeError) as error:
            return _error(str(error))

    def _schemas(self) -> dict[str, tuple[str, dict[str, Any]]]:
        devices = self.home.devices()
        named = {kind: [device.name for device in devices if device.kind == kind] for kind in _KINDS}
        powered = [device for device in devices if device.kind in ("light", "switch")]
        areas = list(dict.fromkeys(device.area for device in powered))
        item = {"type": "string", "minLength": 1, "maxLength": MAX_ITEM_LENGTH}
        label = {"type": "string", "maxLength": MAX_LABEL_LENGTH, "description": "What the timer is called."}
        schemas = {
            "set_power": (
                "Switch one light or switch by name, or all of an area's.",
                _object(
                    ["state"],
                    name=_one_of([device.name for device in powered]),
                    area=_one_of(areas),
                    kind=_one_of(["light", "switch"], "With area: only these."),
                    state=_one_of(["on", "off"]),
                ),
            ),
            "set_brightness": (
                "Set a light's brightness; 0 switches it off.",
                _object(["name", "percent"], name=_one_of(named["light"]), percent=_number("integer", 0, 100)),
            ),
            "set_temperature": (
                "Set a thermostat's target in degrees Celsius.",
                _object(
                    ["name", "celsius"],
                    name=_one_of(named["thermostat"]),
                    celsius=_number("number", LOWEST_TARGET_C, HIGHEST_TARGET_C),
                ),
            ),
            "get_state": ("The state of one device.", _object(["name"], name=_one_of([d.name for d in devices]))),
            "lock": ("Lock a lock.", _object(["name"], name=_one_of(named["lock"]))),
            "unlock": (
                "Unlock a lock; it opens only if confirmed is true in a turn after one that asked the user.",
                _object(
                    ["name", "confirmed"],
                    name=_one_of(named["lock"]),
                    confirmed={"type": "boolean", "description": "The user has answered the question by yes."},
                ),
            ),
            "shopping_list_add": (
                "Put something on the shopping list.",
                _object(["item"], item=item, quantity=_number("integer", 1, MAX_QUANTITY)),
            ),
            "shopping_list_remove": ("Take something off the shopping list.", _object(["item"], item=item)),
            "shopping_list_show": ("What is on the shopping list.", _object([])),
            "timer_set": (
                "Start a timer.",
                _object(["seconds"], seconds=_number("integer", 1, MAX_TIMER_S), label=label),
            ),
            "timer_cancel": ("Cancel a timer: the named one, or the only one.", _object([], label=label)),
            "timer_query": ("Which timers run, and for how long still.", _object([])),
            "weather": ("The forecast.", _object(["when"], when=_one_of(["today", "tomorrow"]))),
            "time": ("The time and date now.", _object([])),
        }
        return {name: spec for name, spec in schemas.items() if _possible(spec[1])}

    # One method per tool; arguments are checked already.

    def _set_power(self, arguments: Arguments) -> Result:
        on = arguments["state"] == "on"
        if ("name" in arguments) == ("area" in arguments):
            raise ArgumentError("give either name or area")
        if "name" in arguments:
            if arguments.get("kind", kind := self.home.device(arguments["name"]).kind) != kind:
                raise ArgumentError(f"the {arguments['name']} is a {kind}")
            return _ok(name=self.home.set_power(arguments["name"], on).name, state=arguments["state"])
        devices = self.home.set_area_power(arguments["area"], on, arguments.get("kind"))
        facts = {"area": arguments["area"], "state": arguments["state"], "names": [device.name for device in devices]}
        return _ok(**facts, **({"kind": arguments["kind"]} if "kind" in arguments else {}))

    def _set_brightness(self, arguments: Arguments) -> Result:
        device = self.home.set_brightness(arguments["name"], arguments["percent"])
        return _ok(name=device.name, state=_on_off(device), percent=device.brightness_percent)

    def _set_temperature(self, arguments: Arguments) -> Result:
        device = self.home.set_temperature(arguments["name"], arguments["celsius"])
        return _ok(name=device.name, celsius=device.target_c)

    def _get_state(self, arguments: Arguments) -> Result:
        device = self.home.device(arguments["name"])
        facts: dict[str, Any] = {"name": device.name, "kind": device.kind, "area": device.area}
        if device.kind in ("light", "switch"):
            facts["state"] = _on_off(device)
        if device.kind == "light":
            facts["percent"] = device.brightness_percent if device.on else 0
        if device.kind == "lock":
            facts["state"] = "locked" if device.locked else "unlocked"
        if device.target_c is not None:
            facts["target_c"] = device.target_c
        if device.measured_c is not None:
            facts["celsius"] = device.measured_c
        return _ok(**facts)

    def _lock(self, arguments: Arguments) -> Result:
        return _ok(name=self.home.set_locked(arguments["name"], True).name, state="locked")

    def _unlock(self, arguments: Arguments) -> Result:
        name = arguments["name"]
        if not self.guard.may_unlock(name, arguments["confirmed"]):
            return {"status": "confirmation_required", "name": name, "question": f"Shall I unlock the {name}?"}
        return _ok(name=self.home.set_locked(name, False).name, state="unlocked")

    def _shopping_list_add(self, arguments: Arguments) -> Result:
        line = self.home.add_shopping(arguments["item"], arguments.get("quantity", 1))
        return _ok(item=line.item, quantity=line.quantity)

    def _shopping_list_remove(self, arguments: Arguments) -> Result:
        return _ok(item=self.home.remove_shopping(arguments["item"]).item)

    def _shopping_list_show(self, _: Arguments) -> Result:
        return _ok(items=[{"item": line.item, "quantity": line.quantity} for line in self.home.shopping()])

    def _timer_set(self, arguments: Arguments) -> Result:
        return _ok(**_timer_facts(self.home.set_timer(arguments["seconds"], arguments.get("label", ""))))

    def _timer_cancel(self, arguments: Arguments) -> Result:
        return _ok(**_timer_facts(self.home.cancel_timer(arguments.get("label") or None)))

    def _timer_query(self, _: Arguments) -> Result:
        return _ok(timers=[_timer_facts(timer) for timer in self.home.timers()])

    def _weather_of(self, arguments: Arguments) -> Result:
        day = self._now().date() + timedelta(days=1 if arguments["when"] == "tomorrow" else 0)
        forecast = self._weather.forecast(day)
        return _ok(
            when=arguments["when"],
            date=day.isoformat(),
            condition=forecast.condition,
            high_c=forecast.high_c,
            low_c=forecast.low_c,
            rain_percent=forecast.rain_percent,
        )

    def _time(self, _: Arguments) -> Result:
        now = self._now()
        return _ok(time=now.strftime("%H:%M"), date=now.date().isoformat())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.home.clock(), self._timezone)


_KINDS = ("light", "switch", "thermostat", "lock", "sensor")


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _one_of(values: list[str], description: str = "") -> dict[str, Any]:
    return {"type": "string", "enum": values, **({"description": description} if description else {})}


def _number(kind: str, low: float, high: float) -> dict[str, Any]:
    return {"type": kind, "minimum": low, "maximum": high}


def _possible(schema: dict[str, Any]) -> bool:
    """False where an argument has no possible value: no device of its kind."""
    return all(argument.get("enum", True) for argument in schema["properties"].values())


def _ok(**facts: Any) -> Result:
    return {"status": "ok", **facts}


def _error(text: str) -> Result:
    return {"status": "error", "error": text}


def _on_off(device: Device) -> str:
    return "on" if device.on else "off"


def _timer_facts(timer: Timer) -> dict[str, Any]:
    facts: dict[str, Any] = {"seconds": round(timer.seconds), "remaining_s": round(timer.remaining_s)}
    return {**facts, "label": timer.label} if timer.label else facts
