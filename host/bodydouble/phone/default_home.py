"""The home that a phone begins with: what a demo and a test can rely on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bodydouble.errors import InputError

DeviceKind = Literal["light", "switch", "thermostat", "lock", "sensor"]

MAX_NAME_LENGTH = 40
# Names go into speech grammars and into what the model reads: letters, digits and single spaces only.
_NAME = re.compile(r"[a-z0-9]+(?:['-]?[a-z0-9]+)*(?: [a-z0-9]+(?:['-]?[a-z0-9]+)*)*")


@dataclass(frozen=True)
class Device:
    """One device and its state; a field that its kind lacks is None.

    Lights have `on` and `brightness_percent`, switches `on`, thermostats `target_c` and `measured_c`, locks
    `locked`, sensors `measured_c`.
    """

    name: str
    kind: DeviceKind
    area: str
    on: bool | None = None
    brightness_percent: int | None = None
    target_c: float | None = None
    measured_c: float | None = None
    locked: bool | None = None


def light(name: str, area: str) -> Device:
    """A dimmable light, off."""
    return Device(name, "light", area, on=False, brightness_percent=100)


def switch(name: str, area: str) -> Device:
    """A plug or relay, off."""
    return Device(name, "switch", area, on=False)


def thermostat(name: str, area: str) -> Device:
    """A thermostat at 20 °C."""
    return Device(name, "thermostat", area, target_c=20.0, measured_c=19.5)


def lock(name: str, area: str) -> Device:
    """A locked lock."""
    return Device(name, "lock", area, locked=True)


def sensor(name: str, area: str, measured_c: float) -> Device:
    """A thermometer."""
    return Device(name, "sensor", area, measured_c=measured_c)


DEFAULT_DEVICES = (
    light("kitchen light", "kitchen"),
    switch("coffee machine", "kitchen"),
    lock("back door", "kitchen"),
    light("living room light", "living room"),
    switch("television", "living room"),
    sensor("living room temperature", "living room", 21.0),
    light("bedroom lamp", "bedroom"),
    switch("fan", "bedroom"),
    light("hallway light", "hallway"),
    thermostat("thermostat", "hallway"),
    lock("front door", "hallway"),
    light("porch light", "porch"),
    light("desk lamp", "office"),
    # A garage door opens the house: it is a lock, so it is guarded as one.
    lock("garage door", "garage"),
)


def check_name(name: str) -> str:
    """`name` when it can name a device or an area, else InputError."""
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        raise InputError(
            f"{name[:MAX_NAME_LENGTH]!r} cannot name a device or an area",
            hint=f"use lower-case letters, digits and single spaces, {MAX_NAME_LENGTH} at most, like 'desk lamp'",
        )
    return name
