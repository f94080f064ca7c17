"""Orders of weights, byte by byte as PLAN.md tells them; a plan is kept for each packing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pymicro_wakeword
import pytest

from bodydouble.compiler import load_plan
from bodydouble.compiler.packing import COLUMNS, PAIRS, ROWS, best_packing, conv_weights, depthwise_weights

ALEXA = Path(pymicro_wakeword.__file__).parent / "models" / "alexa.tflite"


def _rows(channels: int, depth: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (channels, depth), np.uint8)


def test_conv_weights() -> None:
    rows = _rows(7, 12)
    filled = np.concatenate([rows, np.full((1, 12), 128, np.uint8)])
    assert conv_weights(rows, ROWS) == rows.tobytes()
    columns, pairs = bytearray(), bytearray()
    for block in (filled[:4], filled[4:]):
        for column in range(12):
            columns += bytes(block[:, column])
        for first in range(0, 12, 4):
            for even, odd in ((0, 1), (2, 3)):
                for column in (0, 2, 1, 3):
                    pairs += bytes([block[even, first + column], block[odd, first + column] ^ 128])
    assert conv_weights(rows, COLUMNS) == columns
    assert conv_weights(rows, PAIRS) == pairs


@pytest.mark.parametrize("packing", [COLUMNS, PAIRS])
def test_a_single_channel_is_a_row_of_signed_bytes(packing: int) -> None:
    rows = _rows(1, 8)
    assert conv_weights(rows, packing) == bytes(byte ^ 128 for byte in rows[0])


@pytest.mark.parametrize("packing", [COLUMNS, PAIRS])
@pytest.mark.parametrize("channels", [3, 4, 9, 16])
def test_depthwise_weights(channels: int, packing: int) -> None:
    taps = 5
    flat = np.full(((channels + 7) // 8 * 8, taps), 128, np.uint8)
    flat[:channels] = _rows(channels, taps)
    blocks = np.ascontiguousarray(flat.reshape(-1, 8, taps).transpose(0, 2, 1))
    assert depthwise_weights(blocks, channels, ROWS) == blocks.tobytes()
    wanted = bytearray()
    for first in range(0, channels, 4):
        for tap in range(taps):
            wanted += bytes(byte ^ 128 for byte in flat[first : first + 4, tap])
    assert depthwise_weights(blocks, channels, packing) == wanted


def test_the_fastest_packing_that_both_know() -> None:
    assert best_packing([1, 2]) == COLUMNS
    assert best_packing((1, 2, 3, 77)) == PAIRS
    assert best_packing([]) == best_packing([1]) == ROWS


def test_plans_are_kept_by_packing(tmp_path: Path) -> None:
    plans = {packing: load_plan(ALEXA, tmp_path, packing=packing) for packing in (ROWS, COLUMNS, PAIRS)}
    assert len({plan.sha256 for plan in plans.values()}) == 3
    assert len(list(tmp_path.iterdir())) == 3
    for packing, plan in plans.items():
        assert plan.blob[48] == packing
        assert load_plan(ALEXA, tmp_path, packing=packing) == plan
        assert plan.arena_bytes == plans[ROWS].arena_bytes
