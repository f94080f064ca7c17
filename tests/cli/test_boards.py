"""`bodydouble boards`: what it prints, what it writes, its errors and exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bodydouble.boards import board_type, discovery, flash_usb, probes
from bodydouble.boards import setup as needs
from bodydouble.boards.locks import BoardLock
from bodydouble.boards.probes import Probe, write_probe
from bodydouble.boards.uf2 import wrap
from bodydouble.cli.main import main
from support.desk import Desk, Port, micropython
from support.processes import run, strict

ONE, TWO = "e660583883724a32", "e661a4d4176f5a2b"
PICO = "Raspberry Pi Pico with RP2040"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BODYDOUBLE_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(tmp_path)
    made = Desk(tmp_path / "root")
    monkeypatch.setattr(discovery, "HERE", made.here)
    return made


@dataclass
class Said:
    code: int
    out: str
    err: str

    def one_line(self) -> str:
        assert self.out == ""
        assert self.err.startswith("bodydouble: ") and self.err.count("\n") == 1, self.err
        return self.err[len("bodydouble: ") : -1]


@pytest.fixture
def say(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def said(*arguments: str | Path) -> Said:
        capsys.readouterr()
        code = main(["boards", *map(str, arguments)])
        return Said(code, *capsys.readouterr())

    return said


# --- list


def test_the_list_of_a_desk(desk: Desk, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ports = [
        micropython("/dev/ttyACM0", ONE, "1-1"),
        micropython("/dev/ttyACM1", TWO, "1-2"),
        Port("/dev/ttyUSB0", 0x0403, 0x6001, "FT1", "1-5:1.0", "FTDI", "FT232R"),
    ]
    desk.bootsel("1-3")
    write_probe(Probe(ONE, PICO, "1.26.1", ONE, "ab" * 32, at=0.0))
    write_probe(Probe("GONE", PICO, "1.24.0", at=0.0))
    with BoardLock("usb-1-2", board="pico", purpose="record"):
        shown = say("list")
    assert (shown.code, shown.err) == (0, "")
    lines = {line.split()[0]: line for line in shown.out.splitlines() if line.strip()}
    assert "a heap like a Pico's" in shown.out
    assert f"{PICO}, MicroPython 1.26.1, firmware abababababab (" in lines[f"pico:{ONE}"]
    assert f"process {os.getpid()}) for" in lines[f"pico:{TWO}"] and "to record" in lines[f"pico:{TWO}"]
    assert "may be pico or pico-w or pico2; not asked yet" in lines[f"pico:{TWO}"]
    assert "BOOTSEL" in lines["pico:usb-1-3"] and "my drive 1-3" in lines["pico:usb-1-3"]
    assert "other serial devices, never touched" in shown.out
    assert "FTDI FT232R" in lines["/dev/ttyUSB0"]
    assert f"{PICO}, MicroPython 1.24.0 (" in lines["GONE"]
    assert "not seen: pi; `bodydouble boards setup` says what real boards need" in shown.out


def test_the_list_as_json(desk: Desk, say: Callable[..., Said]) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1")]
    write_probe(Probe(ONE, PICO, "1.26.1", at=0.0))
    shown = say("list", "--json", "-")
    found = strict(shown.out)
    assert [one["type"] for one in found["emulated"]] == ["pi-arm", "pico-sim", "unix"]
    unix = found["emulated"][2]
    assert (unix["runs"], unix["obstacle"]) == (True, "")
    (device,) = found["devices"]
    assert (device["usb"], device["types"], device["port"]) == ("2e8a:0005", ["pico"], "/dev/ttyACM0")
    assert device["in_use_by"] is None
    assert device["probe"]["micropython"] == "1.26.1" and device["probe"]["age_s"] > 1e9
    assert found["absent"] == ["pi", "pico-w", "pico2"]
    assert f"pico:{ONE}" in shown.err


def test_what_keeps_an_emulated_board_from_running(
    desk: Desk, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON", str(tmp_path / "none"))
    shown = say("list")
    assert shown.code == 0
    assert "✗ unix" in shown.out and "which cannot be run (correct or unset BODYDOUBLE_MICROPYTHON)" in shown.out


def test_the_installed_command_lists_this_machine() -> None:
    done = run("boards", "list")
    assert (done.code, done.err) == (0, "")
    assert "✓ unix" in done.out


# --- info


def answering(monkeypatch: pytest.MonkeyPatch, said: str) -> list[str]:
    asked: list[str] = []
    monkeypatch.setattr(
        probes,
        "ask_board",
        lambda serial, port, ask=probes.ask_board: ask(serial, port, lambda p, c: asked.append(p) or said),
    )
    return asked


def test_info_asks_and_remembers(desk: Desk, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1")]
    asked = answering(monkeypatch, f"{PICO}\r\n1.26.1\r\ne66058\r\nabcd\r\n")
    shown = say("info", "--board", "pico", "--json", "-")
    assert asked == ["/dev/ttyACM0"]
    found = strict(shown.out)
    assert found["type"]["micropython"]["board"] == "RPI_PICO"
    assert found["device"]["location"] == "1-1"
    probe = found["probe"]
    assert (probe["machine"], probe["micropython"], probe["unique_id"], probe["firmware"]) == (
        PICO,
        "1.26.1",
        "e66058",
        "abcd",
    )
    assert "of which 1,441,792 are its filesystem (RPI_PICO)" in shown.err
    again = say("info", "--board", f"pico:{ONE[:6]}", "--cached")
    assert asked == ["/dev/ttyACM0"]
    assert f"{PICO}, MicroPython 1.26.1, firmware abcd (0 s ago)" in again.out


def test_info_of_a_board_that_is_another(
    desk: Desk, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1")]
    answering(monkeypatch, "Raspberry Pi Pico W with RP2040\n1.26.1\n\n\n")
    assert "it is no pico: choose another --board" in say("info", "--board", "pico").out
    assert say("info", "--board", "pico").one_line().startswith("no pico is plugged in (plug one in; ")
    assert say("info", "--board", "pico-w").code == 0


def test_info_of_a_board_that_waits_for_an_image(desk: Desk, say: Callable[..., Said]) -> None:
    desk.bootsel("1-1")
    shown = say("info", "--board", "pico")
    assert shown.code == 0 and "BOOTSEL" in shown.out


def test_info_of_an_emulated_board(say: Callable[..., Said]) -> None:
    shown = say("info", "--json", "-")
    live = strict(shown.out)["live"]
    assert live["type"] == "unix" and live["heap_free"] > 0
    assert "viper" in shown.err or "bytecode" in shown.err
    assert strict(say("info", "--cached", "--json", "-").out)["live"] == {}


def test_info_of_a_board_that_somebody_uses(desk: Desk, say: Callable[..., Said]) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1")]
    with BoardLock("usb-1-1", board="pico", purpose="record"):
        refused = say("info", "--board", "pico")
    assert refused.code == 3
    line = refused.one_line()
    assert line.startswith("the board pico is in use by ") and line.endswith(
        "to record (wait until it ends, or end it)"
    )


@pytest.mark.parametrize(
    ("arguments", "line", "code"),
    [
        (["info", "--board", "toaster"], r"no board 'toaster' (known boards: pi, ", 3),
        (["info", "--board", "pico:"], "'pico:' names no board after the colon (leave", 2),
        (["info", "--board", "pico2"], "no pico2 is plugged in (plug one in; `bodydouble boards list` shows what", 3),
        (["info", "--board", "pico:/dev/nothing"], "there is no port /dev/nothing (ports here: none)", 3),
        (["info", "--bord", "pico"], "No such option", 2),
        (["forget"], "name boards by their serial numbers, or --all (bodydouble boards list shows them)", 2),
        (["forget", "E66", "--all"], "name boards by their serial numbers, or --all (", 2),
        (["forget", "E66"], "nothing is known of a board E66 (known: none)", 3),
        (["flash"], "Missing argument 'IMAGE' (see bodydouble boards flash --help)", 2),
        (["flash", "gone.uf2", "--board", "pico"], "cannot read gone.uf2: No such file or directory (name a .uf2", 2),
        (["flash", "gone.uf2"], "a unix board takes no image (flashing is for microcontrollers: pico, pico2)", 2),
        (["flash", "gone.uf2", "--via", "hope"], "Invalid value for '--via': 'hope' is not one of", 2),
        (["polish"], "No such command 'polish'", 2),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], line: str, code: int, say: Callable[..., Said]) -> None:
    refused = say(*arguments)
    assert refused.one_line().startswith(line)
    assert refused.code == code


def test_an_ambiguous_choice_is_refused_with_the_list(desk: Desk, say: Callable[..., Said]) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1"), micropython("/dev/ttyACM1", TWO, "1-2")]
    refused = say("info", "--board", "pico")
    assert refused.code == 2
    assert refused.err.splitlines() == [
        "bodydouble: 2 boards may be pico (name one of them)",
        f"  pico:{ONE}  /dev/ttyACM0  Board in FS mode",
        f"  pico:{TWO}  /dev/ttyACM1  Board in FS mode",
    ]


def test_a_mistake_is_told_in_json_too(say: Callable[..., Said], tmp_path: Path) -> None:
    say("info", "--board", "pico2", "--json", tmp_path / "out.json")
    told = strict((tmp_path / "out.json").read_text())
    assert (told["status"], told["exit_code"]) == ("NoSuchBoardError", 3)


# --- setup


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "machine"
    (root / "etc").mkdir(parents=True)
    (root / "etc/group").write_text("dialout:x:20:\n")
    made = needs.Machine(
        platform="linux", root=root, user="ann", uid=1000, groups=lambda: ["dialout"], which=lambda name: None
    )
    monkeypatch.setattr(needs, "Machine", lambda: made)
    return root


def test_setup_prints_what_to_do(say: Callable[..., Said], machine: Path) -> None:
    shown = say("setup")
    assert shown.code == 1
    assert "✗ udev rule" in shown.out and "✓ permission" in shown.out
    assert '→ sudo "$(command -v bodydouble)" boards setup --write && sudo udevadm control --reload' in shown.out
    assert 'ATTR{idProduct}=="0003|0005|0009|000a|000f"' in shown.out


def test_setup_writes_where_it_may(say: Callable[..., Said], machine: Path) -> None:
    shown = say("setup", "--write")
    assert shown.code == 0
    assert "idProduct" not in say("setup").out  # what is right needs no text
    path = machine / needs.RULES
    assert shown.out.startswith(f"wrote {path}; now run: sudo udevadm control --reload && sudo udevadm trigger\n")
    assert path.read_text() == strict(say("setup", "--json", "-").out)["rules"]
    (machine / "etc/udev/rules.d").rename(machine / "rules")
    (machine / "etc/udev/rules.d").touch()
    refused = say("setup", "--write")
    assert refused.code == 2
    assert refused.one_line().endswith('(run: sudo "$(command -v bodydouble)" boards setup --write)')


# --- flash and forget


@pytest.fixture
def image(tmp_path: Path) -> Path:
    into = board_type("pico").micropython
    assert into
    path = tmp_path / "pico.uf2"
    path.write_bytes(wrap(b"MicroPython v1.26.1 on 2025-09-11\0; Raspberry Pi Pico with RP2040", into).to_uf2())
    return path


def instead(desk: Desk, monkeypatch: pytest.MonkeyPatch, **replaced: Any) -> None:
    """A board that restarts as soon as time passes, and hashes what it was given."""
    made = flash_usb.UsbTarget

    def sleep(seconds: float) -> None:
        if list(desk.root.glob("media/*/firmware.uf2")):
            desk.unplug("1-1")
            desk.ports = [micropython("/dev/ttyACM4", ONE, "1-1")]

    def target(device: discovery.Device, **given: Any) -> flash_usb.UsbTarget:
        return made(device, **{**given, "which": lambda name: None, "sleep": sleep, **replaced})

    monkeypatch.setattr(flash_usb, "UsbTarget", target)


def test_flash(
    desk: Desk, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, image: Path, tmp_path: Path
) -> None:
    desk.bootsel("1-1")
    write_probe(Probe(ONE, PICO, "1.20.0"))
    from bodydouble.boards.flash import digest_of
    from bodydouble.boards.uf2 import read_image

    sha256 = digest_of(read_image(image, board_type("pico")))
    instead(desk, monkeypatch, run=lambda port, code: sha256)
    shown = say("flash", image, "--board", "pico", "--json", tmp_path / "out.json")
    assert (shown.code, shown.err) == (0, "")
    assert (
        "✓ Raspberry Pi Pico, MicroPython 1.26.1: 256 bytes by drive, hashed by the board; /dev/ttyACM4" in shown.out
    )
    told = strict((tmp_path / "out.json").read_text())
    assert (told["via"], told["verified"], told["where"]) == ("drive", "hashed by the board", "/dev/ttyACM4")
    assert probes.read_probe(ONE) is None  # what it said before is no longer true


def test_flash_that_nobody_verifies_is_told(
    desk: Desk, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, image: Path
) -> None:
    from bodydouble.boards.errors import NoReplError

    def mute(port: str, code: str) -> str:
        raise NoReplError("the board did not answer Ctrl-C")

    desk.bootsel("1-1")
    instead(desk, monkeypatch, run=mute)
    shown = say("flash", image, "--board", "pico")
    assert shown.code == 1
    assert "by drive, not verified" in shown.out and "install picotool" in shown.out


def test_flash_of_what_is_no_board(desk: Desk, say: Callable[..., Said], image: Path) -> None:
    desk.ports = [Port("/dev/ttyUSB0", 0x0403, 0x6001, "FT1", None, "FTDI", "FT232R")]
    refused = say("flash", image, "--board", "pico:/dev/ttyUSB0")
    assert refused.code == 3
    assert refused.one_line() == "the device at /dev/ttyUSB0 is no pico: FT232R (choose another --board)"
    refused = say("flash", image, "--board", "pico:socket://127.0.0.1:1")
    assert refused.one_line() == "socket://127.0.0.1:1 is on no USB port (flash it where it is plugged in)"
    assert refused.code == 3


def test_flash_keeps_others_out(desk: Desk, say: Callable[..., Said], image: Path) -> None:
    desk.bootsel("1-1")
    with BoardLock("usb-1-1", board="pico"):
        assert say("flash", image, "--board", "pico").one_line().startswith("the board pico is in use by ")


def test_an_image_for_another_board(desk: Desk, say: Callable[..., Said], image: Path) -> None:
    refused = say("flash", image, "--board", "pico-w")
    assert refused.code == 2
    assert "is for a Raspberry Pi Pico, not for a Raspberry Pi Pico W (get MicroPython's image" in refused.one_line()


def test_forget(desk: Desk, say: Callable[..., Said]) -> None:
    for serial in (ONE, TWO, "A", "B"):
        write_probe(Probe(serial, PICO))
    assert say("forget", f"pico:{ONE}").out == "forgot 1 board\n"
    assert probes.read_probe(ONE) is None
    assert json.loads(say("forget", "a", "b", "--json", "-").out)["forgotten"] == ["A", "B"]
    assert say("forget", "--all").out == "forgot 1 board\n"
    assert probes.all_probes() == []
