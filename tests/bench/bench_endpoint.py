"""Microseconds per hop of endpointing on each kernel tier: `python tests/bench/bench_endpoint.py [--bits 32]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bodydouble.compiler import compile_model
from bodydouble.session.voice import find_voice_model
from support.micropython import ROOT, run_micropython


def main() -> None:
    """Print a table: tier, and for each state of the endpointer the best mean time of a hop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bits", type=int, choices=(32, 64), default=64)
    bits = parser.parse_args().bits
    print(f"endpointing, {bits}-bit, us per hop\ntier              unarmed  waiting  speaking")
    model = find_voice_model().path
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan")
        plan.write_bytes(compile_model(model.read_bytes(), "vad", str(model)).blob)
        script = ROOT / "tests" / "firmware" / "mp_endpoint_bench.py"
        for tier in ("viper", "bytecode"):
            for name, by in ((tier, []), (f"{tier} + model", [plan])):
                printed = run_micropython(script, tier, *by, bits=bits).decode()
                times_us = [int(line.split()[1]) / 1000 for line in printed.splitlines()]
                print(f"{name:17s} {times_us[0]:7.2f}  {times_us[1]:7.2f}  {times_us[2]:8.2f}")


if __name__ == "__main__":
    main()
