"""Opens a board that has room for what will be loaded: an emulated one is given a larger heap, and that is said."""

from __future__ import annotations

from collections.abc import Callable

from bodydouble.boards import Board, open_board

HEAP_STEP_BYTES = 32 * 1024
HEAP_MARGIN_BYTES = 96 * 1024
"""What a board is given beyond the bytes that it lacks: its free heap is in pieces, a plan must find a whole one."""


def open_roomy_board(
    name: str, needed_bytes: int, *, tier: str | None, heap_bytes: int | None, grown: Callable[[int, int], None]
) -> Board:
    """Open `name` with `needed_bytes` of free heap where that can be had; `grown(own_bytes, heap_bytes)` is told.

    A heap that the user fixed, or that the board's memory does, stays as it is: loading then says what is missing.
    """
    board = open_board(name, tier=tier, heap_bytes=heap_bytes)
    lacks = needed_bytes - board.info["heap_free"]
    own_bytes = board.info.get("heap_bytes")  # of boards that are given one
    if lacks <= 0 or heap_bytes or own_bytes is None or not board.kind.emulated:
        return board
    larger = own_bytes + -(-(lacks + HEAP_MARGIN_BYTES) // HEAP_STEP_BYTES) * HEAP_STEP_BYTES
    board.close()
    grown(own_bytes, larger)
    return open_board(name, tier=tier, heap_bytes=larger)
