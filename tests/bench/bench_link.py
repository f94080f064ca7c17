"""What the link costs, as a table: `python tests/bench/bench_link.py`.

On the board alone (its own clock), on the host alone, and between two processes over pipes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bodydouble.boards import Board, board_type
from bodydouble.boards.unix import open_unix
from bodydouble.link.core import LinkCore
from bodydouble.link.wire import Ack, Channel, FrameType, Hello, encode
from support.micropython import FIRMWARE, run_micropython

TESTS = Path(__file__).resolve().parents[1]
FRAMES = 20_000


def board_alone() -> list[tuple[str, str]]:
    """Microseconds per frame of the firmware's end, fed from memory."""
    out = []
    for line in run_micropython(TESTS / "firmware" / "mp_link_bench.py").decode().splitlines():
        tier, direction, kind, size, us = line.split(" ")
        out.append((f"board, {tier}: {kind} {direction}, {size} B", f"{float(us):.1f} us/frame"))
    return out


def host_alone() -> list[tuple[str, str]]:
    """Microseconds per frame of the host's core, without any stream."""
    payload = os.urandom(1024)
    core = LinkCore()
    core.open(0.0, "s")
    core.receive(encode(FrameType.HELLO, 0, 0, Hello(1, "s", credits=((2, 0x7FFFFFFF),)).pack()), 0.0)
    core.take(0.0)
    began = time.process_time()
    for n in range(FRAMES):
        core.send(Channel.AUDIO, payload)
        if n % 4 == 3:
            core.take(1.0)
        if n % 8 == 7:
            core.receive(encode(FrameType.ACK, 0, 0, Ack((n + 1) & 0xFFFF).pack()), 1.0)
    sent_s = time.process_time() - began
    chunks = [
        b"".join(encode(FrameType.DATA, Channel.UTTERANCE, (n + i) & 0xFFFF, payload) for i in range(4))
        for n in range(0, FRAMES, 4)
    ]
    began = time.process_time()
    for chunk in chunks:
        core.receive(chunk, 1.0)
        core.take(1.0)
    received_s = time.process_time() - began
    return [
        ("host core: audio out, 1024 B", f"{sent_s / FRAMES * 1e6:.1f} us/frame"),
        ("host core: utterance in, 1024 B", f"{received_s / FRAMES * 1e6:.1f} us/frame"),
    ]


def both(board: Board, *, echo: bool, frames: int) -> tuple[str, str]:
    """Audio to the board as fast as it grants, and back again when `echo`."""
    board.request("echo", on=echo)
    payload, connection, got = os.urandom(1024), board.connection, 0
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(frames):
        while connection.credit(Channel.AUDIO) < 1024:
            got += len(board.poll(1.0))
        connection.send(Channel.AUDIO, payload)
        got += len(board.poll(0.0))
    while echo and got < frames:
        got += len(board.poll(1.0))
    connection.drain()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    what = "there and back" if echo else "one way"
    rate = f"{frames * 1024 / wall_s / 1e6:.1f} MB/s, {wall_s / frames * 1e6:.1f} us/frame"
    return f"pipes: {what}, 1024 B", f"{rate}, host CPU {cpu_s / frames * 1e6:.1f} us"


def round_trip(board: Board) -> list[tuple[str, str]]:
    """A request and its reply; an event from the board's clock to the host's callback."""
    times = []
    for _ in range(300):
        began = time.perf_counter()
        board.request("echo", on=True)
        times.append(time.perf_counter() - began)
    times.sort()
    bound = board.connection.sync_clock()
    return [
        ("pipes: request and reply", f"{times[150] * 1e6:.0f} us median, {times[297] * 1e6:.0f} us p99"),
        ("pipes: clock error bound", f"{bound:.0f} us, offset {board.connection.clock_offset_us:.0f} us (truth: 0)"),
    ]


def main() -> None:
    """Print the table."""
    table = Table("what", "figure", title="the link")
    rows = board_alone() + host_alone()
    with tempfile.TemporaryDirectory() as folder:
        extra = Path(folder)
        (extra / "main.py").write_text((TESTS / "boards" / "firmware" / "main.py").read_text())
        with open_unix(board_type("unix"), firmware=FIRMWARE, extra=extra) as board:
            rows += [both(board, echo=False, frames=FRAMES), both(board, echo=True, frames=FRAMES // 4)]
            rows += round_trip(board)
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
