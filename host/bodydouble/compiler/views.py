"""Where tensors lie before addresses are known: storages in the arena, and views of them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(eq=False)
class Storage:
    """A stretch of the arena. `persistent` ones survive an inference; `offset` is set by the planner."""

    name: str
    size: int
    persistent: bool = False
    offset: int = -1


@dataclass(frozen=True)
class View:
    """A tensor's place: byte offset in a storage, byte strides, and the bytes of an element."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    item: int = 1

    @property
    def contiguous(self) -> bool:
        """True when the elements follow one another in order."""
        dense = dense_strides(self.shape, self.item)
        return all(
            size == 1 or stride == step for size, stride, step in zip(self.shape, self.strides, dense, strict=True)
        )

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes they take, gaps left out."""
        return self.size * self.item

    @property
    def address(self) -> int:
        """Where it starts in the arena, once planned."""
        return self.storage.offset + self.offset

    def reshaped(self, shape: tuple[int, ...]) -> View:
        """The same bytes in another shape; only of a contiguous view."""
        return View(self.storage, self.offset, shape, dense_strides(shape, self.item), self.item)

    def cut(self, axis: int, begin: int, count: int, step: int = 1) -> View:
        """`count` elements along `axis` from `begin`, every `step`th; a step below 0 goes backwards."""
        return View(
            self.storage,
            self.offset + begin * self.strides[axis],
            (*self.shape[:axis], count, *self.shape[axis + 1 :]),
            (*self.strides[:axis], step * self.strides[axis], *self.strides[axis + 1 :]),
            self.item,
        )

    def only(self, axis: int, index: int) -> View:
        """What lies at `index` along `axis`, that dimension left out."""
        at = self.cut(axis, index, 1)
        return at.ordered(tuple(i for i in range(len(self.shape)) if i != axis))

    def ordered(self, axes: tuple[int, ...]) -> View:
        """The dimensions `axes` in that order; those left out have one element."""
        shape, strides = tuple(self.shape[i] for i in axes), tuple(self.strides[i] for i in axes)
        return View(self.storage, self.offset, shape, strides, self.item)

    def repeated(self, shape: tuple[int, ...]) -> View:
        """Its first element, again and again."""
        return View(self.storage, self.offset, shape, (0,) * len(shape), self.item)

    def same_place(self, other: View) -> bool:
        """True when both are the same elements in the same order."""
        return (
            self.storage is other.storage
            and self.offset == other.offset
            and self.shape == other.shape
            and all(n == 1 or a == b for n, a, b in zip(self.shape, self.strides, other.strides, strict=True))
        )


def dense_strides(shape: tuple[int, ...], item: int = 1) -> tuple[int, ...]:
    """Byte strides of a tensor of `item` bytes an element, stored without gaps."""
    strides: list[int] = []
    step = item
    for count in reversed(shape):
        strides.append(step)
        step *= count
    return tuple(reversed(strides))


def whole(storage: Storage, shape: tuple[int, ...], item: int = 1) -> View:
    """A view of all of a storage."""
    return View(storage, 0, shape, dense_strides(shape, item), item)
