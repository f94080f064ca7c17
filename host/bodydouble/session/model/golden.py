"""Golden references: tflite-micro and other TensorFlow Lite runtimes, each run in a process that it may crash.

tflite-micro decides what is right (double rounding). The others are witnesses: where they round otherwise they differ
by a step here and there, which says nothing against the board.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodydouble.errors import ExpectationError, InputError

Array = NDArray[Any]
GOLDEN = "tflite-micro"
_PACKAGES = {GOLDEN: "tflite_micro", "ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
WITNESSES = ("ai-edge-litert", "tflite-runtime")


class GoldenError(ExpectationError):
    """A reference refused the model, crashed on it, or took too long."""


@dataclass(frozen=True)
class Job:
    """`inputs`: one array [inferences, *shape] per input; `tensors` to watch, by index; `resets`: inferences before
    which the model starts afresh. `fast`: with the runtime's optimised kernels where it has any, on one thread."""

    model: bytes
    inputs: Sequence[Array]
    tensors: Sequence[int] = ()
    resets: Sequence[int] = ()
    fast: bool = False


@dataclass(frozen=True)
class GoldenRun:
    """Outputs [inferences, *shape], one array each; watched tensors by index; best microseconds per inference, by
    the host's clock; bytes of arena that the runtime says it used (0: it does not say)."""

    outputs: list[Array]
    tensors: dict[int, Array] = field(default_factory=dict)
    us_min: float = 0.0
    arena_bytes: int = 0


def available(runtime: str) -> bool:
    """True where the runtime's package is installed."""
    return importlib.util.find_spec(_PACKAGES[runtime]) is not None


def require(runtime: str) -> None:
    """Raise InputError where the runtime is not installed."""
    if not available(runtime):
        raise InputError(f"{runtime} is not installed", hint="pip install 'bodydouble[golden]'")


def run_golden(job: Job, runtime: str = GOLDEN, timeout_s: float = 300) -> GoldenRun:
    """Run one job; raises InputError where the runtime is not installed, GoldenError where it fails."""
    found = run_many([job], runtime, timeout_s)[0]
    if isinstance(found, GoldenError):
        raise found
    return found


def run_many(jobs: Sequence[Job], runtime: str = GOLDEN, timeout_s: float = 300) -> list[GoldenRun | GoldenError]:
    """Run every job in one process; an error stands in the place of a run that failed."""
    require(runtime)
    with tempfile.TemporaryDirectory(prefix="bodydouble-golden-") as name:
        for number, job in enumerate(jobs):
            folder = Path(name, str(number))
            folder.mkdir()
            (folder / "model").write_bytes(job.model)
            arrays = {f"x{i}": x for i, x in enumerate(job.inputs)}
            np.savez(
                folder / "job.npz",
                tensors=np.array(job.tensors, int),
                resets=np.array(job.resets, int),
                fast=job.fast,
                **arrays,  # type: ignore[arg-type]
            )
        command = [sys.executable, "-m", "bodydouble.session.model.golden_process", runtime, name, str(len(jobs))]
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
            ended = f"exit {done.returncode}" if done.returncode >= 0 else f"signal {-done.returncode}"
            said = done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired as error:
            ended, said = f"no answer within {timeout_s:g} s", (error.stderr or b"").decode(errors="replace")
        return [_collect(Path(name, str(number)), runtime, ended, said) for number in range(len(jobs))]


def _collect(folder: Path, runtime: str, ended: str, said: str) -> GoldenRun | GoldenError:
    path = folder / "out.npz"
    if not path.exists():
        reason = folder / "error"
        last = reason.read_text() if reason.exists() else (said.strip().splitlines() or ["it said nothing"])[-1]
        return GoldenError(
            f"{runtime} did not run the model ({ended}): {' '.join(last.split())[:300]}",
            hint="it is no reference for this model",
        )
    with np.load(path) as out:
        outputs = [out[f"y{i}"] for i in range(int(out["count"]))]
        tensors = {int(key[1:]): out[key] for key in out.files if key[0] == "t"}
        return GoldenRun(outputs, tensors, float(out["us_min"]), int(out["arena_bytes"]))
