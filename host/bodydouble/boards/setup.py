"""What this machine needs before real boards can be used: what is right already, and the exact cure for the rest."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bodydouble.boards.inventory import BoardType
from bodydouble.errors import InputError
from bodydouble.resources import write_atomically

RULES = "etc/udev/rules.d/60-bodydouble.rules"  # TAG+="uaccess" is heeded by 73-seat-late.rules: ours sorts before
RULE = "udev rule"
WRITE = 'sudo "$(command -v bodydouble)" boards setup --write'
RELOAD = "sudo udevadm control --reload && sudo udevadm trigger"
_SERIAL_GROUPS = ("dialout", "uucp")  # Debian and most others; Arch
_MODEM_MANAGER = ("usr/sbin/ModemManager", "usr/bin/ModemManager")
_PICOTOOL = "https://github.com/raspberrypi/picotool"


@dataclass(frozen=True)
class Step:
    """One thing that is needed, or right already. `command` is the cure, ready to run."""

    name: str
    state: Literal["ok", "missing", "optional"]
    detail: str
    command: str = ""


@dataclass(frozen=True)
class Machine:
    """What is asked of a machine: replaced in tests. `groups` are the names of those that this process is in."""

    platform: str = sys.platform
    root: Path = Path("/")
    user: str = field(default_factory=getpass.getuser)
    uid: int = field(default_factory=lambda: os.getuid() if hasattr(os, "getuid") else -1)
    groups: Callable[[], list[str]] = field(default_factory=lambda: _own_groups)
    which: Callable[[str], str | None] = shutil.which


def steps(machine: Machine, kinds: Iterable[BoardType]) -> list[Step]:
    """Everything that real boards need on this kind of system."""
    if machine.platform == "linux":
        found = _linux(machine, kinds)
    elif machine.platform == "win32":
        found = [Step("serial driver", "ok", "Windows 10 and later bring it (usbser.sys): nothing to install")]
    elif machine.platform == "darwin":
        found = [Step("serial driver", "ok", "macOS brings it: nothing to install; ports are /dev/cu.usbmodem*")]
    else:
        found = [
            Step("system", "optional", f"{machine.platform} is not known: see that your user may open its ports")
        ]
    return [*found, _picotool(machine)]


def rules(kinds: Iterable[BoardType], group: str = _SERIAL_GROUPS[0]) -> str:
    """udev rules for every board type: who sits at the machine may use them, and ModemManager leaves them alone."""
    usbs = [kind.usb for kind in kinds if kind.usb]
    lines = [
        "# Boards that bodydouble uses, in BOOTSEL mode and running. Written by `bodydouble boards setup --write`.",
        'ACTION=="remove", GOTO="bodydouble_end"',
    ]
    then = f'MODE="0660", GROUP="{group}", TAG+="uaccess", ENV{{ID_MM_DEVICE_IGNORE}}="1"'
    for vid in sorted({usb.vid for usb in usbs}):
        ours = [usb for usb in usbs if usb.vid == vid]
        running = {pid for usb in ours for pid in (*usb.pids, *usb.touch_pids)}
        waiting = {pid for usb in ours for pid in usb.bootsel_pids}
        device = f'ATTR{{idVendor}}=="{vid:04x}", ATTR{{idProduct}}=="{_either(running | waiting)}"'
        port = f'ATTRS{{idVendor}}=="{vid:04x}", ATTRS{{idProduct}}=="{_either(running)}"'
        lines.append(f'SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", {device}, {then}')
        lines.append(f'SUBSYSTEM=="tty", {port}, {then}')
    return "\n".join([*lines, 'LABEL="bodydouble_end"', ""])


def write_rules(machine: Machine, kinds: Iterable[BoardType]) -> Path:
    """Write the rules where udev reads them. InputError with the cure where that is not permitted."""
    if machine.platform != "linux":
        raise InputError("only Linux has udev rules", hint="leave --write out; nothing needs to be written here")
    path = machine.root / RULES
    try:
        write_atomically(path, rules(kinds, _serial_group(machine)).encode())
        path.chmod(0o644)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", hint=f"run: {WRITE}") from error
    return path


def _either(pids: Iterable[int]) -> str:
    return "|".join(f"{pid:04x}" for pid in sorted(pids))


def _linux(machine: Machine, kinds: Iterable[BoardType]) -> list[Step]:
    group = _serial_group(machine)
    path = machine.root / RULES
    try:
        placed: str | None = path.read_text("utf-8", "replace")
    except OSError:
        placed = None
    current = placed == rules(kinds, group)
    if current:
        rule = Step(RULE, "ok", f"/{RULES}")
    else:
        what = "is not there" if placed is None else "is of another version"
        rule = Step(RULE, "missing", f"/{RULES} {what}", f"{WRITE} && {RELOAD}")
    return [rule, _membership(machine, group), _modem_manager(machine, current)]


def _membership(machine: Machine, group: str) -> Step:
    if machine.uid == 0:
        return Step("permission", "ok", "you are root")
    if group in machine.groups():
        return Step("permission", "ok", f"{machine.user} is in the group {group}")
    if machine.user in _members(machine, group):
        return Step(
            "permission",
            "missing",
            f"{machine.user} is in the group {group} from the next login on",
            f"newgrp {group}",
        )
    return Step(
        "permission",
        "missing",
        f"{machine.user} is not in the group {group}: needed over ssh and by services",
        f"sudo usermod -aG {group} {machine.user}  # then log in again",
    )


def _modem_manager(machine: Machine, ruled: bool) -> Step:
    if not any((machine.root / path).exists() for path in _MODEM_MANAGER):
        return Step("ModemManager", "ok", "not installed")
    if ruled:
        return Step("ModemManager", "ok", "told by the udev rule to leave boards alone")
    return Step("ModemManager", "missing", "it opens boards' ports and types into them", f"{WRITE} && {RELOAD}")


def _picotool(machine: Machine) -> Step:
    path = machine.which("picotool")
    if path:
        return Step("picotool", "ok", path)
    return Step("picotool", "optional", "without it, images are copied to the board's drive", f"see {_PICOTOOL}")


def _serial_group(machine: Machine) -> str:
    known = {line.partition(":")[0] for line in _group_file(machine)}
    return next((group for group in _SERIAL_GROUPS if group in known), _SERIAL_GROUPS[0])


def _members(machine: Machine, group: str) -> list[str]:
    for line in _group_file(machine):
        fields = line.split(":")
        if fields[0] == group and len(fields) == 4:
            return fields[3].split(",")
    return []


def _group_file(machine: Machine) -> list[str]:
    try:
        return (machine.root / "etc/group").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _own_groups() -> list[str]:
    import grp  # noqa: PLC0415 - POSIX only

    names = []
    for number in {os.getegid(), *os.getgroups()}:
        try:
            names.append(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return names
