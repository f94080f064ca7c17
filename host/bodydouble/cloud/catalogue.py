"""The catalogue of chips and models: one TOML file each, every figure with its source and date."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import resources
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bodydouble.cloud.errors import FleetError, ModelNameError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    sources: Annotated[list[str], Field(min_length=1)]
    """Where the figures come from, each with a date."""


class Chip(_Entry):
    """An accelerator chip, dense figures."""

    bf16_tflops: Positive
    fp8_tflops: Positive
    """For models whose weights take one byte or less."""
    memory_gib: Positive
    memory_gb_per_s: Positive
    """10^9 bytes a second."""
    ranks_per_chip: Count
    """Tensor-parallel ranks that the vendor's software sees on a chip."""
    chips_per_instance: Count
    """The largest group that serves one copy of a model."""
    allreduce_us: Positive
    """Latency of one small all-reduce over a group."""
    memory_efficiency: Annotated[float, Field(gt=0, le=1)]
    prefill_mfu: Annotated[float, Field(gt=0, le=1)]
    prefill_overhead_ms: Annotated[float, Field(ge=0)]


class Model(_Entry):
    """A dense, decoder-only transformer."""

    bedrock_id: str
    parameters: Positive
    layers: Count
    hidden: Count
    kv_heads: Count
    head_dim: Count
    bytes_per_weight: Positive
    bytes_per_kv: Positive
    context_tokens: Count

    @property
    def weight_bytes(self) -> float:
        """All weights."""
        return self.parameters * self.bytes_per_weight

    @property
    def kv_bytes_per_token(self) -> float:
        """Keys and values of one token, in all layers, held once."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.bytes_per_kv


@lru_cache(maxsize=1)
def chips() -> dict[str, Chip]:
    """All chips, by name."""
    return {chip.name: chip for chip in (Chip.model_validate(entry) for entry in _entries("chips"))}


@lru_cache(maxsize=1)
def models() -> dict[str, Model]:
    """All models, by name."""
    return {model.name: model for model in (Model.model_validate(entry) for entry in _entries("models"))}


def find_chip(name: str) -> Chip:
    """The chip called `name`. Raises FleetError."""
    try:
        return chips()[name]
    except KeyError:
        raise FleetError(f"there is no chip {name!r}", hint=f"use one of {', '.join(chips())}") from None


def find_model(name: str) -> Model:
    """The model called `name`, or whose Bedrock id that is. Raises ModelNameError."""
    for model in models().values():
        if name in (model.name, model.bedrock_id):
            return model
    raise ModelNameError(f"there is no model {name!r}", hint=f"use one of {', '.join(models())}")


def _entries(folder: str) -> list[dict[str, Any]]:
    files = [file for file in (resources.files(__package__) / folder).iterdir() if file.name.endswith(".toml")]
    return [tomllib.loads(file.read_text(encoding="utf-8")) for file in sorted(files, key=lambda file: file.name)]
