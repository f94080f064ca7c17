"""What a model is made of, what it costs, and what of it would be slow on a small board."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bodydouble.compiler.plan import Plan, TensorInfo, compile_model
from bodydouble.compiler.reader import read_model
from bodydouble.errors import InputError
from bodydouble.session.model.inputs import FEATURES
from bodydouble.session.model.library import ModelFile

PICO_HEAP_BYTES = 242_048
"""Free on a Pico after boot, as its own MicroPython reports it."""
PICO_HZ = 125_000_000
PICO_CYCLES_PER_MAC = 5.3
"""Of whole wake models on the asm tier, counted on an emulated Cortex-M0+ with all code in RAM: 4.9 to 5.5."""
_SLOW_S = 0.03


@dataclass(frozen=True)
class Description:
    """Facts of a model and its plan. `slow`: a line for each thing that will cost; projections say that they are.

    `period_s`: audio that an inference of a streaming model takes, where the manifest says it; `manifest_error`: why
    there is none.
    """

    model: ModelFile
    plan: Plan
    operations: dict[str, int]
    period_s: float | None
    manifest_error: str
    slow: tuple[str, ...]

    @property
    def pico_ms(self) -> float:
        """Milliseconds that the multiply-accumulates would take on a Pico: projected, never measured."""
        return self.plan.macs * PICO_CYCLES_PER_MAC / PICO_HZ * 1e3

    @property
    def macs_per_second(self) -> float | None:
        """Multiply-accumulates for a second of audio; None where the manifest does not say how often it runs."""
        return self.plan.macs / self.period_s if self.period_s else None


def describe(model: ModelFile) -> Description:
    """Read and compile `model`; raises ModelFileError and UnsupportedModelError."""
    data, source = model.read(), str(model.path)
    plan = compile_model(data, model.name, source)
    graph = read_model(data, source).subgraphs[0]
    try:
        period_s, manifest_error = _period_s(model.manifest, plan), ""
    except InputError as error:
        period_s, manifest_error = None, str(error)
    return Description(
        model,
        plan,
        dict(Counter(op.kind for op in graph.operators)),
        period_s,
        manifest_error,
        tuple(_slow(plan)),
    )


def _period_s(manifest: dict[str, Any], plan: Plan) -> float | None:
    micro = manifest.get("micro")
    step_ms = (micro if isinstance(micro, dict) else manifest).get("feature_step_size")
    if not plan.state_bytes or FEATURES not in plan.input.shape or not isinstance(step_ms, (int, float)):
        return None
    frames = math.prod(plan.input.shape) // FEATURES
    return frames * step_ms / 1000 if 0 < step_ms < math.inf else None


def facts(found: Description) -> dict[str, Any]:
    """As plain data."""
    plan = found.plan
    return {
        "name": found.model.name,
        "path": str(found.model.path),
        "origin": found.model.origin,
        "manifest": None if found.manifest_error else found.model.manifest,
        "sha256": plan.model_sha256,
        "inputs": [_tensor(info) for info in plan.inputs],
        "outputs": [_tensor(info) for info in plan.outputs],
        "operations": found.operations,
        "records": [
            {"label": op.label, "kind": op.kind, "tensor": op.tensor, "shape": list(op.shape), "macs": op.macs}
            for op in plan.ops
        ],
        "macs": plan.macs,
        "macs_per_second_of_audio": found.macs_per_second,
        "period_s": found.period_s,
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
        most = max(plan.ops, key=lambda op: op.macs)
        if most.macs > plan.macs / 3 and len(plan.ops) > 3:
            share = most.macs / plan.macs
            found.append(f"{most.label} (operation {most.operator}) alone makes {share:.0%} of them")
    wide = sum(op.macs for op in plan.ops if op.kind in ("conv16", "depthwise16"))
    if wide:
        found.append(f"{wide:,} multiply-accumulates on int16 activations: slower than int8's, and twice the arena")
    return found
