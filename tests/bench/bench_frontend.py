"""Microseconds per 10 ms hop of the front end, each tier beside `pymicro-features`, in the same run.

    python tests/bench/bench_frontend.py

Each figure is the best of several rounds over the same second of noise. The board's figures come from the clock of
the MicroPython that runs it; a 32-bit one is measured when BODYDOUBLE_MICROPYTHON32 names it. Under qemu-arm these
compare tiers and say nothing of a processor; what the assembler takes on a Pico is counted, cycle by cycle, on an
emulated Cortex-M0+.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from pymicro_features import MicroFrontend  # type: ignore[import-untyped]  # publishes no types
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.asm import cycles_of_a_hop
from support.micropython import ROOT, run_micropython

HOPS = 100
PICO_MHZ = 125


def golden_us(samples: bytes, rounds: int = 50) -> float:
    """pymicro-features' time per hop, lists of floats and all, as CPython calls it."""
    front_end = MicroFrontend()
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for at in range(0, len(samples), 320):
            front_end.process_samples(samples[at : at + 320])
        best = min(best, time.perf_counter() - start)
    return best * 1e6 / HOPS


def board_us(samples: bytes, tier: str, bits: int) -> dict[str, float]:
    """Time per hop of the whole and of every step."""
    rounds = "3" if tier == "bytecode" else "50"
    script = ROOT / "tests" / "firmware" / "mp_frontend_bench.py"
    lines = run_micropython(script, tier, rounds, bits=bits, stdin=samples).decode().split("\n")
    return {name: float(us) for name, us in (line.split() for line in lines if line)}


def main() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 160 * HOPS).clip(-32768, 32767).astype("<i2").tobytes()
    columns = {"viper": board_us(noise, "viper", 64), "bytecode": board_us(noise, "bytecode", 64)}
    if os.environ.get("BODYDOUBLE_MICROPYTHON32"):
        columns["viper, 32-bit"] = board_us(noise, "viper", 32)
        columns["asm, 32-bit"] = board_us(noise, "asm", 32)
    table = Table(title="Front end, µs per hop")
    table.add_column("step")
    for name in columns:
        table.add_column(name, justify="right")
    for step in columns["viper"]:
        table.add_row("whole hop" if step == "hop" else f"  {step}", *(f"{c[step]:.1f}" for c in columns.values()))
    table.add_row("pymicro-features", f"{golden_us(noise):.1f}", style="dim")
    Console().print(table)

    table = Table(title="Front end, asm, cycles per hop on a Cortex-M0+")
    table.add_column("function")
    table.add_column("cycles", justify="right")
    table.add_column(f"µs at {PICO_MHZ} MHz", justify="right")
    cycles = cycles_of_a_hop(noise[: 320 * 20])
    for name, count in [*cycles.items(), ("all", sum(cycles.values()))]:
        table.add_row(name, f"{count:,.0f}", f"{count / PICO_MHZ:,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
