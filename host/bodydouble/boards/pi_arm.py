"""The `pi-arm` board: MicroPython's unix port for 32-bit ARM under qemu-arm, driven as the `unix` board is.

Its code is a Raspberry Pi's, bit for bit; its times are this machine's under emulation and say nothing of a Pi's.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bodydouble.boards.errors import NoMicroPythonError
from bodydouble.boards.micropythons import Interpreter, find_arm_micropython, on_arm
from bodydouble.boards.unix import open_unix

if TYPE_CHECKING:
    from bodydouble.boards.board import Board
    from bodydouble.boards.inventory import BoardType
    from bodydouble.boards.selector import Selector

_TIMEOUT_S = 20
_VERSION = re.compile(r"version (\d[\w.]*)")


def open_board(kind: BoardType, selector: Selector, *, tier: str | None, heap_bytes: int | None) -> Board:
    """The driver: WHICH is a name to tell several apart by, no more."""
    name = selector.instance
    interpreter = find_arm_micropython()
    board = open_unix(kind, interpreter=interpreter, tier=tier, heap_bytes=heap_bytes)
    board.info["name"] = name
    if not on_arm():
        board.info["emulator"] = emulator_version(interpreter)
        board.info["clock"] = "the host's, under emulation"
    return board


def obstacle() -> str:
    """What keeps the board from running here, with the cure; "" where nothing does."""
    try:
        find_arm_micropython()
    except NoMicroPythonError as error:
        return str(error)
    return ""


def emulator_version(interpreter: Interpreter) -> str:
    """`qemu-arm 7.2.22`; only the program's name where it tells no version, or is the user's own script."""
    name = Path(interpreter.emulator or interpreter.what).name
    if interpreter.emulator is None:
        return name
    try:
        shown = subprocess.run(
            [interpreter.emulator, "--version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return name
    found = _VERSION.search(shown.stdout)
    return f"{name} {found[1]}" if found else name
