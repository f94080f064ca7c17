"""How weights lie in a plan: each kind of kernel has a packing that it reads fastest (firmware/PLAN.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROWS, COLUMNS, PAIRS = 1, 2, 3
PACKINGS = (ROWS, COLUMNS, PAIRS)
_BLOCK = 4  # channels


def best_packing(offered: Iterable[int]) -> int:
    """Of the packings that a board's kernels read the one for its fastest."""
    return max(set(PACKINGS).intersection(offered), default=ROWS)


def conv_weights(rows: NDArray[np.uint8], packing: int) -> bytes:
    """Weights [channels, depth] of a CONV, each plus 128, as the packing orders them; depth is a multiple of 4."""
    ordered: NDArray[Any] = rows
    if packing != ROWS and len(rows) == 1:
        ordered = rows ^ 128
    elif packing == COLUMNS:
        ordered = _blocks(rows).transpose(0, 2, 1)
    elif packing == PAIRS:
        # [block, pair, channel of the pair, columns] to [block, 4 columns, pair, word, column of the word, channel]
        split = _blocks(rows).reshape(-1, 2, 2, rows.shape[1] // 4, 2, 2).swapaxes(4, 5).copy()
        split[:, :, 1] ^= 128
        ordered = split.transpose(0, 3, 1, 4, 5, 2)
    data: bytes = ordered.tobytes()
    return data


def depthwise_weights(blocks: NDArray[np.uint8], channels: int, packing: int) -> bytes:
    """Weights [blocks of 8 channels, taps, 8] of a DEPTHWISE, each plus 128, as the packing orders them."""
    ordered: NDArray[Any] = blocks
    if packing != ROWS:
        count, taps, _ = blocks.shape
        halves = blocks.reshape(count, taps, 2, _BLOCK).swapaxes(1, 2).reshape(2 * count, taps, _BLOCK)
        ordered = halves[: -(-channels // _BLOCK)] ^ 128
    data: bytes = ordered.tobytes()
    return data


def _blocks(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # [channels, depth] to [blocks, channels of a block, depth], the last block filled up.
    import numpy as np  # noqa: PLC0415  -- not needed when the plan is cached

    missing = np.full((-len(rows) % _BLOCK, rows.shape[1]), 128, np.uint8)
    return np.concatenate([rows, missing]).reshape(-1, _BLOCK, rows.shape[1])
