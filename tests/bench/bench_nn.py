"""Wake models on the `unix` board beside `pymicro-wakeword` and `tflite-micro`, in the same run.

    python tests/bench/bench_nn.py

Each figure is the best of several rounds. The board's come from the clock of the MicroPython that runs it; a 32-bit
one is measured when BODYDOUBLE_MICROPYTHON32 names it. A Pico's figures are counted cycles (support/thumb.py).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pymicro_wakeword
from rich.console import Console
from rich.table import Table

from bodydouble.compiler import Plan, compile_model
from bodydouble.compiler.packing import COLUMNS, PAIRS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import pymicro
from support.asm import cycles_of_an_inference
from support.micropython import ROOT, run_micropython

SOURCES = Path(pymicro_wakeword.__file__).parent / "models"
SCRIPT = ROOT / "tests" / "firmware" / "mp_nn_bench.py"


def board_us(plan: Plan, tier: str, bits: int = 64) -> list[float]:
    """Microseconds per inference, then per operation."""
    rounds = ("5", "2") if tier == "bytecode" else ("300", "20")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan")
        path.write_bytes(plan.blob)
        return [int(ns) / 1000 for ns in run_micropython(SCRIPT, tier, path, *rounds, bits=bits).split()]


def pico_cycles(plan: Plan) -> list[int]:
    """Cycles of each operation in ARMv6-M's assembler."""
    rows = np.random.default_rng(1).normal(-60, 40, (8, plan.stride * 40)).clip(-128, 127).astype(np.int8)
    return cycles_of_an_inference(plan, rows.tobytes())


def pymicro_us(name: str, rounds: int = 30) -> float:
    """pymicro-wakeword's time per inference, from features as it takes them."""
    model = pymicro.model(name)
    rows = np.random.default_rng(1).integers(0, 600, (300, 1, 1, 40)) * pymicro.FEATURE_STEP
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for row in rows:
            model.process_streaming_prob(row)
        best = min(best, time.perf_counter() - start)
    return best * 1e6 / (len(rows) // model.stride)


def tflm_us(data: bytes, rounds: int = 10) -> float:
    """tflite-micro's time per inference (reference kernels), called from Python."""
    from tflite_micro import runtime

    model = runtime.Interpreter.from_bytes(data)
    x = np.zeros((1, 3, 40), np.int8)
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(50):
            model.set_input(x, 0)
            model.invoke()
        best = min(best, time.perf_counter() - start)
    return best * 1e6 / 50


def main() -> None:
    console = Console(width=170)
    table = Table(title="Wake models, µs per inference (every third hop)")
    columns = ["model", "MACs", "plan B", "arena B", "its manifest B", "viper", "ns/MAC", "bytecode"]
    bits32 = bool(os.environ.get("BODYDOUBLE_MICROPYTHON32"))
    columns += ["Pico cycles", "per MAC"]
    columns += ["viper 32-bit", "asm", "dsp"] if bits32 else []
    for name in [*columns, "pymicro-wakeword", "ratio", "tflite-micro"]:
        table.add_column(name, justify="left" if name == "model" else "right")
    for name in ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu"):
        data = (SOURCES / f"{name}.tflite").read_bytes()
        plan = compile_model(data, name)
        manifest = json.loads((SOURCES / f"{name}.json").read_text())["micro"]["tensor_arena_size"]
        viper, *ops = board_us(plan, "viper")
        theirs = pymicro_us(name)
        row = [name, str(plan.macs), str(len(plan.blob)), str(plan.arena_bytes), str(manifest), f"{viper:.1f}"]
        row += [f"{viper * 1000 / plan.macs:.2f}", f"{board_us(plan, 'bytecode')[0]:.0f}"]
        columns_plan = compile_model(data, name, packing=COLUMNS)
        cycles = pico_cycles(columns_plan)
        row += [f"{sum(cycles):,}", f"{sum(cycles) / plan.macs:.2f}"]
        if bits32:
            pairs_plan = compile_model(data, name, packing=PAIRS)
            on_32 = ((plan, "viper"), (columns_plan, "asm"), (pairs_plan, "asm"))
            row += [f"{board_us(packed, tier, 32)[0]:.1f}" for packed, tier in on_32]
        table.add_row(*row, f"{theirs:.1f}", f"{viper / theirs:.2f}", f"{tflm_us(data):.1f}")
        if name == "alexa":
            detail = Table(title="alexa, viper, operation by operation")
            for column in ("operation", "MACs", "µs", "ns/MAC", "Pico cycles", "per MAC"):
                detail.add_column(column, justify="left" if column == "operation" else "right")
            for info, us, count in zip(plan.ops, ops, cycles, strict=True):
                per_mac = [f"{value / info.macs:.2f}" if info.macs else "" for value in (us * 1000, count)]
                detail.add_row(info.label, str(info.macs or ""), f"{us:.2f}", per_mac[0], f"{count:,}", per_mac[1])
    console.print(table)
    console.print(detail)


if __name__ == "__main__":
    main()
