"""The boards that are plugged in: who each is, which types it may be, and where it is after a reset.

A board is its USB serial number, vendor and product; its port's name says nothing, for it changes. Boot ROMs that
show the same serial number on every chip (the RP2040's) are told apart by the USB port that they hang on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bodydouble.boards.drives import Drive, find_drives
from bodydouble.boards.errors import AmbiguousBoardError, NoReplyError, NoSuchBoardError
from bodydouble.boards.inventory import BoardType, known_boards
from bodydouble.boards.probes import Probe, read_probe
from bodydouble.boards.selector import Selector
from bodydouble.clock import Clock, monotonic

Mode = Literal["micropython", "bootsel", "program", "other"]
"""Runs MicroPython; waits for an image; runs a program that goes to BOOTSEL on request; is no board of ours."""
BACK_S = 15.0
VANISH_S = 3.0
POLL_S = 0.1
_SETUP = "plug one in; `bodydouble boards list` shows what is there, `bodydouble boards setup` what it needs"


@dataclass(frozen=True)
class Device:
    """Something that is plugged in. What is not known is "", None or empty."""

    mode: Mode
    port: str = ""
    serial: str = ""
    vid: int | None = None
    pid: int | None = None
    manufacturer: str = ""
    product: str = ""
    location: str = ""
    """The USB port that it hangs on, as in `1-1.4`."""
    address: tuple[int, int] | None = None
    """USB bus and device number, which picotool wants."""
    drive: Drive | None = None
    types: tuple[str, ...] = ()
    """Board types that it may be."""
    probe: Probe | None = None

    @property
    def key(self) -> str:
        """What a lock goes by: the USB port that it hangs on, the same in every mode; else serial number or port."""
        return f"usb-{self.location}" if self.location else self.serial.upper() or self.port

    @property
    def name(self) -> str:
        """What to call it after `TYPE:`: its serial number, or where that is the boot ROM's or none, its place."""
        if self.mode == "bootsel" or not self.serial:
            return self.key if self.location else self.where
        return self.serial

    @property
    def where(self) -> str:
        """Its port, its drive, or the USB port that it hangs on."""
        if self.port:
            return self.port
        if self.drive:
            return str(self.drive.path) if self.drive.path else f"{self.drive.device} (not mounted)"
        return f"USB {self.location}" if self.location else "USB"


@dataclass(frozen=True)
class Surroundings:
    """Where boards are looked for: replaced in tests."""

    ports: Callable[[], Iterable[Any]] = field(default_factory=lambda: _comports)
    """Serial ports as pyserial's list_ports gives them."""
    drives: Callable[[], list[Drive]] = find_drives
    sysfs: Path = Path("/sys/bus/usb/devices")
    kinds: Callable[[], list[BoardType]] = known_boards

    def devices(self) -> list[Device]:
        """Everything that is plugged in, in a stable order."""
        kinds = [kind for kind in self.kinds() if kind.usb]
        found = [_serial_device(port, kinds) for port in self.ports()]
        found += _waiting(kinds, self.drives(), self.sysfs)
        return sorted(found, key=lambda device: (device.mode, device.key, device.port))


def _comports() -> Iterable[Any]:
    from serial.tools.list_ports import comports  # noqa: PLC0415 - only when boards are looked for

    ports: Iterable[Any] = comports()
    return ports


HERE = Surroundings()


def resolve(kind: BoardType, selector: Selector, here: Surroundings = HERE, *, bootsel: bool = False) -> Device:
    """The one device that `selector` means; where `bootsel`, it may wait for an image or run another program.

    NoSuchBoardError where there is none, AmbiguousBoardError, which lists them, where there are several.
    """
    devices = here.devices()
    if selector.is_port:
        return _by_port(selector, devices)
    ours = [device for device in devices if kind.type in device.types]
    wanted = selector.which.upper()
    found = [one for one in ours if one.serial.upper().startswith(wanted) or selector.which in (one.key, one.where)]
    usable = [device for device in found if bootsel or device.mode == "micropython"]
    exact = [device for device in usable if wanted and device.serial.upper() == wanted]
    if len(exact or usable) == 1:
        return (exact or usable)[0]
    if usable:
        raise AmbiguousBoardError(
            f"{len(usable)} boards may be {selector}", [_candidate(kind, one) for one in usable]
        )
    if found:
        raise NoSuchBoardError(
            f"the {kind.type} at {found[0].where} runs no MicroPython",
            hint=f"bodydouble boards flash IMAGE --board {selector}",
        )
    if wanted and ours:
        there = ", ".join(sorted({f"{kind.type}:{device.serial}" for device in ours if device.serial}))
        raise NoSuchBoardError(f"no {kind.type} has the serial number {selector.which}", hint=f"there is {there}")
    raise NoSuchBoardError(f"no {kind.type} is plugged in", hint=_SETUP)


def _by_port(selector: Selector, devices: list[Device]) -> Device:
    if "://" in selector.which:
        return Device("micropython", port=selector.which, types=(selector.type,))
    for device in devices:
        if selector.which == device.where or (device.port and _same_port(device.port, selector.which)):
            return device
    if selector.which.startswith("/") and Path(selector.which).exists():
        return Device("micropython", port=selector.which, types=(selector.type,))
    ports = ", ".join(sorted(device.port for device in devices if device.port))
    raise NoSuchBoardError(f"there is no port {selector.which}", hint=f"ports here: {ports or 'none'}")


def _same_port(listed: str, named: str) -> bool:
    if listed.upper() == named.upper():
        return sys.platform == "win32" or listed == named or listed.upper().startswith("COM")
    return named.startswith("/") and Path(named).resolve() == Path(listed).resolve()  # /dev/serial/by-id/...


def _candidate(kind: BoardType, device: Device) -> str:
    said = device.probe.machine if device.probe else device.product
    return "  ".join(part for part in (f"{kind.type}:{device.name}", device.where, said) if part)


def wait_back(
    was: Device,
    *,
    mode: Mode = "micropython",
    before: Iterable[Device] = (),
    timeout_s: float = BACK_S,
    vanish_s: float = VANISH_S,
    here: Surroundings = HERE,
    clock: Clock = monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Device:
    """Wait until the board that `was` comes back in `mode` after a reset, under whatever port, and return it so.

    `before` is what was there before the reset: what already was in that mode then is another board. Where the mode
    stays the same, the board has `vanish_s` to go; if it re-enumerates faster than we look, it is taken as it stands.
    NoReplyError where it is not back within `timeout_s`.
    """
    others = {_trace(device) for device in before if device.mode == mode != was.mode}
    began = clock()
    gone = was.mode != mode
    while True:
        devices = [device for device in here.devices() if device.mode == mode and _trace(device) not in others]
        back = [device for device in devices if same_board(was, device, here)]
        gone = gone or not back
        if len(back) == 1 and (gone or clock() - began >= vanish_s):
            return replace(back[0], types=back[0].types or was.types)
        if clock() - began >= timeout_s:
            raise NoReplyError(
                f"the board at {was.where} did not come back {_MODES[mode]} within {timeout_s:g} s",
                hint="unplug it and plug it in again",
            )
        sleep(POLL_S)


_MODES = {"micropython": "with MicroPython", "bootsel": "in BOOTSEL mode", "program": "with a program", "other": ""}


def same_board(one: Device, other: Device, here: Surroundings = HERE) -> bool:
    """Whether two sightings are, as far as can be told, of the same board."""
    if not (one.vid or other.vid):
        return one.port == other.port
    if one.vid != other.vid:
        return False
    if _own_serial(one, here) and _own_serial(other, here):
        return one.serial.upper() == other.serial.upper()
    # One of them shows no serial number of its own: the USB port that it hangs on must tell, where that is known.
    if one.location and other.location:
        return one.location == other.location
    return one.mode != other.mode


def _own_serial(device: Device, here: Surroundings) -> bool:
    kept = device.mode != "bootsel" or any(
        kind.usb.bootsel_keeps_serial for kind in here.kinds() if kind.usb and device.pid in kind.usb.bootsel_pids
    )
    return bool(device.serial) and kept


def _trace(device: Device) -> tuple[object, ...]:
    return device.mode, device.vid, device.pid, device.serial, device.location, device.where


# --- sightings


def _serial_device(port: Any, kinds: list[BoardType]) -> Device:
    vid, pid = getattr(port, "vid", None), getattr(port, "pid", None)
    serial = getattr(port, "serial_number", None) or ""
    running = [kind for kind in kinds if kind.usb and (kind.usb.vid, pid) == (vid, pid) and pid in kind.usb.pids]
    touchable = [kind for kind in kinds if kind.usb and kind.usb.vid == vid and pid in kind.usb.touch_pids]
    mode: Mode = "micropython" if running else "program" if touchable else "other"
    probe = read_probe(serial) if running and serial else None
    types = [kind for kind in running or touchable if _may_be(kind, probe)]
    return Device(
        mode,
        port=port.device,
        serial=serial,
        vid=vid,
        pid=pid,
        manufacturer=getattr(port, "manufacturer", None) or "",
        product=getattr(port, "product", None) or "",
        location=(getattr(port, "location", None) or "").partition(":")[0],
        types=tuple(kind.type for kind in types),
        probe=probe,
    )


def _may_be(kind: BoardType, probe: Probe | None) -> bool:
    # All of MicroPython's boards by Raspberry Pi share one product id: only the board itself can say which it is.
    return probe is None or not probe.board or kind.micropython is None or kind.micropython.machine == probe.board


def _waiting(kinds: list[BoardType], drives: list[Drive], sysfs: Path) -> Iterator[Device]:
    """Boards in BOOTSEL mode: they have no serial port, but on Linux a folder in /sys, and everywhere a drive."""
    left = list(drives)
    for folder in sorted(sysfs.iterdir()) if sysfs.is_dir() else ():
        vid, pid = _number(folder / "idVendor", 16), _number(folder / "idProduct", 16)
        fitting = [kind for kind in kinds if kind.usb and kind.usb.vid == vid and pid in kind.usb.bootsel_pids]
        if not fitting:
            continue
        drive = next((drive for drive in left if drive.location == folder.name), None)
        if drive:
            left.remove(drive)
        bus, number = _number(folder / "busnum", 10), _number(folder / "devnum", 10)
        yield Device(
            "bootsel",
            serial=_text(folder / "serial"),
            vid=vid,
            pid=pid,
            manufacturer=_text(folder / "manufacturer"),
            product=_text(folder / "product"),
            location=folder.name,
            address=None if bus is None or number is None else (bus, number),
            drive=drive,
            types=tuple(kind.type for kind in fitting),
        )
    for drive in left:
        fitting = [kind for kind in kinds if kind.usb and kind.usb.drive == drive.board_id]
        usb = fitting[0].usb if fitting else None
        yield Device(
            "bootsel",
            vid=usb.vid if usb else None,
            pid=usb.bootsel_pids[0] if usb else None,
            product=drive.board_id,
            location=drive.location,
            drive=drive,
            types=tuple(kind.type for kind in fitting),
        )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _number(path: Path, base: int) -> int | None:
    try:
        return int(_text(path), base)
    except ValueError:
        return None
