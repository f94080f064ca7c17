"""What the tests of every family of kernels do: random graphs, forced limbs, hostile plans, a look at the heap."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodydouble.compiler import Plan, compile_model
from support import nn
from support.graphs import RandomGraph
from support.micropython import ROOT, run_micropython

KERNELS = ROOT / "firmware" / "coproc" / "nn"
SCRIPTS = ROOT / "tests" / "firmware"

Job = tuple[str, bytes, Plan, NDArray[np.generic]]


def job(name: str, data: bytes, inputs: NDArray[np.generic]) -> Job:
    """A model, compiled, and its inputs [inferences, ...]."""
    return name, data, compile_model(data, name), inputs


def graphs(seeds: range, families: tuple[str, ...], inferences: int = 6) -> list[Job]:
    """A random graph for each seed; a family that is named twice is twice as likely."""
    jobs = []
    for seed in seeds:
        graph = RandomGraph(seed, families)
        data = graph.build()
        plan = compile_model(data, f"graph {seed}")
        inputs = graph.inputs(plan.input.shape, plan.input.type, inferences)
        jobs.append((f"graph {seed}", data, plan, inputs))
    return jobs


def check(jobs: Sequence[Job], tier: str, bits: int = 64, trace: bool = True, resets: Sequence[int] = ()) -> int:
    """Compare with tflite-micro; returns how many values were equal."""
    values = 0
    for first in range(0, len(jobs), 200):  # traced arenas are large
        found = nn.compare(jobs[first : first + 200], tier, bits, trace, resets)
        assert not found.differences, "\n".join(found.differences[:20])
        values += found.values
    print(f"\n{tier} {bits}-bit: {values:,} values of {len(jobs)} models equal to tflite-micro's")
    return values


def check_limbs(module: str, jobs: Sequence[Job], folder: Path) -> None:
    """The 32-bit path of `module`'s products gives the same on a 64-bit build, where it is forced here."""
    package = folder / "coproc" / "nn"
    package.mkdir(parents=True)
    for path in KERNELS.glob("*.py"):
        (package / path.name).write_text(path.read_text())
    source, count = re.subn(r"^( +)wide = .*$", r"\1wide = 0", (KERNELS / f"{module}.py").read_text(), flags=re.M)
    assert count
    (package / f"{module}.py").write_text(source)
    board = [nn.BoardJob(plan, inputs) for _, _, plan, inputs in jobs]
    forced, usual = nn.run_on_board(board, "viper", path=folder), nn.run_on_board(board, "viper")
    for (name, _, _, _), a, b in zip(jobs, forced, usual, strict=True):
        assert np.array_equal(a.outputs, b.outputs), name


def check_hostile(plans: Sequence[Plan], tier: str, folder: Path, rounds: int) -> int:
    """Feed damaged and hostile versions of small plans to the loader; returns how many ran inside their arena."""
    ran = 0
    path = folder / "plan"
    for seed, plan in enumerate(plans):
        path.write_bytes(plan.blob)
        out = run_micropython(SCRIPTS / "mp_nn_hostile.py", tier, path, seed, rounds, timeout_s=3000)
        ran += int(out.split()[2])
    print(f"\n{tier}: {ran} plans with a right hash ran inside their arena")
    return ran


def check_heap(plans: Sequence[Plan], tier: str, folder: Path, bits: int = 64, invokes: int = 20) -> None:
    """Inferences and resets allocate nothing."""
    paths = []
    for number, plan in enumerate(plans):
        paths.append(folder / f"{number}.plan")
        paths[-1].write_bytes(plan.blob)
    out = run_micropython(SCRIPTS / "mp_nn_alloc.py", tier, invokes, *paths, heap="1M", bits=bits)
    assert [int(line.split()[2]) for line in out.decode().splitlines()] == [0] * len(plans)
