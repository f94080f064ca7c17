"""Runs a script under MicroPython with the firmware on its path, as the `unix` board would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
# The wheel holds a module, not an executable, and its own entry point loses exit codes.
_LAUNCH = "import os,sys,micropython_unix as m;os._exit(m.run_main(['micropython']+sys.argv[1:]))"


def micropython_command(bits: int = 64) -> list[str]:
    """The command that starts MicroPython; 32 bits skips unless BODYDOUBLE_MICROPYTHON32 names one."""
    if bits == 32:
        named = os.environ.get("BODYDOUBLE_MICROPYTHON32")
        if not named:
            pytest.skip("set BODYDOUBLE_MICROPYTHON32 to a 32-bit MicroPython (a wrapper around qemu-arm will do)")
        return named.split()
    named = os.environ.get("BODYDOUBLE_MICROPYTHON")
    return [named] if named else [sys.executable, "-I", "-c", _LAUNCH]


def run_micropython(
    script: str | Path,
    *args: str | Path,
    heap: str = "8M",
    bits: int = 64,
    path: Path = FIRMWARE,
    stdin: bytes = b"",
    timeout_s: float = 300,
) -> bytes:
    """Run `script` (a path, or source text) with `args`; returns its standard output, fails on a non-zero exit."""
    # A script runs as source text; sys.argv is set by hand, since -c takes no arguments.
    source = script.read_text() if isinstance(script, Path) else script
    name = script.name if isinstance(script, Path) else "inline"
    prelude = f"import sys;sys.argv[:]={[name, *map(str, args)]!r}\n"
    done = subprocess.run(
        [*micropython_command(bits), "-X", f"heapsize={heap}", "-c", prelude + source],
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "MICROPYPATH": f"{path}:{ROOT / 'tests' / 'firmware'}"},
    )
    if done.returncode:
        tail = (done.stdout[-2000:] + done.stderr[-2000:]).decode(errors="replace")
        pytest.fail(f"{name} exited {done.returncode} under MicroPython ({bits}-bit):\n{tail}")
    return done.stdout
