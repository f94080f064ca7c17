"""Runs compiled plans under MicroPython and compares what they compute with tflite-micro, tensor by tensor."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodydouble.compiler import Plan
from support import tflm
from support.asm import run_build
from support.micropython import FIRMWARE, ROOT

SCRIPT = ROOT / "tests" / "firmware" / "mp_nn.py"
DTYPES: dict[str, type[np.generic]] = {
    "INT8": np.int8, "UINT8": np.uint8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FLOAT32": np.float32, "BOOL": np.bool_,
}  # fmt: skip


@dataclass(frozen=True)
class BoardRun:
    """Outputs [inferences, ...]; where traced, the tensors that an operation wrote or showed, by index."""

    outputs: NDArray[np.generic]
    tensors: dict[int, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True)
class BoardJob:
    """Inputs [inferences, ...] for a plan."""

    plan: Plan
    inputs: NDArray[np.generic]
    trace: bool = False
    resets: Sequence[int] = ()


def _tensors(plan: Plan, arenas: NDArray[np.uint8]) -> dict[int, NDArray[np.generic]]:
    # `arenas` [inferences, operations + 1, arena bytes]
    found = {}
    for index, place in plan.places.items():
        raw = np.ascontiguousarray(arenas[:, place.ops])
        dtype = DTYPES[place.type]
        view = np.ndarray(
            (raw.shape[0], *place.shape), dtype, raw, offset=place.offset, strides=(raw.strides[0], *place.strides)
        ).copy()
        found[index] = view ^ np.int8(-128) if place.type == "INT8" else view
    return found


def run_on_board(
    jobs: Sequence[BoardJob], tier: str, bits: int = 64, timeout_s: float = 600, path: Path = FIRMWARE
) -> list[BoardRun]:
    """Run every job in one MicroPython process, or with the assembler emulated where `bits` is asm.M0."""
    with tempfile.TemporaryDirectory(prefix="bodydouble-nn-") as name:
        lines = []
        for number, job in enumerate(jobs):
            folder = Path(name, str(number))
            folder.mkdir()
            (folder / "plan").write_bytes(job.plan.blob)
            (folder / "inputs").write_bytes(np.ascontiguousarray(job.inputs).tobytes())
            options = (["trace"] if job.trace else []) + [f"reset={n}" for n in job.resets]
            lines.append(" ".join([str(folder), *options]))
        jobs_file = Path(name, "jobs")
        jobs_file.write_text("".join(f"{line}\n" for line in lines))
        run_build(SCRIPT, tier, jobs_file, bits=bits, timeout_s=timeout_s, path=path)
        found = []
        for number, job in enumerate(jobs):
            plan, count = job.plan, len(job.inputs)
            raw = np.frombuffer((Path(name, str(number)) / "outputs").read_bytes(), np.uint8).reshape(count, -1)
            out = plan.output
            dtype = np.dtype(DTYPES[out.type])
            size = int(np.prod(out.shape)) * dtype.itemsize
            outputs = raw[:, -size:].copy().view(dtype).reshape(count, *out.shape)
            arenas = raw[:, :-size].reshape(count, -1, plan.arena_bytes) if job.trace else raw
            found.append(BoardRun(outputs, _tensors(plan, arenas) if job.trace else {}))
        return found


@dataclass
class Comparison:
    """How many values were compared, and a line for each tensor that differs."""

    values: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, what: str, board: NDArray[np.generic], golden: NDArray[np.generic]) -> None:
        """Compare two arrays element by element."""
        board = board.reshape(golden.shape)
        self.values += golden.size
        wrong = np.argwhere(board != golden)
        if len(wrong):
            at = tuple(wrong[0])
            self.differences.append(
                f"{what}: {len(wrong)} of {golden.size} differ, first at {list(map(int, at))}: "
                f"board {board[at]}, tflite-micro {golden[at]}"
            )


def compare(
    models: Sequence[tuple[str, bytes, Plan, NDArray[np.generic]]],
    tier: str,
    bits: int = 64,
    trace: bool = False,
    resets: Sequence[int] = (),
) -> Comparison:
    """Stream each model's inputs through board and tflite-micro: outputs and, when tracing, all tensors between."""
    golden = tflm.run_many(
        [
            tflm.Job(data, inputs, [i for i in plan.places if trace and i >= 0], resets)
            for _, data, plan, inputs in models
        ]
    )
    board = run_on_board([BoardJob(plan, inputs, trace, resets) for _, _, plan, inputs in models], tier, bits)
    result = Comparison()
    for (name, _, _, _), ours, theirs in zip(models, board, golden, strict=True):
        result.add(f"{name} output", ours.outputs, theirs.outputs)
        for index, values in theirs.tensors.items():
            result.add(f"{name} tensor {index}", ours.tensors[index], values)
    return result
