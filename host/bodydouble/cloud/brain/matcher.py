"""Sentences to intents by hassil: our own sentence files first, then those of home-assistant-intents (English)."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from bodydouble.cloud.brain.language import plain
from bodydouble.cloud.brain.registry import Registry

if TYPE_CHECKING:
    from hassil import Intents
    from hassil.intents import SlotList

# In the order that they are asked: those that take any word for an item or a label come last.
FILES = ("talk", "power", "light", "climate", "lock", "facts", "state", "timer", "shopping")
# Of Home Assistant's, those that the tools can act on.
HOME_ASSISTANT = (
    "HassTurnOn",
    "HassTurnOff",
    "HassLightSet",
    "HassClimateSetTemperature",
    "HassClimateGetTemperature",
    "HassGetState",
    "HassShoppingListAddItem",
    "HassShoppingListCompleteItem",
    "HassCancelTimer",
    "HassCancelAllTimers",
    "HassTimerStatus",
    "HassGetCurrentTime",
    "HassGetCurrentDate",
    "HassGetWeather",
    "HassNevermind",
)
_KEPT_REGISTRIES = 32


@dataclass(frozen=True)
class Match:
    """An intent and its slots: what was said, or what the sentence stands for."""

    intent: str
    slots: dict[str, Any] = field(default_factory=dict)


class Matcher:
    """Loads the sentences on first use, which takes some 0.3 s, once for the process. Any thread may call it."""

    def __init__(self) -> None:
        self._lists: dict[Registry, dict[str, SlotList]] = {}

    def match(self, sentence: str, registry: Registry) -> Match | None:
        """What `sentence`, normalised, means; None where no file knows it."""
        from hassil import recognize  # noqa: PLC0415  slow to import

        with _matching:  # hassil keeps what it has parsed inside of the shared grammars
            lists = self._slot_lists(registry)
            for grammar in _grammars():
                result = recognize(sentence, grammar, slot_lists=lists)
                if result is not None:
                    slots = {name: entity.value for name, entity in result.entities.items()}
                    return Match(result.intent.name, slots)
        return None

    def _slot_lists(self, registry: Registry) -> dict[str, SlotList]:
        if registry not in self._lists:
            while len(self._lists) >= _KEPT_REGISTRIES:
                self._lists.pop(next(iter(self._lists)))
            self._lists[registry] = slot_lists(registry)
        return self._lists[registry]


_matching = threading.Lock()


@lru_cache(maxsize=1)
def _grammars() -> list[Intents]:
    import yaml  # noqa: PLC0415  slow to import
    from hassil import Intents  # noqa: PLC0415
    from home_assistant_intents import get_intents  # noqa: PLC0415

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    grammars = [Intents.from_dict(yaml.load(_sentences(name), loader)) for name in FILES]  # noqa: S506  both are safe
    english = dict(get_intents("en") or {})
    known = english.get("intents", {})
    english["intents"] = {name: known[name] for name in HOME_ASSISTANT if name in known}
    return [*grammars, Intents.from_dict(english)]


def _sentences(name: str) -> str:
    return (resources.files(__package__) / "sentences" / f"{name}.yaml").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def alias_groups() -> tuple[tuple[str, ...], ...]:
    """Words that stand for one another in names."""
    import yaml  # noqa: PLC0415  slow to import

    return tuple(tuple(group) for group in yaml.safe_load(_sentences("aliases")))


def spoken_forms(names: Sequence[str], taken: Iterable[str] = ()) -> list[tuple[str, str]]:
    """How `names` may be said, as (said, name): themselves first, then with words that are used for theirs.

    A form that two names share, or that is another's own name or one of `taken`, is left out.
    """
    own = {said: name for name in names if (said := plain(name))}
    forbidden = {*own, *taken}
    others: dict[str, set[str]] = {}
    for said, name in own.items():
        for group in alias_groups():
            for word in group:
                if f" {word} " in f" {said} ":
                    for alias in group:
                        form = f" {said} ".replace(f" {word} ", f" {alias} ").strip()
                        others.setdefault(form, set()).add(name)
    extra = [(form, next(iter(of))) for form, of in others.items() if len(of) == 1 and form not in forbidden]
    return list(own.items()) + extra


_DOMAINS = (
    ("lights", "light"),
    ("switches", "switch"),
    ("thermostats", "climate"),
    ("locks", "lock"),
    ("sensors", "sensor"),
)


def slot_lists(registry: Registry) -> dict[str, SlotList]:
    """The lists that the sentences refer to, drawn from the registry."""
    from hassil.intents import TextSlotList  # noqa: PLC0415  slow to import

    domain_of = {name: domain for kind, domain in _DOMAINS for name in getattr(registry, kind)}
    device_forms = spoken_forms(registry.devices)

    def devices(names: Iterable[str]) -> SlotList:
        wanted = set(names)
        values = [(said, name, {"domain": domain_of[name]}) for said, name in device_forms if name in wanted]
        return TextSlotList.from_tuples(values, allow_template=False)

    areas = spoken_forms(registry.areas, taken=(said for said, _ in device_forms))
    return {
        "name": devices(registry.devices),
        "device": devices(registry.devices),
        "powered": devices(registry.powered),
        "light": devices(registry.lights),
        "thermostat": devices(registry.thermostats),
        "thermal": devices(registry.thermostats + registry.sensors),
        "lock": devices(registry.locks),
        "area": TextSlotList.from_tuples(areas, allow_template=False),
        "floor": TextSlotList.from_tuples([], allow_template=False),
    }
