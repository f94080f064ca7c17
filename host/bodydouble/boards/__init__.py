"""The boards: what is known of each type, and how one is opened.

`open_board("unix") as board` gives a `Board`; `known_boards()` lists the types.
"""

from __future__ import annotations

from bodydouble.boards.board import Board
from bodydouble.boards.errors import NoDriverError
from bodydouble.boards.inventory import BoardType, board_type, known_boards
from bodydouble.boards.unix import open_unix

__all__ = ["Board", "BoardType", "board_type", "known_boards", "open_board"]

_DRIVERS = {"unix": open_unix}


def open_board(name: str = "unix", *, tier: str | None = None, heap_bytes: int | None = None) -> Board:
    """Start or find the board `name` and open the link to it; use it in a `with` block.

    `tier` forces a kernel tier, `heap_bytes` another heap than the board file's. Errors: UnknownBoardError and
    other BoardErrors where there is no such board, FirmwareErrors where its firmware does not come up.
    """
    kind = board_type(name)
    driver = _DRIVERS.get(kind.driver)
    if driver is None:
        raise NoDriverError(f"this version cannot open a {kind.type} board yet", hint="use --board unix")
    return driver(kind, tier=tier, heap_bytes=heap_bytes)
