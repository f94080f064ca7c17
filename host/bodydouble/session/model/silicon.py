"""How long a model would take at best on the silicon that a board stands in for: projected, never measured.

A roofline (Williams et al., CACM 52(4), 2009) for each operation of the model: it takes as long as the slowest of its
multiply-accumulates at the chip's peak, its weights from where they lie, and its activations through the SRAM. What
a vendor does not publish is left out, and so is all that a peak leaves out: utilisation, start-up, the processor
beside.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bodydouble.compiler.reader import read_model
from bodydouble.errors import InputError
from bodydouble.resources import boards_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from bodydouble.compiler.model import Subgraph
    from bodydouble.compiler.plan import Plan

Rate = Annotated[int, Field(gt=0)]
BOUNDS = ("compute", "weights", "activations")


class SiliconError(InputError):
    """No such silicon, or its file is none."""


class Silicon(BaseModel):
    """A chip, each figure from one of `sources`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    title: str
    clock_hz: Rate | None = None
    int8_macs_per_cycle: Rate | None = None
    int8_macs_per_s: Rate | None = None
    """The peak, where the vendor gives no clock."""
    sram_bytes_per_s: Rate | None = None
    """Between the arithmetic and the memory that holds activations."""
    weight_bytes_per_s: Rate | None = None
    """From flash or DRAM."""
    sources: Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_peak(self) -> Silicon:
        by_clock = (self.clock_hz is not None) + (self.int8_macs_per_cycle is not None)
        if by_clock != (0 if self.int8_macs_per_s else 2):
            raise ValueError("give clock_hz and int8_macs_per_cycle, or int8_macs_per_s alone")
        return self

    @property
    def peak_macs_per_s(self) -> float:
        """Multiply-accumulates of int8 a second."""
        return float(self.int8_macs_per_s or (self.clock_hz or 0) * (self.int8_macs_per_cycle or 0))


@dataclass(frozen=True)
class Work:
    """What one operation of the model does: `kind`, MACs, bytes of weights, bytes of activations in and out."""

    kind: str
    macs: int
    weight_bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class Projection:
    """Microseconds of an inference, at best, and how much of it each of BOUNDS takes."""

    silicon: Silicon
    us: float
    bound_us: dict[str, float]

    def facts(self, board_us: float) -> dict[str, Any]:
        """As plain data, beside the `board_us` that the board took."""
        return {
            "name": self.silicon.name,
            "title": self.silicon.title,
            "us": self.us,
            "clock": "projected",
            "bound_us": self.bound_us,
            "board_us": board_us,
            "ratio": board_us / self.us if self.us else None,
            "sources": self.silicon.sources,
        }


def known_silicon(folder: Path | None = None) -> list[str]:
    """The names, sorted."""
    return sorted(path.stem for path in (folder or boards_dir() / "silicon").glob("*.toml"))


def find_silicon(name: str, folder: Path | None = None) -> Silicon:
    """The chip of this name; SiliconError names those that there are."""
    folder = folder or boards_dir() / "silicon"
    if name not in known_silicon(folder):
        raise SiliconError(f"no silicon {name!r}", hint=f"known: {', '.join(known_silicon(folder))}")
    path = folder / f"{name}.toml"
    try:
        found = Silicon.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SiliconError(f"{path} cannot be read: {error}", hint="correct the file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise SiliconError(f"{path}: {where}: {first['msg']}", hint="correct the file") from error
    if found.name != name:
        raise SiliconError(f"{path} describes {found.name!r}", hint=f"name it {found.name}.toml")
    return found


def work(data: bytes, plan: Plan, source: str = "model") -> list[Work]:
    """What each operation of the model `data` computes and moves; those that `plan` does without are left out."""
    graph = read_model(data, source).subgraphs[0]
    macs: dict[int, int] = {}
    for op in plan.ops:
        macs[op.operator] = macs.get(op.operator, 0) + op.macs
    return [
        Work(
            operator.kind,
            macs.get(operator.index, 0),
            _bytes(graph, operator.inputs, constant=True),
            _bytes(graph, operator.inputs, constant=False) + _bytes(graph, operator.outputs, constant=False),
        )
        for operator in graph.operators
        if operator.index in macs
    ]


def _bytes(graph: Subgraph, indices: tuple[int, ...], *, constant: bool) -> int:
    tensors = [graph.tensors[index] for index in indices if index >= 0]
    return sum(tensor.elements * tensor.item for tensor in tensors if (tensor.data is not None) == constant)


def project(silicon: Silicon, done: list[Work]) -> Projection:
    """The roofline of all operations, one after the other."""
    bounds = dict.fromkeys(BOUNDS, 0.0)
    for one in done:
        times = (
            one.macs / silicon.peak_macs_per_s,
            one.weight_bytes / silicon.weight_bytes_per_s if silicon.weight_bytes_per_s else 0.0,
            one.activation_bytes / silicon.sram_bytes_per_s if silicon.sram_bytes_per_s else 0.0,
        )
        slowest = max(range(len(BOUNDS)), key=times.__getitem__)
        bounds[BOUNDS[slowest]] += times[slowest] * 1e6
    return Projection(silicon, sum(bounds.values()), bounds)
