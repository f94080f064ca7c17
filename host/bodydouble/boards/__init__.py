"""The boards: what is known of each type, and how one is opened.

`open_board("unix") as board` gives a `Board`; `known_boards()` lists the types.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bodydouble.boards.errors import NoDriverError
from bodydouble.boards.inventory import BoardType, board_type, known_boards
from bodydouble.boards.selector import Selector

if TYPE_CHECKING:
    from bodydouble.boards.board import Board
    from bodydouble.boards.flash import Target
    from bodydouble.boards.flash_usb import Via

__all__ = [
    "Board",
    "BoardType",
    "Selector",
    "board_type",
    "flash_target",
    "known_boards",
    "obstacle",
    "open_board",
]

_DRIVERS = {
    "unix": "bodydouble.boards.unix",
    "serial": "bodydouble.boards.serial_board",
    "pico-sim": "bodydouble.boards.picosim.driver",
    "pi-arm": "bodydouble.boards.pi_arm",
    "pi": "bodydouble.boards.pi",
}
"""Driver to the module that holds it, imported on demand.

A driver is its module's `open_board(kind, selector, *, tier, heap_bytes)`; of an emulated board its `obstacle()` says
in one line what stands in the way here, "" where nothing does.
"""


def open_board(name: str = "unix", *, tier: str | None = None, heap_bytes: int | None = None) -> Board:
    """Start or find the board `name`, `TYPE[:WHICH]`, and open the link to it; use it in a `with` block.

    `tier` forces a kernel tier, `heap_bytes` another heap than the board file's. Errors: UnknownBoardError and
    other BoardErrors where there is no such board, FirmwareErrors where its firmware does not come up.
    """
    selector = Selector.parse(name)
    kind = board_type(selector.type)
    open_one: Callable[..., Board] = driver_of(kind).open_board
    return open_one(kind, selector, tier=tier, heap_bytes=heap_bytes)


def obstacle(kind: BoardType) -> str:
    """What keeps an emulated board of this type from running here, with the cure; "" where nothing does."""
    try:
        said: str = driver_of(kind).obstacle()
    except NoDriverError as error:
        return str(error)
    return said


def flash_target(
    kind: BoardType, selector: Selector, *, via: Via = "auto", purpose: str = ""
) -> AbstractContextManager[Target]:
    """The board as something that can be flashed, kept from others meanwhile; use it in a `with` block.

    An emulated board's driver has a `flash_target(kind, selector, *, purpose)` of its own where it can be flashed.
    """
    if kind.usb:
        from bodydouble.boards.flash_usb import usb_target  # noqa: PLC0415 - only when a board is flashed

        return usb_target(kind, selector, via=via, purpose=purpose)
    made: Callable[..., AbstractContextManager[Target]] | None = getattr(driver_of(kind), "flash_target", None)
    if made is None:
        raise NoDriverError(f"this version cannot flash a {kind.type} board", hint="flash a board on a USB port")
    return made(kind, selector, purpose=purpose)


def driver_of(kind: BoardType) -> Any:
    """The module that drives boards of this type. NoDriverError where there is none."""
    name = _DRIVERS.get(kind.driver)
    if name is None or not _exists(name):
        raise NoDriverError(f"this version cannot open a {kind.type} board yet", hint="use --board unix")
    return import_module(name)


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False


def __getattr__(name: str) -> Any:
    # Loaded on first use: who only lists boards need not wait for the link.
    if name == "Board":
        from bodydouble.boards.board import Board  # noqa: PLC0415

        return Board
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
