"""What boards said of themselves when they were last asked, kept in the cache by USB serial number."""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bodydouble.resources import cache_dir, write_atomically

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


def read_probe(serial: str) -> Probe | None:
    """What is known of the board with this serial number; None where nothing is, or it cannot be read."""
    return _read(_path(serial))


def write_probe(probe: Probe) -> None:
    """Keep it, in place of an older one."""
    write_atomically(_path(probe.serial), json.dumps(asdict(probe), indent=1).encode())


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
