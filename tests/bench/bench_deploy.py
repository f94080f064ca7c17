"""How fast files get onto a board, ours beside mpremote's: `python tests/bench/bench_deploy.py [PORT]`.

The same files to the same board in one run, each onto a fresh filesystem: an emulated Pico's, or that of a Pico on
PORT, which is FORMATTED. Seconds are the host's; of the emulated board its own time is told, too.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bodydouble.boards.deploy import board_files, deploy, survey
from bodydouble.boards.firmware import build_firmware
from bodydouble.boards.images import find_image
from bodydouble.boards.inventory import board_type
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.recover_code import FORMAT
from bodydouble.boards.repl import Repl
from bodydouble.link.stream import SerialStream

LARGE_BYTES = 100_000
ROUND_TRIPS = 20


@contextmanager
def attended(port: str) -> Iterator[Repl]:
    """The board's raw REPL in a fresh interpreter."""
    stream = SerialStream(port)
    try:
        repl = Repl(stream)
        repl.attend(30)
        repl.soft_reset(30)
        yield repl
    finally:
        stream.close()


def emptied(port: str) -> None:
    """Format the board's filesystem."""
    with attended(port) as repl:
        repl.exec(FORMAT, 60)
        repl.leave()


def ours(port: str, files: dict[str, bytes]) -> float:
    """Seconds that a deploy takes, from a board that listens to files that are installed and verified."""
    began = time.perf_counter()
    with attended(port) as repl:
        deploy(repl, files, "0" * 64, found=survey(repl))
    return time.perf_counter() - began


def theirs(port: str, folder: Path) -> float:
    """Seconds that `mpremote fs cp -r` takes; it verifies nothing."""
    began = time.perf_counter()
    names = sorted(path.name for path in folder.iterdir())
    command = [sys.executable, "-m", "mpremote", "connect", os.path.realpath(port), "fs", "cp", "-r", *names, ":"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def round_trips(port: str) -> tuple[float, float]:
    """Seconds for a line of code and its outcome, by our REPL and by mpremote's transport."""
    from mpremote.transport_serial import SerialTransport

    with attended(port) as repl:
        began = time.perf_counter()
        for _ in range(ROUND_TRIPS):
            repl.exec("print(1)")
        own = time.perf_counter() - began
        repl.leave()
    transport = SerialTransport(os.path.realpath(port))
    transport.enter_raw_repl(soft_reset=False)
    began = time.perf_counter()
    for _ in range(ROUND_TRIPS):
        transport.exec("print(1)")
    other = time.perf_counter() - began
    transport.exit_raw_repl()
    transport.close()
    return own / ROUND_TRIPS, other / ROUND_TRIPS


def measure(port: str, sim: PicoSim | None, table: Table) -> None:
    """Fill the table."""

    def board_s() -> float:
        stats = sim.control("stats") if sim else {"emulated_s": 0.0}
        return float(stats["emulated_s"])

    with attended(port) as repl:
        build = build_firmware(survey(repl).target)
        repl.leave()
    sets = {
        "the firmware": board_files(build),
        "one file that does not compress": {"/main.py": b"", "/large.bin": random.Random(1).randbytes(LARGE_BYTES)},
    }
    for name, files in sets.items():
        size = sum(map(len, files.values()))
        with tempfile.TemporaryDirectory() as temporary:
            for path, data in files.items():
                file = Path(temporary, path[1:])
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            emptied(port)
            began = board_s()
            other = theirs(port, Path(temporary))
            other_board = board_s() - began
        emptied(port)
        began = board_s()
        own = ours(port, files)
        own_board = board_s() - began
        what = f"{name}: {len(files)} files, {size:,} bytes"
        for who, took, board in (("mpremote cp", other, other_board), ("ours", own, own_board)):
            table.add_row(what, who, f"{took:.2f}", f"{board:.2f}" if sim else "", f"{size / took / 1000:.1f} kB/s")
        table.add_row("", "", f"{other / own:.1f} times", f"{other_board / own_board:.1f} times" if sim else "", "")
    own, other = round_trips(port)
    table.add_row("a line of code", "mpremote", f"{other:.4f}", "", "")
    table.add_row("", "ours", f"{own:.4f}", "", f"{other / own:.1f} times")


def main() -> None:
    """Print the table."""
    table = Table("what", "who", "host s", "board s", "rate", title="files to a board")
    if len(sys.argv) > 1:
        measure(sys.argv[1], None, table)
    else:
        kind = board_type("pico-sim")
        with (
            tempfile.TemporaryDirectory() as folder,
            PicoSim.start("bench-deploy", find_image(kind), Path(folder, "flash"), attach_s=120.0) as sim,
        ):
            measure(sim.port, sim, table)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
