"""Putting an image on a board, and seeing that it is there: the same steps for real boards and emulated ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bodydouble.boards.errors import FlashError
from bodydouble.boards.uf2 import Image
from bodydouble.clock import Clock, monotonic

Tell = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many bytes are."""


class Loader(Protocol):
    """What writes an image into a board that waits for one."""

    name: str
    """`picotool`, `drive`, ..."""

    def write(self, image: Image, tell: Tell) -> bool:
        """Write all of it and let the board restart; True where what was written has been read back and compared.

        FlashError where that failed.
        """


class Target(Protocol):
    """A board that can be flashed."""

    @property
    def where(self) -> str:
        """Where it is, in words: its port, its drive."""

    @property
    def serial(self) -> str:
        """Its USB serial number, once it runs MicroPython; else ""."""

    def enter(self) -> Loader:
        """Bring it into BOOTSEL mode. FlashError with the cure where it cannot be brought there."""

    def back(self) -> None:
        """Wait until it runs MicroPython again. NoReplyError where it does not."""

    def digest(self, code: str) -> str | None:
        """What `code`, run on the board, prints; None where nothing can be run there."""


@dataclass
class FlashReport:
    """What was done. `verified` says by whom; it is "" where nobody could. `seconds` are the host's, by stage."""

    via: str
    size_bytes: int
    machine: str
    version: str
    verified: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def flash(image: Image, target: Target, tell: Tell, clock: Clock = monotonic) -> FlashReport:
    """Write `image` to `target` and verify it.

    An image of MicroPython must come back by itself and hash its own flash; of others only a loader that reads back
    can say. Raises FlashError where what the board holds is not the image, NoReplyError where it does not come back.
    """
    seconds: dict[str, float] = {}
    began = clock()

    def done(stage: str) -> None:
        nonlocal began
        now = clock()
        seconds[stage], began = now - began, now

    tell("entering BOOTSEL mode", 0, image.size_bytes)
    loader = target.enter()
    done("enter")
    report = FlashReport(loader.name, image.size_bytes, image.machine, image.version, seconds=seconds)
    read_back = loader.write(image, tell)
    done("write")
    report.verified = f"read back by {loader.name}" if read_back else ""
    if image.machine:
        tell("restarting", image.size_bytes, image.size_bytes)
        target.back()
        done("restart")
        if not read_back:
            tell("verifying", image.size_bytes, image.size_bytes)
            report.verified = _verify(image, target)
            done("verify")
    return report


def _verify(image: Image, target: Target) -> str:
    said = target.digest(digest_code(image))
    if said is None:
        return ""
    if said != digest_of(image):
        raise FlashError(
            "the board's flash does not hold the image that was written", hint="flash it again; try another cable"
        )
    return "hashed by the board"


def digest_of(image: Image) -> str:
    """SHA-256 over the image's pieces, in hexadecimal."""
    digest = hashlib.sha256()
    for _, data in image.pieces():
        digest.update(data)
    return digest.hexdigest()


def digest_code(image: Image) -> str:
    """MicroPython that prints the same of the flash that it runs from; nothing is copied to the heap."""
    pieces = ",".join(f"({address},{len(data)})" for address, data in image.pieces())
    return (
        "import hashlib,uctypes\n"
        "from binascii import hexlify\n"
        "h=hashlib.sha256()\n"
        f"for a,n in ({pieces},):\n"
        "    h.update(uctypes.bytearray_at(a,n))\n"
        "print(hexlify(h.digest()).decode())\n"
    )
