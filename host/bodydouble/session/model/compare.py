"""A model on a board against its golden reference, tensor by tensor in the order in which they are computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bodydouble.session.model.golden import (
    GOLDEN,
    WITNESSES,
    GoldenError,
    GoldenRun,
    Job,
    available,
    require,
    run_golden,
)
from bodydouble.session.model.runner import Array, BoardModel

if TYPE_CHECKING:
    from bodydouble.compiler.plan import Plan


@dataclass(frozen=True)
class TensorComparison:
    """One tensor over all inferences: `values` compared, `differing` of them, `largest` difference in its own steps.

    `first` says where the first difference is: [inference, index...], the board's value, the reference's.
    """

    tensor: str
    operation: str
    shape: tuple[int, ...]
    values: int
    differing: int
    largest: float
    first: tuple[tuple[int, ...], float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """Against one reference. `error` says why it could not run the model; the lists are empty then."""

    reference: str
    tensors: tuple[TensorComparison, ...] = ()
    outputs: tuple[TensorComparison, ...] = ()
    arena_bytes: int = 0
    error: str = ""

    @property
    def values(self) -> int:
        """How many numbers were compared."""
        return sum(one.values for one in (*self.tensors, *self.outputs))

    @property
    def differing(self) -> int:
        """How many of them differ."""
        return sum(one.differing for one in (*self.tensors, *self.outputs))

    @property
    def largest(self) -> float:
        """The largest difference, in the steps of its tensor."""
        return max((one.largest for one in (*self.tensors, *self.outputs)), default=0.0)

    @property
    def first_difference(self) -> TensorComparison | None:
        """The tensor that differed first: in the earliest inference, then in the order in which they are computed."""
        found = [one for one in (*self.tensors, *self.outputs) if one.first]
        return min(found, key=lambda one: one.first[0][0] if one.first else 0, default=None)


@dataclass(frozen=True)
class Verdict:
    """`golden` decides; the witnesses are told beside it."""

    inferences: int
    golden: Comparison
    witnesses: tuple[Comparison, ...] = field(default=())

    @property
    def exact(self) -> bool:
        """True where every number equals the golden reference's."""
        return not self.golden.error and not self.golden.differing


def compare(model: BoardModel, data: bytes, inputs: Sequence[Array], witnesses: Sequence[str] = WITNESSES) -> Verdict:
    """Run `inputs` on the board and through the references; `data` is the `.tflite` file.

    A reference that does not run the model is told in its comparison's `error`. Raises InputError where tflite-micro
    is not installed.
    """
    require(GOLDEN)
    plan = model.plan
    order = sorted((index for index in plan.places if index >= 0), key=lambda index: plan.places[index].ops)
    ours = model.run(inputs, tensors=order)
    found = [
        _against(name, plan, data, inputs, order, ours.outputs, ours.tensors)
        for name in (GOLDEN, *witnesses)
        if available(name)
    ]
    return Verdict(len(inputs[0]), found[0], tuple(found[1:]))


def facts(model: BoardModel, verdict: Verdict) -> dict[str, Any]:
    """As plain data."""
    return {
        "model": model.plan.name,
        "sha256": model.plan.model_sha256,
        "board": dict(model.board),
        "exact": verdict.exact,
        "inferences": verdict.inferences,
        "arena_bytes": {"board": model.plan.arena_bytes, GOLDEN: verdict.golden.arena_bytes},
        "golden": _facts(verdict.golden),
        "witnesses": [_facts(one) for one in verdict.witnesses],
    }


def _facts(one: Comparison) -> dict[str, Any]:
    first = one.first_difference
    return {
        "reference": one.reference,
        "values": one.values,
        "differing": one.differing,
        "largest": _finite(one.largest),
        "error": one.error or None,
        "first_difference": _plain(first) if first else None,
        "tensors": [_plain(tensor) for tensor in (*one.tensors, *one.outputs)],
    }


def _plain(one: TensorComparison) -> dict[str, Any]:
    where, ours, theirs = one.first or (None, 0.0, 0.0)
    first = (where, _finite(ours), _finite(theirs)) if where is not None else None
    return {**asdict(one), "largest": _finite(one.largest), "first": first}


def _finite(value: float) -> float | None:
    # JSON knows neither NaN nor infinity.
    return value if math.isfinite(value) else None


def _against(
    name: str,
    plan: Plan,
    data: bytes,
    inputs: Sequence[Array],
    order: Sequence[int],
    outputs: Sequence[Array],
    tensors: dict[int, Array],
) -> Comparison:
    try:
        theirs = run_golden(Job(data, inputs, order), name)
        arena_bytes = _arena(theirs, data, inputs, name)
    except GoldenError as error:
        return Comparison(name, error=str(error))
    between = tuple(
        _tensor(plan.places[index].tensor, plan.places[index].operation, tensors[index], theirs.tensors[index])
        for index in order
    )
    ends = tuple(
        _tensor(f"output {number}", "OUTPUT", ours, golden)
        for number, (ours, golden) in enumerate(zip(outputs, theirs.outputs, strict=True))
    )
    return Comparison(name, between, ends, arena_bytes)


def _arena(run: GoldenRun, data: bytes, inputs: Sequence[Array], name: str) -> int:
    # A run that keeps every tensor needs more than an ordinary one; the figure is taken from the latter.
    if name != GOLDEN:
        return run.arena_bytes
    return run_golden(Job(data, [x[:1] for x in inputs])).arena_bytes


def _tensor(name: str, operation: str, ours: Array, golden: Array) -> TensorComparison:
    golden = golden.reshape(ours.shape).astype(ours.dtype, copy=False)
    # Floats are compared by their bits, so that a NaN equals itself and -0 is not 0.
    wrong = ours != golden if ours.dtype.kind != "f" else ours.view(np.uint32) != golden.view(np.uint32)
    at = np.argwhere(wrong)
    first = None
    if len(at):
        where = tuple(int(i) for i in at[0])
        first = (where, float(ours[where]), float(golden[where]))
    largest = float(np.abs(ours.astype(np.float64) - golden.astype(np.float64)).max()) if len(at) else 0.0
    return TensorComparison(name, operation, ours.shape[1:], int(ours.size), len(at), largest, first)
