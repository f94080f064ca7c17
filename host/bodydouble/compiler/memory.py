"""Plans the arena: every storage gets an offset, and those that are never alive together share bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bodydouble.compiler.steps import Port, Step
from bodydouble.compiler.views import Storage

ALIGNMENT = 4


@dataclass(frozen=True)
class Life:
    """A storage, and the first and last step that touch it; inputs are written before 0, outputs read at the end."""

    storage: Storage
    first: int
    last: int

    def meets(self, other: Life) -> bool:
        """True when both are alive at once."""
        return self.first <= other.last and other.first <= self.last


def _lives(
    setup: Sequence[Step], steps: Sequence[Step], inputs: Sequence[Port], outputs: Sequence[Port]
) -> list[Life]:
    end = len(steps)
    spans: dict[Storage, list[int]] = {}
    for index, step in enumerate(steps):
        for storage in step.storages():
            spans.setdefault(storage, []).append(index)
    for port in inputs:
        spans.setdefault(port.view.storage, []).append(-1)
    for port in outputs:
        spans.setdefault(port.view.storage, []).append(end)
    for step in setup:
        for storage in step.storages():
            spans.setdefault(storage, [])
    return [
        Life(storage, -1, end) if storage.persistent or not touched else Life(storage, min(touched), max(touched))
        for storage, touched in spans.items()
    ]


def _round_up(size: int) -> int:
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def _fit(lives: Sequence[Life]) -> tuple[int, dict[Storage, int]]:
    # First fit: each storage, in the order given, into the lowest gap among those that it meets.
    placed: list[tuple[int, Life]] = []
    total = 0
    for life in lives:
        size = _round_up(life.storage.size)
        offset = 0
        for start, other in sorted((pair for pair in placed if pair[1].meets(life)), key=lambda pair: pair[0]):
            if start - offset >= size:
                break
            offset = max(offset, start + _round_up(other.storage.size))
        placed.append((offset, life))
        total = max(total, offset + size)
    return total, {life.storage: offset for offset, life in placed}


_ORDERS: tuple[Callable[[Life], tuple[int, ...]], ...] = (
    lambda life: (-life.storage.size, life.first),
    lambda life: (life.first, -life.storage.size),
    lambda life: (-(life.last - life.first), -life.storage.size),
    lambda life: (-life.storage.size * (life.last - life.first + 1), life.first),
)


def plan_arena(setup: Sequence[Step], steps: Sequence[Step], inputs: Sequence[Port], outputs: Sequence[Port]) -> int:
    """Set every storage's offset; returns the arena's bytes. Of several orders the one that needs least wins."""
    lives = _lives(setup, steps, inputs, outputs)
    total, offsets = min((_fit(sorted(lives, key=order)) for order in _ORDERS), key=lambda fit: fit[0])
    for storage, offset in offsets.items():
        storage.offset = offset
    return _round_up(max([total, ALIGNMENT, *(step.overreach() for step in steps)]))
