"""A model under test on an open board: inputs go in, outputs and any tensor between come back."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bodydouble.boards.board import Board
    from bodydouble.compiler.plan import Place, Plan, TensorInfo

Array = NDArray[Any]
DTYPES: dict[str, str] = {
    "INT8": "<i1", "UINT8": "<u1", "INT16": "<i2", "INT32": "<i4", "FLOAT32": "<f4", "INT64": "<i8", "BOOL": "?",
}  # fmt: skip
STALL_S = 60.0
"""An inference of a large model on the bytecode tier takes seconds, during which a board says nothing."""


@dataclass(frozen=True)
class BoardRun:
    """What came of a number of inferences.

    `outputs`: one array [inferences, *shape] per output. `tensors`: by index in the model, likewise. Times are the
    board's own clock's, microseconds.
    """

    outputs: list[Array]
    tensors: dict[int, Array] = field(default_factory=dict)
    us_mean: float = 0.0
    us_min: int = 0
    us_max: int = 0


class BoardModel:
    """A plan loaded on `board` as its model under test; loading it replaces the last one.

    Raises RequestRefusedError where the board's heap has no room for it, with the bytes needed and the bytes free.
    """

    def __init__(self, board: Board, plan: Plan, *, stall_s: float = STALL_S) -> None:
        self._board = board
        self.plan = plan
        self.board: dict[str, Any] = board.info
        self._stall_s = stall_s
        self._slowest_us = 0
        self.loaded = board.upload(plan.name, plan.blob, task="model", arena=plan.arena_bytes)

    def run(self, inputs: Sequence[Array], *, tensors: Sequence[int] = (), fresh: bool = True) -> BoardRun:
        """Run on `inputs`: one array [inferences, *shape] per input. `tensors` of `Plan.places` are sent back, too.

        The state of a streaming model starts afresh unless `fresh` is False.
        """
        plan = self.plan
        count = len(inputs[0])
        taps = sorted(((index, plan.places[index]) for index in tensors), key=lambda tap: tap[1].ops)
        table = b"".join(struct.pack("<3I", place.ops, place.offset, _extent(place)) for _, place in taps)
        rows = [_bytes(x, info) for x, info in zip(inputs, plan.inputs, strict=True)]
        blob = table + np.concatenate(rows, axis=1).tobytes()
        reply, sent = self._board.exchange(
            "run", blob, timeout_s=self._stall_s, stall_s=self._stall_s, count=count, taps=len(taps), fresh=fresh
        )
        self._slowest_us = reply["us_max"]
        raw = np.frombuffer(sent, np.uint8).reshape(count, -1)
        at = 0
        found: dict[int, Array] = {}
        for index, place in taps:
            size = _extent(place)
            found[index] = _tensor(np.ascontiguousarray(raw[:, at : at + size]), place)
            at += size
        outputs = []
        for info in plan.outputs:
            dtype = np.dtype(DTYPES[info.type])
            size = int(np.prod(info.shape, dtype=int)) * dtype.itemsize
            outputs.append(np.ascontiguousarray(raw[:, at : at + size]).view(dtype).reshape(count, *info.shape))
            at += size
        return BoardRun(outputs, found, reply["us"] / count, reply["us_min"], reply["us_max"])

    def time_us(self, rounds: int, repeat: int) -> tuple[float, list[float]]:
        """The best of `rounds` rounds of `repeat` calls: microseconds of an inference, then of each record."""
        expected_s = 2 * rounds * repeat * self._slowest_us / 1e6
        _, sent = self._board.exchange("time", timeout_s=self._stall_s + 3 * expected_s, rounds=rounds, repeat=repeat)
        first, *others = (np.frombuffer(sent, "<u4") / repeat).tolist()
        return first, others

    def profile_ns(self) -> list[int]:
        """One inference: when it began and when each record ended, in nanoseconds from its start."""
        _, sent = self._board.exchange("profile", timeout_s=self._stall_s + 3 * self._slowest_us / 1e6)
        return [int(ns) for ns in np.frombuffer(sent, "<u4")]

    def features(self, pcm: NDArray[np.int16], compat: str = "esphome") -> NDArray[np.int8]:
        """The board's own front end on 16 kHz samples: [frames, 40], quantised by ESPHome's or pymicro's formula."""
        blocks = len(pcm) // 160
        blob = np.ascontiguousarray(pcm[: blocks * 160], "<i2").tobytes()
        quantize = 1 if compat == "pymicro" else 0
        _, sent = self._board.exchange(
            "features", blob, timeout_s=self._stall_s, stall_s=self._stall_s, blocks=blocks, quantize=quantize
        )
        return np.frombuffer(sent, np.int8).reshape(-1, 40)


def _bytes(x: Array, info: TensorInfo) -> NDArray[np.uint8]:
    return np.ascontiguousarray(x, DTYPES[info.type]).reshape(len(x), -1).view(np.uint8)


def _extent(place: Place) -> int:
    # From a tensor's first byte to its last, gaps included.
    item = np.dtype(DTYPES[place.type]).itemsize
    return sum((n - 1) * step for n, step in zip(place.shape, place.strides, strict=True)) + item


def _tensor(raw: NDArray[np.uint8], place: Place) -> Array:
    dtype = np.dtype(DTYPES[place.type])
    shape, strides = (len(raw), *place.shape), (raw.strides[0], *place.strides)
    view: Array = np.ndarray(shape, dtype, raw.tobytes(), strides=strides).copy()
    return view ^ np.int8(-128) if place.type == "INT8" else view  # the arena holds int8 plus 128
