"""The file that is an emulated board's flash: locked while it runs, and given an image as a boot loader would."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from bodydouble.boards.picosim.errors import EmulatorBusyError
from bodydouble.boards.uf2 import Image

FLASH_BASE = 0x10000000
FLASH_BYTES = 2 << 20
SECTOR_BYTES = 4096
_POSIX = os.name == "posix"


@contextlib.contextmanager
def locked(path: Path, name: str) -> Iterator[int]:
    """The flash's file, of its full size, locked; who inherits the descriptor keeps the lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if _POSIX:
            import fcntl  # noqa: PLC0415 - there is none on Windows

            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise EmulatorBusyError(
                    f"the emulated Pico {name} is running already",
                    hint="close it, or name another: --board pico-sim:NAME",
                ) from error
        size = os.fstat(fd).st_size
        if size < FLASH_BYTES:
            os.lseek(fd, size, os.SEEK_SET)
            os.write(fd, b"\xff" * (FLASH_BYTES - size))
        yield fd
    finally:
        os.close(fd)


def flash_image(fd: int, flash_path: Path, image: Image) -> None:
    """Put `image` into the flash unless it was the last one that was; whole sectors, as a boot loader erases them."""
    note = flash_path.with_suffix(".image")
    digest = hashlib.sha256(b"".join(b"%d:%b" % piece for piece in image.pieces())).hexdigest()
    if note.is_file() and note.read_text().strip() == digest:
        return
    note.unlink(missing_ok=True)
    for address, data in image.pieces():
        offset = address - FLASH_BASE
        whole = data + b"\xff" * (-(offset + len(data)) % SECTOR_BYTES)
        os.lseek(fd, offset, os.SEEK_SET)
        os.write(fd, whole)
    note.write_text(digest + "\n")
