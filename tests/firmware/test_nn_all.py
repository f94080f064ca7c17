"""Every family of operations at once, and every model at hand: nothing may differ from tflite-micro."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pymicro_wakeword
import pytest

from bodydouble.compiler import compile_model
from bodydouble.session.model.inputs import random_inputs
from support import families, nn
from support.graphs import FAMILIES

COMMUNITY = Path(pymicro_wakeword.__file__).parent / "models"
SAMPLE = 40
PROOF = 2000


@pytest.mark.parametrize(
    ("tier", "bits", "first"),
    [
        ("viper", 64, 0),
        ("bytecode", 64, 10_000),
        pytest.param("viper", 32, 20_000, marks=pytest.mark.micropython32),
        pytest.param("asm", 32, 30_000, marks=pytest.mark.micropython32),
    ],
)
def test_random_graphs_of_all_families(tier: str, bits: int, first: int, soak: bool) -> None:
    """Shapes, strides, paddings, scales and zero points at their extremes; every tensor, with state and resets."""
    count = PROOF if soak and bits == 64 else PROOF // 4 if soak else SAMPLE if tier == "viper" else SAMPLE // 2
    values = 0
    for start in range(first, first + count, 100):  # a look at memory: traced arenas are large
        jobs = families.graphs(range(start, min(start + 100, first + count)), FAMILIES, inferences=5)
        values += families.check(jobs, tier, bits, resets=(3,))
    assert values > 100 * count


def _models() -> list[Path]:
    data = os.environ.get("BODYDOUBLE_DATA")
    found = sorted(COMMUNITY.glob("*.tflite"))
    return found + (sorted(Path(data).glob("m*/*.tflite")) if data else [])


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
@pytest.mark.parametrize("path", _models(), ids=lambda path: path.stem)
def test_models_on_random_inputs(path: Path, tier: str, soak: bool) -> None:
    """Seeded inputs, extremes among them; the slower tier sees fewer of them, in proportion to the model's work."""
    data = path.read_bytes()
    plan = compile_model(data, path.stem)
    most = 4_000_000_000 if tier == "viper" else 60_000_000
    count = max(1, min(100, most // (1 if soak else 20) // max(plan.macs, 1)))
    inputs = random_inputs(plan, count, seed=7)[0]
    trace = plan.arena_bytes * (len(plan.ops) + 1) * count < 300_000_000
    found = nn.compare([(path.stem, data, plan, inputs)], tier, trace=trace)
    print(f"\n{path.stem}: {found.values:,} values of {count} inferences equal to tflite-micro's")
    assert not found.differences, "\n".join(found.differences[:5])
    assert found.values >= count * int(np.prod(plan.output.shape))
