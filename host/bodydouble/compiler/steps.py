"""What the board will do: steps that read and write views; each becomes one record of the plan or more.

The steps of each family are in steps_*.py; a record's words are specified in firmware/PLAN.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    from bodydouble.compiler.pack import Packer


@dataclass(frozen=True)
class Step:
    """One record of the plan. `operator` and `tensor` say which operation and tensor of the model it serves."""

    operator: int = field(kw_only=True, default=-1)
    tensor: int = field(kw_only=True, default=-1)
    label: str = field(kw_only=True, default="")

    kind = ""
    code = 0  # the record's kind: family and number (firmware/PLAN.md)

    def storages(self) -> Iterator[Storage]:
        """Every storage that it reads, writes or uses as scratch."""
        return iter(())

    def in_place(self) -> tuple[View, View] | None:
        """(target, source) of a step that may write where it reads: at one address, each element is read first."""
        return None

    def overreach(self) -> int:
        """The arena must reach at least here: kernels read some bytes past the end of a row."""
        return 0

    def records(self, packer: Packer) -> list[list[int]]:
        """Its records as words, without their head; addresses are planned by now."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many records it becomes."""
        return 1

    @property
    def weight_bytes(self) -> int:
        """Bytes of the model's weights in it."""
        return 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates, as the model counts them."""
        return 0


@dataclass(frozen=True)
class Port:
    """An input or output of the model: where it lies, and what its bytes mean."""

    view: View
    type: str
    scale: float
    zero_point: int


@dataclass
class Program:
    """A lowered model."""

    setup: list[Step]
    steps: list[Step]
    inputs: list[Port]
    outputs: list[Port]
    # Where each tensor of the model can be found, and after which step: for looking at what lies between.
    places: dict[int, tuple[int, View, str]]
