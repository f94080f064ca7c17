"""The home: state, record, and files that are none."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.errors import ExitCode, InputError
from bodydouble.phone import database
from bodydouble.phone.default_home import DEFAULT_DEVICES, Device, light, switch
from bodydouble.phone.home import MAX_SHOPPING_ITEMS, MAX_TIMERS, Home, HomeError, ShoppingItem
from phone.scripted import FakeClock


@pytest.fixture
def home() -> Home:
    return Home(clock=FakeClock(1_800_000_000.0))


def test_default_home_has_a_dozen_devices_of_every_kind(home: Home) -> None:
    assert len(home.devices()) >= 12
    assert {device.kind for device in home.devices()} == {"light", "switch", "thermostat", "lock", "sensor"}
    assert home.devices() == list(DEFAULT_DEVICES)
    assert all(device.locked for device in home.devices("lock"))
    assert "kitchen" in home.areas()


def test_devices_change_and_the_change_is_recorded(home: Home) -> None:
    before = home.events()[-1].id
    assert home.set_power("The Kitchen  Light", True).on is True
    assert home.device("kitchen light").on is True
    assert home.set_brightness("bedroom lamp", 30).brightness_percent == 30
    assert home.device("bedroom lamp").on is True
    assert home.set_brightness("bedroom lamp", 0).on is False
    assert home.set_temperature("thermostat", 21.5).target_c == 21.5
    assert home.set_locked("front door", False).locked is False
    events = home.events(before)
    assert [(event.what, event.subject) for event in events] == [
        ("device_changed", name)
        for name in ("kitchen light", "bedroom lamp", "bedroom lamp", "thermostat", "front door")
    ]
    assert events[0].before == {"on": False}
    assert events[0].after == {"on": True}
    assert events[0].at == 1_800_000_000.0
    home.set_power("kitchen light", True)
    assert home.events(before) == events, "an order that changes nothing is no change"


def test_an_area_is_switched_whole_by_kind_or_not_at_all(home: Home) -> None:
    assert [device.name for device in home.set_area_power("kitchen", True)] == ["kitchen light", "coffee machine"]
    assert [device.name for device in home.set_area_power("bedroom", True, "light")] == ["bedroom lamp"]
    assert home.device("fan").on is False
    assert home.device("back door").locked is True
    with pytest.raises(HomeError, match="no area called 'attic'"):
        home.set_area_power("attic", True)
    with pytest.raises(HomeError, match="no switch in the porch"):
        home.set_area_power("porch", True, "switch")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda home: home.device("moon"), "there is no device called 'moon' (there are: kitchen light, "),
        (lambda home: home.set_power("front door", True), "the front door cannot be switched on or off"),
        (lambda home: home.set_brightness("fan", 5), "the fan has no brightness"),
        (lambda home: home.set_brightness("kitchen light", 101), "a brightness of 101 percent is outside 0 to 100"),
        (lambda home: home.set_temperature("fan", 20), "the fan has no target temperature"),
        (lambda home: home.set_temperature("thermostat", float("nan")), "nan degrees is outside 5 to 35"),
        (lambda home: home.set_temperature("thermostat", 90), "90 degrees is outside 5 to 35"),
        (lambda home: home.set_locked("fan", True), "the fan has no lock"),
        (lambda home: home.remove_shopping("milk"), "milk is not on the shopping list"),
        (lambda home: home.cancel_timer(), "no timer is running"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(home: Home, call: object, text: str) -> None:
    before = home.events()
    with pytest.raises(HomeError) as caught:
        call(home)  # type: ignore[operator]
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE
    assert home.events() == before


def test_shopping_list(home: Home) -> None:
    home.add_shopping("Milk")
    home.add_shopping("eggs", 6)
    home.add_shopping("the milk", 2)
    assert home.shopping() == [ShoppingItem("milk", 3), ShoppingItem("eggs", 6)]
    assert home.remove_shopping("MILK") == ShoppingItem("milk", 3)
    assert home.shopping() == [ShoppingItem("eggs", 6)]
    assert [event.what for event in home.events()[-4:]] == ["shopping_added"] * 3 + ["shopping_removed"]
    with pytest.raises(HomeError, match="more than 999"):
        home.add_shopping("eggs", 999)
    for number in range(MAX_SHOPPING_ITEMS - 1):
        home.add_shopping(f"thing {number}")
    with pytest.raises(HomeError, match="list is full"):
        home.add_shopping("one more")
    home.add_shopping("eggs")


def test_timers_run_on_the_injected_clock() -> None:
    clock = FakeClock(5000.0)
    home = Home(clock=clock)
    home.set_timer(600, "Pasta")
    home.set_timer(60)
    assert [(timer.label, timer.remaining_s) for timer in home.timers()] == [("", 60), ("pasta", 600)]
    with pytest.raises(HomeError, match=r"several timers are running \(say which: one of 1 minute, pasta\)"):
        home.cancel_timer()
    clock.advance(61)
    assert [timer.label for timer in home.timers()] == ["pasta"]
    assert [timer.seconds for timer in home.finish_timers()] == [60]
    assert home.finish_timers() == []
    clock.advance(-3000)  # the machine's clock was set back
    assert home.timers()[0].remaining_s == 600
    clock.advance(3000)
    with pytest.raises(HomeError, match="there is no tea timer"):
        home.cancel_timer("tea")
    assert home.cancel_timer("the pasta").remaining_s == 539
    assert home.timers() == []
    for _ in range(MAX_TIMERS):
        home.set_timer(5)
    with pytest.raises(HomeError, match="timers run already"):
        home.set_timer(5)


def test_a_home_in_a_file_lasts_and_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "home.db"
    with Home(path) as first, Home(path, devices=[light("other", "attic")]) as second:
        first.set_power("kitchen light", True)
        assert second.device("kitchen light").on is True
        assert second.devices() == first.devices(), "only a new home is furnished"
    with Home(path) as again:
        assert again.device("kitchen light").on is True


def test_own_devices_are_checked() -> None:
    home = Home(devices=[switch("kettle", "kitchen")])
    assert home.devices() == [Device("kettle", "switch", "kitchen", on=False)]
    for name in ("Kettle", "", " kettle", "a  b", "x;y", "<dev>", "ignore\nme", "x" * 41, "кухня"):
        with pytest.raises(InputError, match="cannot name a device or an area"):
            Home(devices=[switch(name, "kitchen")])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["milk", "eggs", "bread"]), st.integers(1, 40), st.booleans()), max_size=12)
)
def test_list_equals_a_dictionary(orders: list[tuple[str, int, bool]]) -> None:
    home, expected = Home(devices=[]), {}
    for item, quantity, add in orders:
        if add:
            home.add_shopping(item, quantity)
            expected[item] = expected.get(item, 0) + quantity
        elif item in expected:
            home.remove_shopping(item)
            del expected[item]
    assert {line.item: line.quantity for line in home.shopping()} == expected


def test_any_thread_may_use_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home.db")
    threads = [threading.Thread(target=lambda: [home.add_shopping("milk") for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert home.shopping() == [ShoppingItem("milk", 20)]


# Files that are none


def error_of(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        Home(path)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def test_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "home.db"
    Home(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    content = path.read_bytes()
    error = error_of(path)
    assert error.message == f"{path} was written by a newer bodydouble (home version 99, this one reads up to 1)"
    assert "pip install --upgrade bodydouble" in error.hint
    assert path.read_bytes() == content


def test_text_file(tmp_path: Path) -> None:
    path = tmp_path / "home.db"
    path.write_text("kitchen light: on\n" * 200)
    error = error_of(path)
    assert error.message == f"{path} is damaged or not a home"
    assert "move it away" in error.hint


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mail (id INTEGER)")
    assert error_of(path).message == f"{path} is another program's database, not a home"


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_cut_off_file(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "home.db"
    with Home(path) as home:
        for number in range(20):
            home.add_shopping(f"thing {number} " * 100)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert error_of(path).message == f"{path} is damaged or not a home"


def test_folder_that_is_missing_or_a_file_that_is_a_folder(tmp_path: Path) -> None:
    assert "cannot open the home" in error_of(tmp_path / "missing" / "home.db").message
    assert "cannot open the home" in error_of(tmp_path).message


def test_held_by_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "home.db"
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.01)
    with Home(path) as home, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert error_of(path).message == f"another program is writing to the home {path}"
        with pytest.raises(HomeError, match="could not be read or written: database is locked"):
            home.set_power("fan", True)
        other.execute("ROLLBACK")
        assert home.set_power("fan", True).on is True


def test_failed_start_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "home.db"
    with pytest.raises(InputError):
        Home(path, devices=[light("fine", "kitchen"), light("NOT FINE", "kitchen")])
    with Home(path) as home:
        assert home.devices() == list(DEFAULT_DEVICES)


def test_a_home_without_devices_stays_one(tmp_path: Path) -> None:
    Home(tmp_path / "home.db", devices=[]).close()
    with Home(tmp_path / "home.db") as home:
        assert home.devices() == []


def test_a_phone_that_dies_in_the_middle_of_a_change_leaves_the_state_before(tmp_path: Path) -> None:
    path = tmp_path / "home.db"
    Home(path).close()
    script = (
        "import os, sys\n"
        "from bodydouble.phone.home import Home\n"
        "home = Home(sys.argv[1])\n"
        "home._connection.execute('PRAGMA cache_size = 1')\n"
        "home._connection.execute('PRAGMA cache_spill = 1')\n"
        "def die(*_):\n"
        "    for i in range(3000):\n"
        "        home._connection.execute('INSERT INTO shopping VALUES (?, 1, 0)', (str(i) * 20,))\n"
        "    os._exit(9)\n"
        "home._record = die\n"
        "home.set_area_power('kitchen', True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == 9
    assert path.with_name("home.db-journal").exists(), "the change had reached the disk"
    with Home(path) as home:
        assert home.device("kitchen light").on is False
        assert home.shopping() == []
