"""The drives that boards in BOOTSEL mode show: where they are mounted, and what they say of themselves."""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

INFO = "INFO_UF2.TXT"
LABELS = ("RPI-RP2", "RP2350")  # of the two boot ROMs; the boards' files name them, too
_BOARD_ID = re.compile(r"^Board-ID:[ \t]*(\S+)", re.MULTILINE)
_OCTAL = re.compile(r"\\([0-7]{3})")
_INFO_LIMIT = 4096
_REMOVABLE = 2  # GetDriveTypeW's DRIVE_REMOVABLE
_FAT = ("vfat", "msdos")


@dataclass(frozen=True)
class Drive:
    """A BOOTSEL drive.

    `board_id` is INFO_UF2.TXT's, or the label where it is not mounted; `path` is None then, and `device` says what to
    mount. `location` is the USB port that it hangs on, as in `1-1.4`; "" where that is not known.
    """

    board_id: str
    path: Path | None
    device: str = ""
    location: str = ""


def board_id(folder: Path) -> str:
    """The Board-ID in the folder's INFO_UF2.TXT; "" where it is no BOOTSEL drive."""
    for name in (INFO, INFO.lower()):
        try:
            with (folder / name).open("rb") as file:
                text = file.read(_INFO_LIMIT).decode("ascii", "replace")
        except OSError:
            continue
        found = _BOARD_ID.search(text)
        return found[1] if found else ""
    return ""


def find_drives(platform: str = sys.platform, root: Path = Path("/")) -> list[Drive]:
    """Every BOOTSEL drive on this system. `root` holds /proc, /sys, /dev and /Volumes."""
    if platform == "linux":
        return list(_linux(root))
    if platform == "win32":
        return list(_drives(Path(f"{letter}:\\") for letter in removable_letters()))
    volumes = root / "Volumes"
    return list(_drives(sorted(volumes.iterdir()) if volumes.is_dir() else ()))


def _drives(folders: Iterable[Path]) -> Iterator[Drive]:
    for folder in folders:
        if found := board_id(folder):
            yield Drive(found, folder)


def removable_letters(mask: int | None = None, kind_of: Callable[[str], int] | None = None) -> list[str]:
    """Letters of Windows' removable drives: others, network drives among them, are never touched."""
    if mask is None or kind_of is None:
        import ctypes  # noqa: PLC0415 - Windows only

        kernel: object = getattr(ctypes, "windll").kernel32  # noqa: B009 - exists on Windows alone
        mask = int(getattr(kernel, "GetLogicalDrives")())  # noqa: B009 - as above
        kind_of = getattr(kernel, "GetDriveTypeW")  # noqa: B009 - as above
    letters = [letter for number, letter in enumerate(string.ascii_uppercase) if mask >> number & 1]
    return [letter for letter in letters if kind_of(f"{letter}:\\") == _REMOVABLE]


def _linux(root: Path) -> Iterator[Drive]:
    mounted: set[Path] = set()
    for device, folder in _mounts(root):
        if found := board_id(_under(root, folder)):
            node = _under(root, device).resolve()
            mounted.add(node)
            yield Drive(found, _under(root, folder), device, usb_location(root / "sys/class/block" / node.name))
    for label in LABELS:
        for link in sorted((root / "dev/disk/by-label").glob(f"{label}*")):
            node = link.resolve()
            if node not in mounted:
                device = f"/dev/{node.name}"
                yield Drive(label, None, device, usb_location(root / "sys/class/block" / node.name))


def _mounts(root: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = (root / "proc/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        fields = [_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), field) for field in line.split(" ")]
        if len(fields) > 2 and fields[2] in _FAT:
            yield fields[0], fields[1]


def _under(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def usb_location(node: Path) -> str:
    """The USB device (`1-1.4`) that a node of /sys belongs to; "" where it hangs on none."""
    for folder in (resolved := node.resolve(), *resolved.parents):
        if (folder / "idVendor").is_file():
            return folder.name
    return ""
