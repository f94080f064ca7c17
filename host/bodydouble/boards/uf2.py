"""Firmware images for microcontrollers with a UF2 boot loader: read, checked against a board, written.

The format: https://github.com/microsoft/uf2. What Raspberry Pi's boot ROMs take of it: pico-sdk's boot/uf2.h.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bodydouble.boards.errors import ImageError
from bodydouble.boards.inventory import BoardType, MicroPythonImage

BLOCK_BYTES = 512
PAGE_BYTES = 256  # the boot ROMs take no other payload: RP2040 datasheet, 2.8.4.2
IMAGE_LIMIT = 64 << 20
_HEADER = struct.Struct("<8I")
_START = (0x0A324655, 0x9E5D5157)
_END = 0x0AB16F30
_NOT_FLASH, _FILES, _HAS_FAMILY = 0x1, 0x1000, 0x2000
_ABSOLUTE = 0xE48BFF57  # a block that RP2350 images begin with, for an erratum; nothing of the program
FAMILIES = {
    0xE48BFF56: "RP2040",
    _ABSOLUTE: "RP2xxx absolute",
    0xE48BFF58: "RP2xxx data",
    0xE48BFF59: "RP2350 Arm",
    0xE48BFF5A: "RP2350 RISC-V",
    0xE48BFF5B: "RP2350 Arm, non-secure",
}
"""Of microsoft/uf2, utils/uf2families.json."""
# The parts of MicroPython's banner: "MicroPython v1.26.1 on 2025-09-11" and "; Raspberry Pi Pico with RP2040".
_VERSION = re.compile(rb"MicroPython v?([0-9][^ \0]{1,60}) on [0-9]{4}-")
_MACHINE = re.compile(rb"; ([^;\0\r\n]{1,80}?) with RP2[0-9]{3}")


@dataclass(frozen=True)
class Image:
    """What an image puts where: pages of PAGE_BYTES by address, in order."""

    family: int
    pages: dict[int, bytes]

    @property
    def size_bytes(self) -> int:
        """Bytes that are written."""
        return len(self.pages) * PAGE_BYTES

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Address and bytes of each run of adjacent pages."""
        start, run = 0, bytearray()
        for address, page in self.pages.items():
            if run and address != start + len(run):
                yield start, bytes(run)
                run.clear()
            if not run:
                start = address
            run += page
        if run:
            yield start, bytes(run)

    @property
    def machine(self) -> str:
        """The board that MicroPython in it was built for; "" where it says none."""
        return self._said(_MACHINE)

    @property
    def version(self) -> str:
        """MicroPython's version; "" where it says none."""
        return self._said(_VERSION)

    def _said(self, what: re.Pattern[bytes]) -> str:
        for _, data in self.pieces():
            if found := what.search(data):
                return found[1].decode("ascii", "replace")
        return ""

    def to_uf2(self) -> bytes:
        """The image as a UF2 file."""
        total = len(self.pages)
        return b"".join(
            _HEADER.pack(*_START, _HAS_FAMILY, address, PAGE_BYTES, number, total, self.family)
            + page.ljust(476, b"\0")
            + struct.pack("<I", _END)
            for number, (address, page) in enumerate(self.pages.items())
        )


@contextmanager
def uf2_file(image: Image) -> Iterator[Path]:
    """The image as a UF2 file, for programs that take one; it goes with the `with` block."""
    with tempfile.TemporaryDirectory(prefix="bodydouble-") as folder:
        path = Path(folder, "firmware.uf2")
        path.write_bytes(image.to_uf2())
        yield path


def read_image(path: Path, kind: BoardType) -> Image:
    """The image in `path` (.uf2, or raw flash contents in a .bin), checked to be one for a board of this type.

    ImageError says what is wrong: no such file, damaged, incomplete, for another chip or board, or outside the flash.
    """
    into = kind.micropython
    if into is None:
        raise ImageError(f"a {kind.type} board takes no image", hint="flashing is for microcontrollers: pico, pico2")
    try:
        if path.stat().st_size > IMAGE_LIMIT:
            raise ImageError(f"{path} is far too large for an image", hint="name a .uf2 or .bin file")
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}", hint="name a .uf2 or .bin file") from error
    if data[:4] == struct.pack("<I", _START[0]):
        image = _chosen(parse_uf2(data, str(path)), kind, into, path)
    elif path.suffix.lower() == ".bin":
        image = wrap(data, into)
    else:
        raise ImageError(f"{path} is no UF2 file", hint="name a .uf2 file, or a .bin of the flash's contents")
    _check(image, kind, into, path)
    return image


def wrap(data: bytes, into: MicroPythonImage) -> Image:
    """Raw flash contents from the flash's first byte on, as an image; the last page is filled with 0xFF."""
    data += b"\xff" * (-len(data) % PAGE_BYTES)
    pages = {into.flash_base + at: data[at : at + PAGE_BYTES] for at in range(0, len(data), PAGE_BYTES)}
    return Image(into.uf2_family, pages)


def parse_uf2(data: bytes, name: str) -> dict[int, Image]:
    """The images of a UF2 file by family, every block checked. ImageError names the block that is wrong."""

    def wrong(what: str) -> ImageError:
        return ImageError(f"{name} is damaged: {what}", hint="get the file again")

    if not data or len(data) % BLOCK_BYTES:
        raise wrong(f"{len(data):,} bytes are no whole number of {BLOCK_BYTES}-byte blocks")
    found: dict[int, dict[int, tuple[int, bytes]]] = {}
    totals: dict[int, int] = {}
    for at in range(0, len(data), BLOCK_BYTES):
        *start, flags, address, size, number, total, family = _HEADER.unpack_from(data, at)
        where = f"block {at // BLOCK_BYTES}"
        if tuple(start) != _START or struct.unpack_from("<I", data, at + BLOCK_BYTES - 4)[0] != _END:
            raise wrong(f"{where} lacks its magic numbers")
        if flags & (_NOT_FLASH | _FILES):
            continue
        if not flags & _HAS_FAMILY:
            raise ImageError(f"{name} does not say which chip it is for", hint="get an image made for this board")
        if size != PAGE_BYTES or address % PAGE_BYTES:
            raise wrong(f"{where} holds {size} bytes for {address:#x}; boot ROMs take whole pages of {PAGE_BYTES}")
        blocks = found.setdefault(family, {})
        if totals.setdefault(family, total) != total or number >= total or number in blocks:
            raise wrong(f"{where} says that it is number {number} of {total}")
        blocks[number] = (address, data[at + _HEADER.size : at + _HEADER.size + size])
    images = {}
    for family, blocks in found.items():
        # An absolute block counts itself among two, of which the second is never there.
        if family != _ABSOLUTE and len(blocks) != totals[family]:
            raise wrong(f"{totals[family] - len(blocks)} of {totals[family]} blocks are missing")
        pages = dict(sorted(blocks.values()))
        if len(pages) != len(blocks):
            raise wrong("two blocks are for the same address")
        images[family] = Image(family, pages)
    if not images:
        raise wrong("no block is for the flash")
    return images


def _chosen(images: dict[int, Image], kind: BoardType, into: MicroPythonImage, path: Path) -> Image:
    image = images.get(into.uf2_family)
    if image is None:
        made_for = " and ".join(
            FAMILIES.get(family, f"family {family:#010x}") for family in images if family != _ABSOLUTE
        )
        wanted = FAMILIES.get(into.uf2_family, f"family {into.uf2_family:#010x}")
        raise ImageError(f"{path} is for {made_for or 'no chip'}, the {kind.type} has an {wanted}", hint=_get(into))
    return image


def _check(image: Image, kind: BoardType, into: MicroPythonImage, path: Path) -> None:
    first, last = next(iter(image.pages), 0), next(reversed(image.pages), 0)
    end = into.flash_base + into.flash_bytes
    if not image.pages or first < into.flash_base or last + PAGE_BYTES > end:
        raise ImageError(
            f"{path} does not fit the {kind.type}'s flash of {into.flash_bytes:,} bytes at {into.flash_base:#x}: "
            f"it goes from {first:#x} to {last + PAGE_BYTES if image.pages else first:#x}",
            hint=_get(into),
        )
    if first != into.flash_base:
        raise ImageError(f"{path} would not start: nothing is at the flash's beginning", hint=_get(into))
    if image.machine and image.machine != into.machine:
        raise ImageError(f"{path} is for a {image.machine}, not for a {into.machine}", hint=_get(into))


def _get(into: MicroPythonImage) -> str:
    return f"get MicroPython's image for {into.board}, or choose another --board"
