"""Every model at hand on the `unix` board, tier by tier, beside the TensorFlow Lite runtimes, in the same run.

    BODYDOUBLE_DATA=… python tests/bench/bench_models.py [MODEL ...]

Board figures come from the board's own clock, the best of several rounds; the runtimes' from this machine's, called
from Python, the best call: tflite-micro's reference kernels, and the optimised ones of ai-edge-litert and
tflite-runtime on one thread, where they are installed and run the model. Ratios are the viper tier's time over
theirs: below 1 the board is faster. tflite-runtime needs numpy below 2 and Python 3.11 or older.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bodydouble.session.model.golden import GOLDEN, WITNESSES, Job, available, run_golden
from bodydouble.session.model.inputs import random_inputs
from bodydouble.session.model.lab import open_model
from bodydouble.session.model.library import find_model, list_models
from bodydouble.session.model.measure import measure, others

COLUMNS = ("model", "MACs", "arena B", "tflite-micro's", "viper ms", "ns/MAC", "bytecode ms")
RUNTIMES = [name for name in (GOLDEN, *WITNESSES) if available(name)]


def row(name: str) -> list[str]:
    """One model's figures."""
    file = find_model(name)
    data = file.read()
    ms = {}
    for tier in ("viper", "bytecode"):
        with open_model(file, tier=tier) as model:
            inputs = random_inputs(model.plan, 20 if tier == "viper" else 1, seed=3)
            model.run(inputs)
            if tier == "viper":
                plan, beside = model.plan, others(data, inputs)
                arena = run_golden(Job(data, [x[:1] for x in inputs])).arena_bytes
                ms[tier] = measure(model).us / 1e3
            else:
                ms[tier] = model.time_us(2, 1)[0] / 1e3
    viper = ms["viper"]
    found = [file.name, f"{plan.macs:,}", f"{plan.arena_bytes:,}", f"{arena:,}", f"{viper:.3f}"]
    found += [f"{viper * 1e6 / plan.macs:.2f}" if plan.macs else "", f"{ms['bytecode']:.1f}"]
    for runtime in RUNTIMES:
        us = beside.get(runtime)
        found += [f"{us / 1e3:.3f}", f"{viper * 1e3 / us:.2f}"] if us else ["", ""]
    return found


def main(names: list[str]) -> None:
    """Print the table."""
    data = os.environ.get("BODYDOUBLE_DATA")
    if not names:
        names = [model.name for model in list_models()]
        names += [str(path) for path in sorted(Path(data).glob("m*/*.tflite"))] if data else []
    table = Table(title="Models on the unix board")
    for column in (*COLUMNS, *(part for name in RUNTIMES for part in (f"{name} ms", "ratio"))):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name in names:
        table.add_row(*row(name))
    Console(width=190).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
