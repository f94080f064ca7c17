"""Asking boards who they are; what they last said is kept in the cache, by USB serial number."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bodydouble.resources import cache_dir, write_atomically

if TYPE_CHECKING:
    from bodydouble.boards.repl import Repl

ATTEND_S = 20.0
"""A board that was just flashed makes its filesystem first."""
EXEC_S = 60.0
_QUESTIONS = """\
import sys
print(getattr(sys.implementation,'_machine',sys.platform))
print('.'.join(str(n) for n in sys.implementation.version[:3]))
try:
    import machine
    from binascii import hexlify
    print(hexlify(machine.unique_id()).decode())
except (ImportError,AttributeError):
    print()
try:
    import json
    with open('/bodydouble.json') as f:
        print(json.load(f).get('sha256',''))
except (ImportError,OSError,ValueError,AttributeError):
    print()
"""
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Probe:
    """A board's own words. `at` is when, in seconds since 1970; what it did not say is ""."""

    serial: str
    machine: str = ""
    """`sys.implementation._machine`."""
    micropython: str = ""
    unique_id: str = ""
    firmware: str = ""
    """sha256 of the bodydouble firmware on it."""
    at: float = 0.0

    @property
    def board(self) -> str:
        """The board in `machine`, without its chip."""
        return self.machine.partition(" with ")[0]

    def age_s(self, now: float | None = None) -> float:
        """How long ago it said so."""
        return max(0.0, (time.time() if now is None else now) - self.at)


@contextmanager
def attended(port: str, timeout_s: float = ATTEND_S) -> Iterator[Repl]:
    """The raw REPL of the board on `port`, interrupted in whatever it does. NoReplError where it does not answer."""
    from bodydouble.boards.repl import Repl  # noqa: PLC0415 - only when a board is asked
    from bodydouble.link.stream import SerialStream  # noqa: PLC0415

    stream = SerialStream(port)
    try:
        repl = Repl(stream)
        repl.attend(timeout_s)
        yield repl
    finally:
        stream.close()


def run_on_board(port: str, code: str) -> str:
    """What `code` prints on MicroPython on `port`."""
    with attended(port) as repl:
        said = repl.exec(code, EXEC_S).decode("utf-8", "replace").strip("\r\n")
        repl.leave()
    return said


def ask_board(serial: str, port: str, run: Callable[[str, str], str] = run_on_board) -> Probe:
    """Ask the board on `port` who it is: whatever it does is interrupted."""
    lines = [line.strip() for line in run(port, _QUESTIONS).splitlines()]
    machine, micropython, unique_id, firmware = [*lines, "", "", "", ""][:4]
    return Probe(serial, machine, micropython, unique_id, firmware, at=time.time())


def read_probe(serial: str) -> Probe | None:
    """What is known of the board with this serial number; None where nothing is, or it cannot be read."""
    return _read(_path(serial))


def write_probe(probe: Probe) -> None:
    """Keep it, in place of an older one."""
    write_atomically(_path(probe.serial), json.dumps(asdict(probe), indent=1).encode())


def note(serial: str, info: Mapping[str, Any]) -> None:
    """Keep what the firmware said of itself (`Board.info`) with what the board said before."""
    before = read_probe(serial) or Probe(serial)
    said = {name: str(info[name]) for name in ("micropython", "unique_id", "firmware") if name in info}
    write_probe(replace(before, **said, at=time.time()))


def all_probes() -> list[Probe]:
    """Everything that is kept, by serial number."""
    found = (_read(path) for path in _folder().glob("*.json"))
    return sorted((probe for probe in found if probe), key=lambda probe: probe.serial)


def forget(serial: str) -> bool:
    """Drop what is known of a board; False where nothing was."""
    path = _path(serial)
    known = path.exists()
    path.unlink(missing_ok=True)
    return known


def _folder() -> Path:
    return cache_dir() / "boards"


def _path(serial: str) -> Path:
    # A serial number is whatever a device says: it shall not name another file.
    upper = serial.upper()
    name = upper if _PLAIN.fullmatch(upper) else hashlib.sha256(upper.encode()).hexdigest()
    return _folder() / f"{name}.json"


def _read(path: Path) -> Probe | None:
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())
        return Probe(
            serial=str(said["serial"]),
            machine=str(said["machine"]),
            micropython=str(said["micropython"]),
            unique_id=str(said["unique_id"]),
            firmware=str(said["firmware"]),
            at=float(said["at"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
