"""Who gets a larger heap, and who does not."""

from __future__ import annotations

from typing import Any

import pytest

from bodydouble.boards.inventory import board_type
from bodydouble.session.roomy import open_roomy_board


class Opened:
    """As much of a board as matters here."""

    def __init__(self, kind: str, heap_bytes: int | None) -> None:
        self.kind = board_type(kind)
        self.info: dict[str, Any] = {"heap_free": 100_000, **({"heap_bytes": heap_bytes} if heap_bytes else {})}
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("kind", "own_bytes", "needed_bytes", "times"),
    [
        ("unix", 294_912, 90_000, 1),
        ("unix", 294_912, 200_000, 2),
        ("pico-sim", None, 200_000, 1),  # its heap is what its image leaves
        ("pico", None, 200_000, 1),
    ],
)
def test_only_a_heap_that_is_given_grows(
    monkeypatch: pytest.MonkeyPatch, kind: str, own_bytes: int | None, needed_bytes: int, times: int
) -> None:
    asked: list[int | None] = []

    def open_board(name: str, *, tier: str | None, heap_bytes: int | None) -> Opened:
        asked.append(heap_bytes)
        return Opened(name, own_bytes)

    monkeypatch.setattr("bodydouble.session.roomy.open_board", open_board)
    told: list[tuple[int, int]] = []
    open_roomy_board(kind, needed_bytes, tier=None, heap_bytes=None, grown=lambda *sizes: told.append(sizes))
    assert len(asked) == times and asked[0] is None
    assert told == ([(own_bytes, asked[1])] if times > 1 else [])
    if times > 1:
        assert asked[1] is not None and own_bytes is not None
        assert asked[1] >= own_bytes + needed_bytes - 100_000
