"""What a model is made of, what it costs, and what of it would be slow on a small board."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from bodydouble.compiler.plan import Plan, TensorInfo, compile_model
from bodydouble.compiler.reader import read_model
from bodydouble.session.model.library import ModelFile

PICO_HEAP_BYTES = 242_048
"""Free on a Pico after boot, as its own MicroPython reports it."""
PICO_HZ = 125_000_000
PICO_CYCLES_PER_MAC = 5.3
"""Of whole wake models on the asm tier, counted on an emulated Cortex-M0+ with all code in RAM: 4.9 to 5.5."""
_SLOW_S = 0.03


@dataclass(frozen=True)
class Description:
    """Facts of a model and its plan. `slow`: a line for each thing that will cost; projections say that they are."""

    model: ModelFile
    plan: Plan
    operations: dict[str, int]
    records: dict[str, int]
    slow: tuple[str, ...]

    @property
    def pico_ms(self) -> float:
        """Milliseconds that the multiply-accumulates would take on a Pico: projected, never measured."""
        return self.plan.macs * PICO_CYCLES_PER_MAC / PICO_HZ * 1e3


def describe(model: ModelFile) -> Description:
    """Read and compile `model`; raises ModelFileError and UnsupportedModelError."""
    data, source = model.read(), str(model.path)
    plan = compile_model(data, model.name, source)
    graph = read_model(data, source).subgraphs[0]
    return Description(
        model,
        plan,
        dict(Counter(op.kind for op in graph.operators)),
        dict(Counter(op.kind for op in plan.ops)),
        tuple(_slow(plan)),
    )


def facts(found: Description) -> dict[str, Any]:
    """As plain data."""
    plan = found.plan
    return {
        "name": found.model.name,
        "path": str(found.model.path),
        "origin": found.model.origin,
        "manifest": found.model.manifest,
        "sha256": plan.model_sha256,
        "inputs": [_tensor(info) for info in plan.inputs],
        "outputs": [_tensor(info) for info in plan.outputs],
        "operations": found.operations,
        "records": found.records,
        "macs": plan.macs,
        "weight_bytes": plan.weight_bytes,
        "plan_bytes": len(plan.blob),
        "arena_bytes": plan.arena_bytes,
        "state_bytes": plan.state_bytes,
        "pico_ms": {"value": round(found.pico_ms, 3), "clock": "projected"},
        "slow": list(found.slow),
    }


def _tensor(info: TensorInfo) -> dict[str, Any]:
    return {"type": info.type, "shape": list(info.shape), "scale": info.scale, "zero_point": info.zero_point}


def _slow(plan: Plan) -> list[str]:
    found = []
    needed = len(plan.blob) + plan.arena_bytes
    if needed > PICO_HEAP_BYTES:
        found.append(f"{needed:,} bytes of plan and arena do not fit a Pico's heap of {PICO_HEAP_BYTES:,}")
    seconds = plan.macs * PICO_CYCLES_PER_MAC / PICO_HZ
    if seconds > _SLOW_S:
        found.append(f"{plan.macs:,} multiply-accumulates: about {seconds:.2g} s on a Pico (projected)")
    if plan.macs:
        for op in plan.ops:
            if op.macs > plan.macs / 3 and len(plan.ops) > 3:
                share = op.macs / plan.macs
                found.append(f"{op.label} of {op.tensor!r} alone makes {share:.0%} of the multiply-accumulates")
    wide = sum(op.macs for op in plan.ops if op.kind in ("conv16", "depthwise16"))
    if wide:
        found.append(f"{wide:,} multiply-accumulates on int16 activations: slower than int8's, and twice the arena")
    return found
