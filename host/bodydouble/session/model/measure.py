"""How long a model takes on a board, record by record; a figure names its clock and is the best of several rounds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bodydouble.session.model.golden import GOLDEN, WITNESSES, GoldenError, Job, available, run_golden

if TYPE_CHECKING:
    from bodydouble.compiler.plan import OpInfo, Plan
    from bodydouble.session.model.runner import Array, BoardModel

ROUND_US = 2000
"""A round lasts about this long, many times the resolution of a board's clock."""
ROUNDS = 7
ROUNDS_MIN = 2
MEASURE_US = 10e6
REPEAT_MAX = 2000


@dataclass(frozen=True)
class RecordTime:
    """One record of the plan: microseconds, share of the inference, cycles where the board's clock rate is known."""

    op: OpInfo
    us: float
    share: float
    cycles: float | None

    @property
    def ns_per_mac(self) -> float | None:
        """Nanoseconds per multiply-accumulate, where it makes any."""
        return self.us * 1000 / self.op.macs if self.op.macs else None


@dataclass(frozen=True)
class Timing:
    """A whole inference by the board's clock, its records, and what follows from them."""

    us: float
    records: tuple[RecordTime, ...]
    cpu_hz: int | None
    macs: int

    @property
    def macs_per_second(self) -> float:
        """Of the whole inference."""
        return self.macs / self.us * 1e6 if self.us else 0.0

    @property
    def cycles(self) -> float | None:
        """Of the whole inference; None where the board does not say how fast it is clocked."""
        return self.us * self.cpu_hz / 1e6 if self.cpu_hz else None


def measure(model: BoardModel) -> Timing:
    """Time `model` on the inputs that it saw last: in fewer rounds where an inference takes seconds."""
    once, _ = model.time_us(1, 1)
    repeat = max(1, min(REPEAT_MAX, int(ROUND_US / max(once, 1))))
    rounds = max(ROUNDS_MIN, min(ROUNDS, int(MEASURE_US / max(2 * once, 1))))
    whole, each = model.time_us(rounds, repeat)
    return timing(model.plan, whole, each, model.board.get("clock_hz"))


def others(data: bytes, inputs: Sequence[Array]) -> dict[str, float]:
    """Best microseconds per inference of other runtimes on this machine, by its clock, called from Python.

    tflite-micro's reference kernels, and the optimised ones of the TensorFlow Lite runtimes on one thread; those that
    are not installed, or fail, are left out.
    """
    found = {}
    for name in (GOLDEN, *WITNESSES):
        if available(name):
            with suppress(GoldenError):
                job = Job(data, [np.concatenate([x] * ROUNDS) for x in inputs], fast=True)
                found[name] = run_golden(job, name).us_min
    return found


def facts(model: BoardModel, timed: Timing, beside: dict[str, float]) -> dict[str, Any]:
    """As plain data; every time names its clock."""
    return {
        "model": model.plan.name,
        "board": dict(model.board),
        "clock": "board",
        "us": timed.us,
        "macs": timed.macs,
        "macs_per_second": timed.macs_per_second,
        **({"cycles": timed.cycles} if timed.cpu_hz else {}),
        "arena_bytes": model.plan.arena_bytes,
        "records": [
            {
                "label": one.op.label, "kind": one.op.kind, "tensor": one.op.tensor, "macs": one.op.macs,
                "us": one.us, "share": one.share, **({"cycles": one.cycles} if timed.cpu_hz else {}),
            }
            for one in timed.records
        ],
        "others": {name: {"us": us, "clock": "host", "ratio": timed.us / us} for name, us in beside.items()},
    }  # fmt: skip


def timing(plan: Plan, whole_us: float, each_us: list[float], cpu_hz: int | None) -> Timing:
    """Put names to measured times."""
    total = sum(each_us) or 1.0
    records = tuple(
        RecordTime(op, us, us / total, us * cpu_hz / 1e6 if cpu_hz else None)
        for op, us in zip(plan.ops, each_us, strict=True)
    )
    return Timing(whole_us, records, cpu_hz, plan.macs)
