"""A MicroPython image that starts nothing of the user's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bodydouble.boards.errors import ImageError

if TYPE_CHECKING:
    from bodydouble.boards.uf2 import Image

# MicroPython names both files once in its program: ports/rp2/main.c. Linkers let "boot.py" be the end of "_boot.py",
# so that the frozen module that mounts the filesystem is not found, either: whoever comes to the REPL mounts it.
_MAIN, _OTHER_MAIN = b"\0main.py\0", b"\0mai?.py\0"
_BOOT, _OTHER_BOOT = b"boot.py\0", b"boo?.py\0"
_NEAR_BYTES = 256


def rescue_image(image: Image) -> Image:
    """`image` with other names for `main.py` and `boot.py`: it boots straight to the REPL, whatever those do.

    ImageError where it names no main.py, and so is no MicroPython for a Pico.
    """
    addresses = list(image.pages)
    data = bytearray(b"".join(image.pages.values()))
    at = data.find(_MAIN)
    if at < 0:
        raise ImageError("the image runs no main.py", hint="name MicroPython's own image")
    data[at : at + len(_MAIN)] = _OTHER_MAIN
    boot = data.find(_BOOT, max(0, at - _NEAR_BYTES), at + _NEAR_BYTES)
    if boot >= 0:
        data[boot : boot + len(_BOOT)] = _OTHER_BOOT
    size = len(data) // len(addresses)
    return replace(image, pages={a: bytes(data[n * size : (n + 1) * size]) for n, a in enumerate(addresses)})
