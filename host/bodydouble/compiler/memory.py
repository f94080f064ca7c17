"""Plans the arena: every storage gets an offset, and those that are never alive together share bytes.

A step that may write where it reads joins its two storages to one block, where nothing needs the first one any
longer. Blocks are then fitted one after the other; of several orders, some of them found by chance, the one that
takes least room wins. The chance is seeded: the same model always gets the same arena.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bodydouble.compiler.steps import Port, Step
from bodydouble.compiler.views import Storage, View

ALIGNMENT = 4
_FITS_MAX = 400
_WORK_MAX = 10_000_000  # pairs of blocks that all fits together may compare


@dataclass(frozen=True)
class Life:
    """A storage, and the first and last step that touch it; inputs are written before 0, outputs read at the end."""

    storage: Storage
    first: int
    last: int


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


@dataclass
class _Block:
    """Storages that lie at fixed distances: each with its offset in the block."""

    parts: list[tuple[Life, int]]

    def __post_init__(self) -> None:
        start = min(offset for _, offset in self.parts)
        self.parts = [(life, offset - start) for life, offset in self.parts]
        self.size = _round_up(max(offset + life.storage.size for life, offset in self.parts))
        self.first = min(life.first for life, _ in self.parts)
        self.last = max(life.last for life, _ in self.parts)


def _same_layout(a: View, b: View) -> bool:
    # Whether the elements of both lie alike, from the first to the last.
    if a.contiguous and b.contiguous:
        return (a.size, a.item) == (b.size, b.item)
    same = (a.shape, a.item) == (b.shape, b.item)
    return same and all(n == 1 or i == j for n, i, j in zip(a.shape, a.strides, b.strides, strict=True))


def _blocks(lives: Sequence[Life], steps: Sequence[Step], ratio: float) -> list[_Block]:
    # `ratio`: how much larger one of two joined storages may be; 0 joins none.
    known = {life.storage: life for life in lives}
    groups = {life.storage: [(life, 0)] for life in lives}
    offsets = {life.storage: 0 for life in lives}
    for index, step in enumerate(steps):
        pair = step.in_place()
        if pair is None:
            continue
        target, source = pair
        mine, theirs = known[target.storage], known[source.storage]
        distance = source.offset - target.offset
        sizes = sorted((target.storage.size, source.storage.size))
        if (
            target.storage is source.storage
            or target.storage.persistent
            or source.storage.persistent
            or theirs.last != index
            or mine.first != index
            or distance % ALIGNMENT
            or not _same_layout(target, source)
            or sizes[1] > ratio * sizes[0]
        ):
            continue
        group, by = groups[source.storage], offsets[source.storage] + distance - offsets[target.storage]
        for life, offset in tuple(groups[target.storage]):
            group.append((life, offset + by))
            groups[life.storage], offsets[life.storage] = group, offset + by
    return [_Block(group) for group in {id(group): group for group in groups.values()}.values()]


_Fit = tuple[int, list[tuple[int, _Block]]]  # bytes of the arena, and each block's offset


def _fit(blocks: Sequence[_Block]) -> _Fit:
    # First fit: each block, in the order given, into the lowest gap among those that are alive with it.
    placed: list[tuple[int, int, _Block]] = []
    total = 0
    for number, block in enumerate(blocks):
        offset = 0
        for start, _, other in placed:
            if other.first <= block.last and block.first <= other.last:
                if start - offset >= block.size:
                    break
                offset = max(offset, start + other.size)
        bisect.insort(placed, (offset, number, block))
        total = max(total, offset + block.size)
    return total, [(offset, block) for offset, _, block in placed]


def _least(blocks: Sequence[_Block]) -> int:
    # What is alive at once can share nothing.
    changes: dict[int, int] = {}
    for block in blocks:
        changes[block.first] = changes.get(block.first, 0) + block.size
        changes[block.last + 1] = changes.get(block.last + 1, 0) - block.size
    alive = most = 0
    for at in sorted(changes):
        alive += changes[at]
        most = max(most, alive)
    return most


_RATIOS = (float("inf"), 1.5, 0)
_ORDERS: tuple[Callable[[_Block], tuple[int, ...]], ...] = (
    lambda block: (-block.size, block.first),
    lambda block: (block.first, -block.size),
    lambda block: (-(block.last - block.first), -block.size),
    lambda block: (-block.size * (block.last - block.first + 1), block.first),
)


def _improved(order: list[_Block], found: _Fit, fits: int) -> _Fit:
    # One block at a time is moved elsewhere in the order; what is no worse is kept.
    chance, least = random.Random(1), _least(order)  # noqa: S311  -- no secret
    for _ in range(fits):
        if found[0] == least:
            break
        trial = order.copy()
        trial.insert(chance.randrange(len(trial)), trial.pop(chance.randrange(len(trial))))
        fit = _fit(trial)
        if fit[0] <= found[0]:
            order, found = trial, fit
    return found


def plan_arena(setup: Sequence[Step], steps: Sequence[Step], inputs: Sequence[Port], outputs: Sequence[Port]) -> int:
    """Set every storage's offset; returns the arena's bytes."""
    lives = _lives(setup, steps, inputs, outputs)
    fits = max(1, min(_FITS_MAX, _WORK_MAX // len(lives) ** 2))
    ways = [(ratio, order) for ratio in _RATIOS for order in _ORDERS][:fits]
    blocks = {ratio: _blocks(lives, steps, ratio) for ratio in dict.fromkeys(ratio for ratio, _ in ways)}
    candidates = []
    for ratio, order in ways:
        ordered = sorted(blocks[ratio], key=order)
        candidates.append((_fit(ordered), ordered))
    found, ordered = min(candidates, key=lambda candidate: candidate[0][0])
    total, places = _improved(ordered, found, fits - len(ways))
    for offset, block in places:
        for life, within in block.parts:
            life.storage.offset = offset + within
    return _round_up(max([total, ALIGNMENT, *(step.overreach() for step in steps)]))
