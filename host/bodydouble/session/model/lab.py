"""Opens a board with a model loaded on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bodydouble.compiler.cache import load_plan
from bodydouble.compiler.packing import best_packing
from bodydouble.session.model.library import ModelFile
from bodydouble.session.model.runner import STALL_S, BoardModel
from bodydouble.session.roomy import open_roomy_board
from bodydouble.session.session import LOADED_BYTES, SPARE_BYTES

Grown = Callable[[int, int], None]


@contextmanager
def open_model(
    file: ModelFile,
    board: str = "unix",
    *,
    tier: str | None = None,
    heap_bytes: int | None = None,
    stall_s: float = STALL_S,
    grown: Grown = lambda own_bytes, heap_bytes: None,
) -> Iterator[BoardModel]:
    """A board of its own with `file` loaded: compiled first, so that what cannot run is told before a board starts.

    An emulated board is given the heap that the model needs, unless `heap_bytes` fixes it; `grown` is told.
    """
    plan = load_plan(file.path, name=file.name)
    needed = len(plan.blob) + plan.arena_bytes + LOADED_BYTES + SPARE_BYTES
    with open_roomy_board(board, needed, tier=tier, heap_bytes=heap_bytes, grown=grown) as opened:
        packing = best_packing(opened.info["packings"])
        yield BoardModel(opened, load_plan(file.path, name=file.name, packing=packing), stall_s=stall_s)
