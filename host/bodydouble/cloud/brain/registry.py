"""The devices and areas that a request's tools speak of: all that the brain knows of the home."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bodydouble.cloud.converse import ToolSpec

MAX_NAMES = 500
MAX_NAME_LENGTH = 60
"""Names beyond these limits are not known: matching a sentence would take too long."""


@dataclass(frozen=True)
class Registry:
    """Names by kind, drawn from the enums of the tools' schemas, in their order. Hashable.

    A device that can be switched is a light when its brightness can be set (or, where no tool sets any, when its
    name says so), otherwise a switch; one that can only be asked for its state is a sensor.
    """

    lights: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    thermostats: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    @classmethod
    def of(cls, tools: Iterable[ToolSpec]) -> Registry:
        """The registry of a request's tools."""
        specs = {tool.name: tool for tool in tools}

        def named(tool: str) -> tuple[str, ...]:
            return specs[tool].enum("name") if tool in specs else ()

        powered = named("set_power")
        thermostats, locks = named("set_temperature"), (*named("lock"), *named("unlock"))
        lights = named("set_brightness") or tuple(name for name in powered if _shines(name))
        others = {*powered, *lights, *thermostats, *locks}
        return cls(
            lights=_names(lights),
            switches=_names(name for name in powered if name not in set(lights)),
            thermostats=_names(thermostats),
            locks=_names(locks),
            sensors=_names(name for name in named("get_state") if name not in others),
            areas=_names(area for tool in specs.values() for area in tool.enum("area")),
        )

    @property
    def powered(self) -> tuple[str, ...]:
        """What can be switched on and off."""
        return self.lights + self.switches

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device."""
        return self.lights + self.switches + self.thermostats + self.locks + self.sensors

    def within(self, names: Sequence[str], area: str) -> tuple[str, ...]:
        """Those of `names` that say that they are in `area`: nothing else tells where a device is."""
        return tuple(name for name in names if name.casefold().startswith(f"{area.casefold()} "))


def _names(names: Iterable[str]) -> tuple[str, ...]:
    usable = (name for name in dict.fromkeys(names) if name.strip() and len(name) <= MAX_NAME_LENGTH)
    return tuple(name for name, _ in zip(usable, range(MAX_NAMES), strict=False))


def _shines(name: str) -> bool:
    return any(word in ("light", "lights", "lamp", "lamps") for word in name.casefold().split())
