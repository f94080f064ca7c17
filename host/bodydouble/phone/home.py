"""A simulated home in SQLite: devices, shopping list, timers, and a record of every change.

Each method is one transaction: it happens whole, with its entry in the event table, or not at all.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from bodydouble.clock import Clock
from bodydouble.errors import InputError
from bodydouble.phone.database import open_database, transaction
from bodydouble.phone.default_home import DEFAULT_DEVICES, Device, DeviceKind, check_name

MAX_SHOPPING_ITEMS = 200
MAX_TIMERS = 20
MAX_QUANTITY = 999
LOWEST_TARGET_C, HIGHEST_TARGET_C = 5.0, 35.0

_COLUMNS = {  # Device field -> column, where the state of a device is kept
    "on": "is_on",
    "brightness_percent": "brightness_percent",
    "target_c": "target_c",
    "measured_c": "measured_c",
    "locked": "is_locked",
}
_POWERED: tuple[DeviceKind, ...] = ("light", "switch")


class HomeError(InputError):
    """The home cannot do that: no such device, or not with that device, or the store failed."""


@dataclass(frozen=True)
class ShoppingItem:
    """One line of the shopping list."""

    item: str
    quantity: int


@dataclass(frozen=True)
class Timer:
    """A timer, as of the moment it was looked at."""

    id: int
    label: str
    seconds: float
    remaining_s: float


@dataclass(frozen=True)
class Event:
    """One change: `at` in seconds since the epoch; `before` and `after` are what changed, or None."""

    id: int
    at: float
    what: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Home:
    """A home at `path`, or in memory when None; begun with `devices` when there is none yet.

    `clock` gives seconds since the epoch. Any thread may call; two processes may share one file. Raises
    InputError when the file cannot be used, HomeError when the home cannot do what is asked.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        clock: Clock = time.time,
        devices: Iterable[Device] = DEFAULT_DEVICES,
    ) -> None:
        self.clock = clock
        self._shown = str(path) if path else "the home in memory"
        self._lock = threading.RLock()
        self._connection = open_database(Path(path) if path else None)
        try:
            self._furnish(devices)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Home:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when closed already."""
        with self._lock:
            self._connection.close()

    # Devices

    def devices(self, *kinds: DeviceKind) -> list[Device]:
        """All devices in the order of the registry, or those of `kinds`."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM devices ORDER BY position").fetchall()
        return [device for device in map(_device, rows) if not kinds or device.kind in kinds]

    def areas(self) -> list[str]:
        """Every area that has a device, in the order of the registry."""
        return list(dict.fromkeys(device.area for device in self.devices()))

    def device(self, name: str) -> Device:
        """The device called `name`, whatever its case and with or without an article."""
        wanted = _spoken(name)
        with self._reading() as connection:
            row = connection.execute("SELECT * FROM devices WHERE name = ?", (wanted,)).fetchone()
        if row is None:
            raise HomeError(
                f"there is no device called {name!r}",
                hint="there are: " + ", ".join(device.name for device in self.devices()),
            )
        return _device(row)

    def set_power(self, name: str, on: bool) -> Device:
        """Switch a light or a switch."""
        return self._change(name, _POWERED, "cannot be switched on or off", on=on)

    def set_area_power(self, area: str, on: bool, kind: DeviceKind | None = None) -> list[Device]:
        """Switch every light and switch of `area` (of `kind` only, when given), all of them or none."""
        wanted = _spoken(area)
        with self._writing():
            if wanted not in self.areas():
                raise HomeError(f"there is no area called {area!r}", hint="there are: " + ", ".join(self.areas()))
            found = [device for device in self.devices(*_POWERED) if device.area == wanted]
            found = [device for device in found if kind is None or device.kind == kind]
            if not found:
                raise HomeError(f"there is no {kind or 'light or switch'} in the {wanted}")
            return [self._store(device, on=on) for device in found]

    def set_brightness(self, name: str, percent: int) -> Device:
        """Set a light's brightness; above 0 it is on, at 0 it is off."""
        if not 0 <= percent <= 100:
            raise HomeError(f"a brightness of {percent} percent is outside 0 to 100")
        return self._change(name, ("light",), "has no brightness", on=percent > 0, brightness_percent=percent)

    def set_temperature(self, name: str, celsius: float) -> Device:
        """Set a thermostat's target."""
        if not LOWEST_TARGET_C <= celsius <= HIGHEST_TARGET_C:  # also false for NaN
            raise HomeError(
                f"{celsius:g} degrees is outside {LOWEST_TARGET_C:g} to {HIGHEST_TARGET_C:g}, what a home is set to"
            )
        return self._change(name, ("thermostat",), "has no target temperature", target_c=float(celsius))

    def set_locked(self, name: str, locked: bool) -> Device:
        """Lock or unlock. Whoever calls this has the user's confirmation (LockGuard in locks.py asks for it)."""
        return self._change(name, ("lock",), "has no lock", locked=locked)

    # Shopping list

    def shopping(self) -> list[ShoppingItem]:
        """The list, oldest first."""
        with self._reading() as connection:
            rows = connection.execute("SELECT item, quantity FROM shopping ORDER BY added_at, rowid").fetchall()
        return [ShoppingItem(row["item"], row["quantity"]) for row in rows]

    def add_shopping(self, item: str, quantity: int = 1) -> ShoppingItem:
        """Put `item` on the list; one that is there already grows by `quantity`."""
        item = _spoken(item)
        with self._writing() as connection:
            before = {line.item: line for line in self.shopping()}
            if item not in before and len(before) >= MAX_SHOPPING_ITEMS:
                raise HomeError(f"the shopping list is full: {MAX_SHOPPING_ITEMS} items")
            total = quantity + (before[item].quantity if item in before else 0)
            if total > MAX_QUANTITY:
                raise HomeError(f"{total} of {item} is more than {MAX_QUANTITY}")
            connection.execute(
                "INSERT INTO shopping VALUES (?, ?, ?) ON CONFLICT (item) DO UPDATE SET quantity = excluded.quantity",
                (item, total, self.clock()),
            )
            after = ShoppingItem(item, total)
            self._record("shopping_added", item, before.get(item), after)
        return after

    def remove_shopping(self, item: str) -> ShoppingItem:
        """Take `item` off the list; returns what was on it."""
        item = _spoken(item)
        with self._writing() as connection:
            before = {line.item: line for line in self.shopping()}
            if item not in before:
                raise HomeError(f"{item} is not on the shopping list")
            connection.execute("DELETE FROM shopping WHERE item = ?", (item,))
            self._record("shopping_removed", item, before[item], None)
        return before[item]

    # Timers

    def timers(self) -> list[Timer]:
        """The timers that run, the next to end first."""
        now = self.clock()
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM timers WHERE state = 'running' AND ends_at > ? ORDER BY ends_at, id", (now,)
            ).fetchall()
        return [_timer(row, now) for row in rows]

    def set_timer(self, seconds: float, label: str = "") -> Timer:
        """Start a timer."""
        now, label = self.clock(), _spoken(label)
        with self._writing() as connection:
            if len(self.timers()) >= MAX_TIMERS:
                raise HomeError(f"{MAX_TIMERS} timers run already")
            inserted = connection.execute(
                "INSERT INTO timers (label, seconds, ends_at) VALUES (?, ?, ?)", (label, seconds, now + seconds)
            )
            timer = Timer(int(inserted.lastrowid or 0), label, seconds, seconds)
            self._record("timer_set", label, None, timer)
        return timer

    def cancel_timer(self, label: str | None = None) -> Timer:
        """Cancel the timer called `label`, or the only one that runs."""
        with self._writing() as connection:
            running = self.timers()
            if not running:
                raise HomeError("no timer is running")
            found = running if label is None else [timer for timer in running if timer.label == _spoken(label)]
            if not found:
                raise HomeError(f"there is no {_spoken(label or '')} timer", hint="running: " + _timer_names(running))
            if len(found) > 1:
                raise HomeError("several timers are running", hint="say which: " + _timer_names(found))
            connection.execute("UPDATE timers SET state = 'cancelled' WHERE id = ?", (found[0].id,))
            self._record("timer_cancelled", found[0].label, found[0], None)
        return found[0]

    def finish_timers(self) -> list[Timer]:
        """Mark the timers whose time has come and return them, each once, the first to end first."""
        now = self.clock()
        with self._writing() as connection:
            rows = connection.execute(
                "SELECT * FROM timers WHERE state = 'running' AND ends_at <= ? ORDER BY ends_at, id", (now,)
            ).fetchall()
            finished = [_timer(row, now) for row in rows]
            for timer in finished:
                connection.execute("UPDATE timers SET state = 'finished' WHERE id = ?", (timer.id,))
                self._record("timer_finished", timer.label, timer, None)
        return finished

    # The record

    def events(self, after_id: int = 0) -> list[Event]:
        """Every change later than event `after_id`, oldest first."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM events WHERE id > ? ORDER BY id", (after_id,)).fetchall()
        return [
            Event(row["id"], row["at"], row["what"], row["subject"], _loaded(row["before"]), _loaded(row["after"]))
            for row in rows
        ]

    # Inside

    def _furnish(self, devices: Iterable[Device]) -> None:
        with self._writing() as connection:
            if connection.execute("SELECT count(*) FROM events").fetchone()[0]:
                return  # begun already: by an earlier run, or by another phone just now
            self._record("home_begun", "", None, None)
            for position, device in enumerate(devices):
                check_name(device.name)
                check_name(device.area)
                connection.execute(
                    f"INSERT INTO devices (name, kind, area, position, {', '.join(_COLUMNS.values())})"  # noqa: S608  our own names
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        device.name,
                        device.kind,
                        device.area,
                        position,
                        *(_stored(getattr(device, field)) for field in _COLUMNS),
                    ),
                )
                self._record("device_added", device.name, None, device)

    def _change(self, name: str, kinds: tuple[DeviceKind, ...], complaint: str, **state: Any) -> Device:
        with self._writing():
            device = self.device(name)
            if device.kind not in kinds:
                raise HomeError(f"the {device.name} {complaint}")
            return self._store(device, **state)

    def _store(self, before: Device, **state: Any) -> Device:
        """Write what changes of a device; an order that changes nothing leaves no event."""
        after = replace(before, **state)
        changed = {field: value for field, value in state.items() if getattr(before, field) != value}
        for field, value in changed.items():
            self._connection.execute(
                f"UPDATE devices SET {_COLUMNS[field]} = ? WHERE name = ?",  # noqa: S608  our own column names
                (_stored(value), before.name),
            )
        if changed:
            self._record("device_changed", before.name, {field: getattr(before, field) for field in changed}, changed)
        return after

    def _record(self, what: str, subject: str, before: Any, after: Any) -> None:
        self._connection.execute(
            "INSERT INTO events (at, what, subject, before, after) VALUES (?, ?, ?, ?, ?)",
            (self.clock(), what, subject, _dumped(before), _dumped(after)),
        )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated(), transaction(self._connection):
            yield self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise HomeError(
                f"the home {self._shown} could not be read or written: {error}",
                hint="check that the file is whole, writable, and not held by another program",
            ) from error


def _device(row: sqlite3.Row) -> Device:
    on, locked = row["is_on"], row["is_locked"]
    return Device(
        row["name"],
        row["kind"],
        row["area"],
        on=None if on is None else bool(on),
        brightness_percent=row["brightness_percent"],
        target_c=row["target_c"],
        measured_c=row["measured_c"],
        locked=None if locked is None else bool(locked),
    )


def _timer(row: sqlite3.Row, now: float) -> Timer:
    # A wall clock that was set back must not lengthen a timer.
    remaining_s = min(row["seconds"], max(0.0, row["ends_at"] - now))
    return Timer(row["id"], row["label"], row["seconds"], remaining_s)


def _timer_names(timers: list[Timer]) -> str:
    return ", ".join(timer.label or f"one of {_length(timer.seconds)}" for timer in timers)


def _length(seconds: float) -> str:
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}{'s' if seconds != size else ''}"
    return f"{seconds:g} seconds"


def _spoken(name: str) -> str:
    """As people say it: lower case, single spaces, no article."""
    words = name.casefold().split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("the", "a", "an", "my") else words)


def _stored(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _dumped(value: Any) -> str | None:
    if value is None:
        return None
    fields = value if isinstance(value, dict) else asdict(value)
    return json.dumps({key: item for key, item in fields.items() if item is not None})


def _loaded(text: str | None) -> dict[str, Any] | None:
    return None if text is None else dict(json.loads(text))
