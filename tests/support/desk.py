"""A desk with boards on it, none of them real: serial ports, /sys, /proc/mounts and drives in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bodydouble.boards.discovery import Surroundings
from bodydouble.boards.drives import find_drives

INFO = {
    "RPI-RP2": "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n",
    "RP2350": "UF2 Bootloader v1.0\r\nModel: Raspberry Pi RP2350\r\nBoard-ID: RP2350\r\n",
}
ROM_SERIAL = "E0C9125B0D9B"
"""What every RP2040's boot ROM of one version shows."""


@dataclass
class Port:
    """A serial port as pyserial lists it."""

    device: str
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None
    location: str | None = None
    manufacturer: str | None = None
    product: str | None = None


def micropython(device: str, serial: str, location: str | None = None, pid: int = 0x0005) -> Port:
    where = f"{location}:1.0" if location else None
    return Port(device, 0x2E8A, pid, serial, where, "MicroPython", "Board in FS mode")


@dataclass
class Desk:
    """What is plugged in; `root` holds /sys, /proc, /dev and where drives are mounted."""

    root: Path
    ports: list[Port] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in ("proc", "dev/disk/by-label", "sys/bus/usb/devices", "sys/class/block", "media"):
            (self.root / folder).mkdir(parents=True)
        self._mounted()

    @property
    def here(self) -> Surroundings:
        return Surroundings(
            ports=lambda: list(self.ports),
            drives=lambda: find_drives("linux", self.root),
            sysfs=self.root / "sys/bus/usb/devices",
        )

    def bootsel(self, location: str, *, pid: int = 0x0003, serial: str = ROM_SERIAL, mounted: bool = True) -> Path:
        """Plug a board in that waits for an image; returns where its drive is (or would be)."""
        label = "RPI-RP2" if pid == 0x0003 else "RP2350"
        usb = self.root / "sys/devices/pci0000:00/usb1" / location
        number = 1 + len(list((self.root / "sys/bus/usb/devices").iterdir()))
        block = usb / f"{location}:1.0/host6/block/sd{chr(96 + number)}/sd{chr(96 + number)}1"
        block.mkdir(parents=True)
        for name, text in {
            "idVendor": "2e8a", "idProduct": f"{pid:04x}", "serial": serial, "busnum": "1", "devnum": str(number),
            "manufacturer": "Raspberry Pi", "product": "RP2 Boot",
        }.items():  # fmt: skip
            (usb / name).write_text(text + "\n")
        (self.root / "sys/bus/usb/devices" / location).symlink_to(usb)
        (self.root / "sys/class/block" / block.name).symlink_to(block)
        node = self.root / "dev" / block.name
        node.touch()
        (self.root / "dev/disk/by-label" / (label if number == 1 else f"{label}-{number}")).symlink_to(node)
        folder = self.root / f"media/my drive {location}"
        folder.mkdir()
        if mounted:
            (folder / "INFO_UF2.TXT").write_bytes(INFO[label].encode())
            self.mounts.append(f"/dev/{block.name} /media/my\\040drive\\040{location} vfat rw,nosuid 0 0")
            self._mounted()
        return folder

    def unplug(self, location: str) -> None:
        """Take the board at this USB port away."""
        self.ports = [port for port in self.ports if not (port.location or "").startswith(f"{location}:")]
        link = self.root / "sys/bus/usb/devices" / location
        if link.is_symlink():
            names = [path.name for path in link.resolve().glob("*/host6/block/*/*")]
            shutil.rmtree(link.resolve())
            shutil.rmtree(self.root / f"media/my drive {location}")
            link.unlink()
            for name in names:
                (self.root / "sys/class/block" / name).unlink()
            self.mounts = [line for line in self.mounts if not any(f"/dev/{name} " in line for name in names)]
            for label in list(self._labels()):
                if label.resolve().name in names:
                    label.unlink()
            self._mounted()

    def _labels(self) -> Iterator[Path]:
        return (self.root / "dev/disk/by-label").iterdir()

    def _mounted(self) -> None:
        lines = ["proc /proc proc rw 0 0", "/dev/nvme0n1p2 / ext4 rw 0 0", "/dev/nvme0n1p1 /boot/efi vfat rw 0 0"]
        (self.root / "proc/mounts").write_text("\n".join([*lines, *self.mounts]) + "\n")
