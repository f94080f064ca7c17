"""What boards there are: emulated ones, real ones that are plugged in, and real ones that were here before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bodydouble.boards import obstacle
from bodydouble.boards.discovery import Device, Surroundings
from bodydouble.boards.inventory import BoardType
from bodydouble.boards.locks import Holder, holder
from bodydouble.boards.probes import Probe, all_probes


@dataclass(frozen=True)
class Emulated:
    """A board that needs no hardware; `obstacle` says in one line what keeps it from running here."""

    kind: BoardType
    obstacle: str


@dataclass(frozen=True)
class Plugged:
    """A device and who uses it."""

    device: Device
    holder: Holder | None

    @property
    def name(self) -> str:
        """What `--board` calls it; "" where it is no board, or only its owner knows which type it is."""
        return f"{self.device.types[0]}:{self.device.name}" if self.device.types else ""


@dataclass(frozen=True)
class Survey:
    """Everything at one moment; `away` are boards that were asked once and are not plugged in."""

    emulated: list[Emulated]
    plugged: list[Plugged]
    absent: list[BoardType]
    away: list[Probe]


def survey(kinds: list[BoardType], here: Surroundings) -> Survey:
    """Look everywhere; nothing is opened."""
    devices = here.devices()
    present = {device.serial.upper() for device in devices}
    types = {kind for device in devices for kind in device.types}
    return Survey(
        emulated=[Emulated(kind, obstacle(kind)) for kind in kinds if kind.emulated],
        plugged=[Plugged(device, holder(device.key)) for device in devices],
        absent=[kind for kind in kinds if not kind.emulated and kind.type not in types],
        away=[probe for probe in all_probes() if probe.serial.upper() not in present],
    )


def facts(found: Survey) -> dict[str, Any]:
    """A survey as `--json` tells it."""
    return {
        "emulated": [
            {
                "type": one.kind.type,
                "description": one.kind.description,
                "runs": not one.obstacle,
                "obstacle": one.obstacle,
            }
            for one in found.emulated
        ],
        "devices": [device_facts(one.device, one.holder) for one in found.plugged],
        "absent": [kind.type for kind in found.absent],
        "away": [probe_facts(probe) for probe in found.away],
    }


def device_facts(device: Device, user: Holder | None) -> dict[str, Any]:
    """One device as `--json` tells it."""
    return {
        "mode": device.mode,
        "types": list(device.types),
        "serial": device.serial,
        "port": device.port,
        "usb": f"{device.vid:04x}:{device.pid:04x}" if device.vid is not None and device.pid is not None else "",
        "location": device.location,
        "manufacturer": device.manufacturer,
        "product": device.product,
        "drive": str(device.drive.path or device.drive.device) if device.drive else "",
        "in_use_by": asdict(user) if user else None,
        "probe": probe_facts(device.probe) if device.probe else None,
    }


def probe_facts(probe: Probe) -> dict[str, Any]:
    """What a board said of itself, and how long ago."""
    return {**asdict(probe), "age_s": round(probe.age_s(), 1)}
