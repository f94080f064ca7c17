"""What a machine needs for real boards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bodydouble.boards import known_boards
from bodydouble.boards.setup import RULES, Machine, Step, rules, steps, write_rules
from bodydouble.errors import ExitCode, InputError

KINDS = known_boards()


def machine(root: Path, **facts: object) -> Machine:
    (root / "etc").mkdir(parents=True, exist_ok=True)
    if not (root / "etc/group").exists():
        (root / "etc/group").write_text("root:x:0:\ndialout:x:20:ann\n")
    given = {"platform": "linux", "root": root, "user": "bob", "uid": 1000, "groups": lambda: ["bob"]}
    return Machine(**{**given, "which": lambda name: None, **facts})  # type: ignore[arg-type]


def named(found: list[Step]) -> dict[str, Step]:
    return {step.name: step for step in found}


def test_the_rules_cover_every_state_of_every_board() -> None:
    text = rules(KINDS)
    usb, tty = (line for line in text.splitlines() if line.startswith("SUBSYSTEM"))
    assert 'ATTR{idVendor}=="2e8a"' in usb and 'ATTRS{idVendor}=="2e8a"' in tty
    assert 'ATTR{idProduct}=="0003|0005|0009|000a|000f"' in usb
    assert 'ATTRS{idProduct}=="0005|0009|000a"' in tty
    for line in (usb, tty):
        assert 'TAG+="uaccess"' in line
        assert 'ENV{ID_MM_DEVICE_IGNORE}="1"' in line
        assert 'GROUP="dialout"' in line and 'MODE="0660"' in line
    # What systemd's 73-seat-late.rules reads must have been said before.
    assert int(Path(RULES).name.split("-")[0]) < 73
    assert text.endswith("\n")


def test_each_line_is_one_that_udev_can_read() -> None:
    pair = re.compile(r'[A-Z]+(\{\w+\})?(==|!=|=|\+=)"[^"]*"')
    for line in rules(KINDS).splitlines():
        assert line.startswith("#") or all(pair.fullmatch(part) for part in line.split(", ")), line


def test_a_machine_that_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/ModemManager").touch()
    found = named(steps(machine(tmp_path), KINDS))
    write = 'sudo "$(command -v bodydouble)" boards setup --write'
    write += " && sudo udevadm control --reload && sudo udevadm trigger"
    assert found["udev rule"] == Step("udev rule", "missing", f"/{RULES} is not there", write)
    assert found["permission"].state == "missing"
    assert found["permission"].command == "sudo usermod -aG dialout bob  # then log in again"
    assert found["ModemManager"].state == "missing"
    assert found["picotool"].state == "optional"


def test_a_machine_that_has_everything(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/ModemManager").touch()
    here = machine(tmp_path, groups=lambda: ["bob", "dialout"], which=lambda name: f"/usr/bin/{name}")
    path = write_rules(here, KINDS)
    assert path == tmp_path / RULES
    assert path.read_text() == rules(KINDS)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [step.state for step in steps(here, KINDS)] == ["ok"] * 4


def test_an_older_rule_is_told(tmp_path: Path) -> None:
    here = machine(tmp_path)
    write_rules(here, KINDS).write_text("# of last year\n")
    assert named(steps(here, KINDS))["udev rule"].detail == f"/{RULES} is of another version"


def test_who_is_allowed(tmp_path: Path) -> None:
    assert named(steps(machine(tmp_path, uid=0), KINDS))["permission"].detail == "you are root"
    later = named(steps(machine(tmp_path, user="ann"), KINDS))["permission"]
    assert (later.state, later.command) == ("missing", "newgrp dialout")


def test_where_the_group_has_another_name(tmp_path: Path) -> None:
    here = machine(tmp_path)
    (tmp_path / "etc/group").write_text("uucp:x:14:\n")
    assert "sudo usermod -aG uucp bob" in named(steps(here, KINDS))["permission"].command
    assert 'GROUP="uucp"' in write_rules(here, KINDS).read_text()


def test_where_writing_is_not_permitted(tmp_path: Path) -> None:
    here = machine(tmp_path)
    (tmp_path / "etc/udev").write_text("no folder")
    with pytest.raises(
        InputError, match=r"cannot write .*60-bodydouble\.rules: .+ \(run: sudo \"\$\(command"
    ) as caught:
        write_rules(here, KINDS)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("platform", ["win32", "darwin", "freebsd14"])
def test_other_systems(platform: str, tmp_path: Path) -> None:
    here = machine(tmp_path, platform=platform)
    assert all(step.state != "missing" for step in steps(here, KINDS))
    with pytest.raises(InputError, match="only Linux has udev rules"):
        write_rules(here, KINDS)


def test_this_machine_can_be_asked() -> None:
    assert len(steps(Machine(), KINDS)) >= 2
