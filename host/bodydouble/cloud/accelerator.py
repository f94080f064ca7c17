"""The time that a model takes on a fleet of chips: a roofline. Everything here is simulated, nothing is measured.

Decode, per token (TPOT): every weight and the cache are read once, and two all-reduces follow each layer:

    TPOT = (weights + cache) / (chips * bandwidth * efficiency) + 2 * layers * allreduce

Prefill (time to the first token, TTFT): the larger of computing the prompt and reading weights and cache:

    TTFT = overhead + max((2 * parameters * n + attention) / (chips * peak * MFU), (weights + cache) / bandwidth)
           + 2 * layers * allreduce

with causal attention of 2 * layers * hidden * n^2 operations. Efficiency, MFU, overhead and all-reduce latency are
constants of the chip's file, which says where they come from; `tests/cloud/test_accelerator.py` holds the result
against published measurements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bodydouble.cloud.catalogue import Chip, Model, find_chip
from bodydouble.cloud.errors import FleetError, MemoryFitError

MAX_CHIPS = 100_000
MEMORY_SHARE = 0.9
"""Of a chip's memory, what weights and cache may fill; the rest is for activations and the runtime (vLLM's default
`gpu_memory_utilization`)."""
RESERVED_TOKENS = 8192
"""Context that must fit beside the weights for a model to be served."""
_GIB = 1 << 30


@dataclass(frozen=True)
class Fleet:
    """`count` chips of one kind."""

    chip: Chip
    count: int

    @classmethod
    def parse(cls, text: str) -> Fleet:
        """From `CHIP:N`, or `CHIP` for one. Raises FleetError."""
        name, colon, count = text.partition(":")
        chip = find_chip(name)
        if not colon:
            return cls(chip, 1)
        if not (count.isascii() and count.isdigit() and len(count) <= 6 and 1 <= int(count) <= MAX_CHIPS):
            raise FleetError(
                f"the fleet {text!r} does not say how many chips", hint=f"use CHIP:N with N from 1 to {MAX_CHIPS}"
            )
        return cls(chip, int(count))

    def __str__(self) -> str:
        return f"{self.chip.name}:{self.count}"


@dataclass(frozen=True)
class Accelerator:
    """One group of a fleet's chips with one copy of `model` on it; times are in seconds of the simulated clock.

    A group has at most an instance's chips; what a fleet has beyond that is more copies, which do not make one
    user's answer come sooner. Raises MemoryFitError where the model does not fit into a group.
    """

    model: Model
    fleet: Fleet

    def __post_init__(self) -> None:
        chip, needed = self.fleet.chip, self._bytes_needed()
        if needed > self.chips * self._bytes_per_chip():
            fitting = math.ceil(needed / self._bytes_per_chip())
            cure = (
                f"use --fleet {chip.name}:{fitting} or more"
                if fitting <= chip.chips_per_instance
                else f"an instance has {chip.chips_per_instance} chips at most: use a smaller model or a larger chip"
            )
            raise MemoryFitError(
                f"{self.model.name} needs {needed / _GIB:.0f} GiB for its weights and {RESERVED_TOKENS} tokens,"
                f" {self.fleet} offers {self.chips * self._bytes_per_chip() / _GIB:.0f} GiB",
                hint=cure,
            )

    @property
    def chips(self) -> int:
        """Chips that work on one request."""
        return min(self.fleet.count, self.fleet.chip.chips_per_instance)

    def prefill_s(self, tokens: int) -> float:
        """From the start of a prompt of `tokens` to the first token of the answer."""
        model, chip = self.model, self.fleet.chip
        work = 2.0 * model.parameters * tokens + 2.0 * model.layers * model.hidden * tokens**2
        peak_tflops = chip.fp8_tflops if model.bytes_per_weight <= 1 else chip.bf16_tflops
        compute = work / (self.chips * peak_tflops * 1e12 * chip.prefill_mfu)
        return chip.prefill_overhead_ms / 1e3 + max(compute, self._read_all_s(tokens)) + self._allreduce_s()

    def token_s(self, context: float) -> float:
        """One further token after `context` tokens (TPOT)."""
        return self._read_all_s(context) + self._allreduce_s()

    def decode_s(self, tokens: int, context: int) -> float:
        """`tokens` further tokens, one after the other, the first after `context` tokens."""
        return max(tokens, 0) * self.token_s(context + max(tokens - 1, 0) / 2)

    def _read_all_s(self, context: float) -> float:
        """To read all weights and the cache of `context` tokens once."""
        chip = self.fleet.chip
        size = self.model.weight_bytes + context * self._kv_bytes_per_token()
        return size / (self.chips * chip.memory_gb_per_s * 1e9 * chip.memory_efficiency)

    def _allreduce_s(self) -> float:
        ranks = self.chips * self.fleet.chip.ranks_per_chip
        return 2 * self.model.layers * self.fleet.chip.allreduce_us / 1e6 if ranks > 1 else 0.0

    def _kv_bytes_per_token(self) -> float:
        """Bytes over all ranks: where there are more ranks than heads, several hold the same head."""
        ranks = self.chips * self.fleet.chip.ranks_per_chip
        heads = self.model.kv_heads
        return self.model.kv_bytes_per_token * math.ceil(heads / ranks) * ranks / heads

    def _bytes_needed(self) -> float:
        return self.model.weight_bytes + RESERVED_TOKENS * self.model.kv_bytes_per_token

    def _bytes_per_chip(self) -> float:
        return self.fleet.chip.memory_gib * _GIB * MEMORY_SHARE
