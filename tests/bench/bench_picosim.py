"""How fast the emulated Pico runs: `python tests/bench/bench_picosim.py`.

The compiled core beside rp2040js's own in one process, in megacycles per second of processor time (a Pico has 125):
on a hand-made loop, and on MicroPython where BODYDOUBLE_PICO_IMAGE names an image.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bodydouble.boards.images import find_image
from bodydouble.boards.inventory import board_type
from bodydouble.boards.picosim import emulator
from bodydouble.boards.picosim.flash_file import FLASH_BASE, FLASH_BYTES
from bodydouble.boards.picosim.node import find_library, find_node
from support.pico_program import Program, bootable

HARNESS = Path(emulator.__file__).parent / "harness"
SCRIPT = Path(__file__).with_name("bench_picosim.mjs")

WORKLOADS = {
    "bytecode": "def f():\n s=0\n for i in range(60000): s+=i&7\n return s\nf()\n",
    "dictionaries and strings": "def f(n):\n d={}\n for i in range(n):\n  d[i%97]=str(i)+'x'\nf(6000)\n",
    "viper": (
        "@micropython.viper\ndef f(n:int)->int:\n b=bytearray(256)\n p=ptr8(b)\n s=0\n"
        " for i in range(n):\n  s+=(p[i&255]^128)-128\n  p[i&255]=s\n return s\nf(300000)\n"
    ),
    "assembler": (
        "@micropython.asm_thumb\ndef f(r0,r1):\n label(L)\n ldrb(r2,[r1,0])\n ldrb(r3,[r1,1])\n mul(r2,r3)\n"
        " add(r4,r4,r2)\n sub(r0,1)\n bne(L)\nf(1000000,bytearray(4))\n"
    ),
    "output by USB": "import sys\nb=bytes(4000)\nfor i in range(40): sys.stdout.buffer.write(b)\n",
}


def loop() -> Program:
    """Loads, a multiplication, additions and a store per round, from RAM, for ever."""
    program = Program().ldr(1, 0x20001000).movs(4, 0)
    program.label("loop").load(2, 1).load(3, 1, 4).op(0x435A, 0x18A4)  # muls r2, r3; adds r4, r4, r2
    return program.store(4, 1, 8).op(0x7808).adds(0, 1).cmp(0, 0).b("loop")


def measure(flash: bytes, codes: list[str], folder: Path) -> list[dict[str, float]]:
    """Per code: megacycles per second of the plain and of the compiled core."""
    path = folder / "bench.flash"
    path.write_bytes(flash.ljust(FLASH_BYTES, b"\xff"))
    command = [find_node(), SCRIPT, HARNESS, find_library(), path, json.dumps(codes)]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True)
    rows: list[dict[str, float]] = json.loads(done.stdout)
    return rows


def main() -> None:
    table = Table("workload", "rp2040js, Mcycles/s", "compiled, Mcycles/s", "ratio", title="the emulated Pico")
    with tempfile.TemporaryDirectory() as folder:
        rows = [("hand-made loop", measure(bootable(loop()), [""], Path(folder))[0])]
        if os.environ.get("BODYDOUBLE_PICO_IMAGE"):
            image, flash = find_image(board_type("pico-sim")), bytearray(b"\xff" * FLASH_BYTES)
            for address, data in image.pieces():
                flash[address - FLASH_BASE : address - FLASH_BASE + len(data)] = data
            rows += zip(WORKLOADS, measure(bytes(flash), list(WORKLOADS.values()), Path(folder)), strict=True)
    for name, row in rows:
        table.add_row(name, f"{row['plain']:.1f}", f"{row['compiled']:.1f}", f"{row['compiled'] / row['plain']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
