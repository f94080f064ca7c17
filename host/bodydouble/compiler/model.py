"""A .tflite model as plain data: what the rest of the compiler works on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Bytes per element of the types that a tensor may have.
TYPE_BYTES = {"FLOAT32": 4, "INT32": 4, "UINT8": 1, "INT64": 8, "BOOL": 1, "INT16": 2, "INT8": 1, "FLOAT16": 2}
# Those that the board's arena may hold, by their numbers in a plan (firmware/PLAN.md).
TYPE_CODES = {"INT8": 0, "UINT8": 1, "INT16": 2, "INT32": 3, "FLOAT32": 4, "INT64": 5, "BOOL": 6}


_ZERO_POINTS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "INT32": (0, 0), "INT64": (0, 0)}


@dataclass(frozen=True)
class Quantisation:
    """real = scale * (value - zero point), per tensor or along one dimension."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    dimension: int = 0

    @property
    def scale(self) -> float:
        """The only scale of a tensor quantised as a whole."""
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """Its zero point."""
        return self.zero_points[0]

    def whole(self, kind: str) -> bool:
        """True with one scale, and a zero point that a tensor of type `kind` can hold."""
        low, high = _ZERO_POINTS.get(kind, (0, 0))
        return len(self.scales) == len(self.zero_points) == 1 and low <= self.zero_point <= high


@dataclass(frozen=True)
class Tensor:
    """One tensor; `data` holds a constant's bytes, else None. A `variable` keeps its value between inferences."""

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    data: bytes | None = field(default=None, repr=False)
    quantisation: Quantisation | None = None
    variable: bool = False

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def item(self) -> int:
        """Bytes of one of them."""
        return TYPE_BYTES.get(self.type, 1)


@dataclass(frozen=True)
class Operator:
    """One operation; an absent optional input is -1."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Subgraph:
    """Operations in the order in which they run."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A whole file; the first subgraph is the one that runs."""

    source: str
    subgraphs: tuple[Subgraph, ...]
