"""The compiler counts the work of a plan as the board's loader does, and refuses what the board would refuse."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest

from bodydouble.compiler import UnsupportedModelError, compile_model
from bodydouble.compiler.effort import EFFORT_MAX, effort
from bodydouble.compiler.packing import PACKINGS
from bodydouble.compiler.plan import PLAN_BYTES_MAX
from bodydouble.link.wire import MAX_FILE
from bodydouble.session.model.library import list_models
from support.graphs import FAMILIES, RandomGraph
from support.micropython import FIRMWARE, run_micropython
from support.tflite_build import GraphBuilder

HEADER_BYTES = 96
# Walks each plan as the loader does and says what it counted after each record.
_COUNTS = """
import struct, sys
from coproc.nn.check import Checker
data = sys.stdin.buffer.read()
at = 0
while at < len(data):
    size, = struct.unpack_from("<I", data, at)
    blob = data[at + 4 : at + 4 + size]
    at += 4 + size
    packing, arena, _, _, ops_at, ops, _, _, _, setup_at, setup, _ = struct.unpack_from("<12I", blob, 48)
    checker = Checker(blob, arena, packing)
    for place, count in ((setup_at, setup), (ops_at, ops)):
        for _ in range(count):
            before = checker.work
            kind, length = checker.record(place)
            place += length
            print(kind, checker.work - before)
"""


def _plans(graphs: int) -> list[bytes]:
    models = [model.read() for model in list_models()]
    models += [RandomGraph(seed, families).build() for seed in range(graphs) for families in (FAMILIES, ("wide",))]
    models += [RandomGraph(seed, (family,) * 9).build() for seed in range(graphs // 4) for family in FAMILIES]
    return [compile_model(data, "m", packing=packing).blob for data in models for packing in PACKINGS]


def _ours(blob: bytes) -> list[str]:
    packing, _, _, _, ops_at, ops, _, _, _, setup_at, setup, _ = struct.unpack_from("<12I", blob, 48)
    found = []
    for start, count in ((setup_at, setup), (ops_at, ops)):
        at = start
        for _ in range(count):
            words = struct.unpack_from("<HH", blob, at)[1]
            record = struct.unpack_from(f"<{words}I", blob, at)
            found.append(f"{record[0] & 0xFFFF} {effort(record, packing)}")
            at += 4 * words
    return found


def test_every_record_counts_as_the_board_counts_it() -> None:
    plans = _plans(24)
    sent = b"".join(struct.pack("<I", len(blob)) + blob for blob in plans)
    theirs = run_micropython(_COUNTS, heap="64M", stdin=sent).decode().split("\n")[:-1]
    ours = [line for blob in plans for line in _ours(blob)]
    assert ours == [line.strip() for line in theirs]
    assert len({line.split()[0] for line in ours}) > 25  # kinds of records


def test_the_limits_are_the_boards() -> None:
    checks = (FIRMWARE / "coproc" / "nn" / "check.py").read_text()
    assert 1 << int(re.findall(r"^MACS_MAX = 1 << (\d+)", checks, re.M)[0]) == EFFORT_MAX
    assert PLAN_BYTES_MAX == MAX_FILE


def _dense(channels: int, depth: int, batch: int) -> bytes:
    b = GraphBuilder()
    x = b.tensor((batch, depth), 0.1, 0)
    w = b.tensor((channels, depth), 0.1, 0, data=np.ones((channels, depth), np.int8))
    y = b.tensor((batch, channels), 5.0, 0, name="the_sums")
    b.op("FULLY_CONNECTED", [x, w, -1], [y])
    return b.build([x], [y])


def _large_softmax() -> bytes:
    # Products are none, and yet it would take the board minutes.
    b = GraphBuilder()
    value = x = b.tensor((1024, 4, 511), 0.1, 0)
    for _ in range(70):
        value, before = b.tensor((1024, 4, 511), 1 / 256, -128, name="the_shares"), value
        b.op("SOFTMAX", [before], [value], beta=1.0)
    return b.build([x], [value])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_dense(512, 1024, 600), ["FULLY_CONNECTED (operation 0, tensor 'the_sums') takes 315,2", "268,435,456"]),
        (_large_softmax(), ["SOFTMAX", "'the_shares'", "steps"]),
        (_dense(1025, 1024, 1), ["bytes of plan, a board takes 1,048,576"]),
    ],
)
def test_what_a_board_would_refuse_is_refused_here(data: bytes, words: list[str]) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        compile_model(data, "m", "folder/m.tflite")
    said = str(caught.value)
    assert "\n" not in said and said.startswith("folder/m.tflite: ") and "use a smaller model" in said
    for word in words:
        assert word in said


def test_as_much_as_a_board_takes_is_taken() -> None:
    """To the row of a dense layer: products, a window's own sum, and the bytes that go in and out."""
    rows = (EFFORT_MAX - 64 * 512) // (1024 * 513 + 1024 + 512)
    assert compile_model(_dense(512, 1024, rows), "m").macs == 512 * 1024 * rows
    with pytest.raises(UnsupportedModelError, match="steps"):
        compile_model(_dense(512, 1024, rows + 1), "m")
