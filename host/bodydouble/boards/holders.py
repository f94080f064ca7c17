"""Which processes have a serial port open: on Linux by their descriptors in /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_MODEM_MANAGER = "ModemManager"


@dataclass(frozen=True)
class Holding:
    """A process that has the port open."""

    pid: int
    program: str

    def describe(self) -> str:
        """In words."""
        return f"{self.program} (process {self.pid})"

    @property
    def cure(self) -> str:
        """What makes it let go."""
        if self.program == _MODEM_MANAGER:
            return "keep it away for good: bodydouble boards setup; for now: sudo systemctl stop ModemManager"
        return f"close it, or: kill {self.pid}"


def port_holders(port: str, proc: Path = Path("/proc")) -> list[Holding]:
    """Other processes that have `port` open, as far as this user may see; none for URLs or without a /proc."""
    if "://" in port or not proc.is_dir():
        return []
    wanted = os.path.realpath(port)
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(link) == wanted for link in (folder / "fd").iterdir()):
                found.append(Holding(int(folder.name), (folder / "comm").read_text("utf-8", "replace").strip()))
        except OSError:
            continue  # another user's, or just ended
    return sorted(found, key=lambda one: one.pid)
