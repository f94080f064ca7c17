"""A model under test on a running `unix` board: requests, tensors that come back, refusals, and who may ask."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from bodydouble.boards import Board, open_board
from bodydouble.boards.errors import RequestRefusedError
from bodydouble.compiler import Plan, compile_model
from bodydouble.session.words import find_word
from support import pymicro
from support.graphs import RandomGraph
from support.tflite_build import GraphBuilder

WORD = find_word("alexa")
PLAN = compile_model(WORD.path.read_bytes(), "alexa")


@pytest.fixture(scope="module")
def board() -> Iterator[Board]:
    with open_board("unix") as opened:
        yield opened


def load(board: Board, plan: Plan = PLAN) -> dict[str, object]:
    return board.upload(plan.name, plan.blob, task="model", arena=plan.arena_bytes)


def rows(count: int) -> bytes:
    return np.random.default_rng(count).integers(-128, 128, (count, 120)).astype(np.int8).tobytes()


def test_a_run_sends_outputs_and_taps_in_order(board: Board) -> None:
    """The same inputs give the same outputs, tapped or not, and the last tap is what the output was made of."""
    load(board)
    _, plain = board.exchange("run", rows(9), count=9)
    size = 7
    taps = struct.pack("<6I", 2, 0, size, len(PLAN.ops), PLAN.output.offset, 1)
    reply, tapped = board.exchange("run", taps + rows(9), count=9, taps=2)
    assert len(plain) == 9
    assert len(tapped) == 9 * (size + 1 + 1)
    assert tapped[size :: size + 2] == tapped[size + 1 :: size + 2] == plain
    assert 0 < reply["us_min"] <= reply["us"] / 9 <= reply["us_max"]


def test_state_starts_afresh_unless_it_is_kept(board: Board) -> None:
    load(board)
    data = rows(30)
    _, whole = board.exchange("run", data, count=30)
    _, first = board.exchange("run", data[: 120 * 17], count=17)
    _, rest = board.exchange("run", data[120 * 17 :], count=13, fresh=False)
    assert first + rest == whole
    _, again = board.exchange("run", data, count=30)
    assert again == whole


def test_a_tensor_larger_than_a_frame(board: Board) -> None:
    plan = PLAN
    load(board, plan)
    taps = struct.pack("<3I", 0, 0, plan.arena_bytes)
    _, sent = board.exchange("run", taps + rows(2), count=2, taps=1)
    assert len(sent) == 2 * (plan.arena_bytes + 1)


def test_a_tap_outside_the_arena_shows_nothing_beyond_it(board: Board) -> None:
    load(board)
    taps = struct.pack("<6I", 3, PLAN.arena_bytes - 4, 1 << 20, 1 << 30, 1 << 29, 4)
    _, sent = board.exchange("run", taps + rows(1), count=1, taps=2)
    assert len(sent) == 4 + 1  # to the arena's end, and the output


def test_times_and_a_profile(board: Board) -> None:
    load(board)
    board.exchange("run", rows(3), count=3)
    _, sent = board.exchange("time", rounds=5, repeat=50)
    whole, *each = np.frombuffer(sent, "<u4") / 50
    assert len(each) == len(PLAN.ops)
    assert 0 < sum(each) < whole * 2
    _, sent = board.exchange("profile")
    ends = np.frombuffer(sent, "<u4")
    assert len(ends) == len(PLAN.ops) + 1
    assert (np.diff(ends.astype(int)) >= 0).all()


@pytest.mark.parametrize(("mode", "formula"), [(0, "esphome"), (1, "pymicro")])
def test_features_are_the_front_ends(board: Board, mode: int, formula: str) -> None:
    pcm = np.random.default_rng(5).integers(-9000, 9000, 16000).astype("<i2")
    for _ in range(2):  # the second time nothing of the first is left
        _, sent = board.exchange("features", pcm.tobytes(), blocks=100, quantize=mode)
        found = np.frombuffer(sent, np.int8).reshape(-1, 40)
        features = pymicro.features(pcm).astype(np.int64)
        if formula == "esphome":
            wanted = np.clip((features * 256 + 333) // 666 - 128, -128, 127)
        else:
            wanted = np.round(features * np.float64(0.0390625) / 0.10196078568696976 - 128).astype(np.int64)
        assert found.shape == (98, 40)
        assert np.array_equal(found, wanted.astype(np.int8))


@pytest.mark.parametrize(
    ("op", "fields", "words"),
    [
        ("run", {}, "lacks count"),
        ("run", {"count": 0}, "count of 1 or more"),
        ("run", {"count": 1, "taps": 5000}, "at most 4096 taps"),
        ("time", {"rounds": 0}, "1 to 65535"),
        ("features", {"blocks": 0}, "1 block"),
    ],
)
def test_what_is_refused(board: Board, op: str, fields: dict[str, int], words: str) -> None:
    load(board)
    with pytest.raises(RequestRefusedError, match=words):
        board.request(op, **fields)


def test_no_model_no_run(board: Board) -> None:
    board.request("unload")
    for op, fields in (("run", {"count": 1}), ("time", {}), ("profile", {})):
        with pytest.raises(RequestRefusedError, match="no model is loaded"):
            board.request(op, **fields)


def test_what_was_heard_is_out_of_reach(board: Board) -> None:
    """While a stream runs no tensor leaves, whoever asks; afterwards the words go on to work."""
    board.upload("alexa", PLAN.blob, arena=PLAN.arena_bytes, **WORD.rule("esphome"))
    load(board)
    board.request("start")
    for op, fields in (("run", {"count": 1}), ("time", {}), ("profile", {}), ("features", {"blocks": 1})):
        with pytest.raises(RequestRefusedError, match="a stream is running"):
            board.request(op, **fields)
    board.request("end", samples=0)
    assert len(board.exchange("run", rows(1), count=1)[1]) == 1
    board.request("unload")


def test_a_plan_that_does_not_fit_is_refused_before_it_is_sent() -> None:
    with open_board("unix", heap_bytes=200_000) as small:
        with pytest.raises(RequestRefusedError, match=r"alexa needs \d+ bytes of heap, \d+ are free"):
            small.upload("alexa", PLAN.blob, task="model", arena=1 << 20)
        assert small.request("stats")["link"]["rx_bytes"] < len(PLAN.blob)


def test_several_inputs_types_and_a_new_host(board: Board) -> None:
    """A run that its host gave up leaves a board that the next request finds ready."""
    graph = RandomGraph(3)
    plan = compile_model(graph.build(), "graph")
    load(board, plan)
    board.connection.send(0, b'{"id":9001,"op":"run","count":5}')  # never fed
    x = graph.inputs(plan.input.shape, plan.input.type, 4)
    _, sent = board.exchange("run", x.tobytes(), count=4)
    assert len(sent) == 4 * int(np.prod(plan.output.shape))


def _small_plan() -> Plan:
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, 3), b.tensor((1, 2), 0.1, -3)
    weights = b.tensor((2, 4), 0.05, 0, data=np.arange(-4, 4).astype(np.int8).reshape(2, 4))
    b.op("FULLY_CONNECTED", [x, weights], [y])
    return compile_model(b.build([x], [y]), "small")


def test_corrupt_plans_leave_the_board_alive(board: Board) -> None:
    """Every byte flipped in turn, every truncation: refused in words that say why, over the link, by a live board."""
    plan = _small_plan()
    damaged = [plan.blob[:size] for size in range(1, len(plan.blob))]
    damaged += [plan.blob[:at] + bytes([plan.blob[at] ^ 0xFF]) + plan.blob[at + 1 :] for at in range(len(plan.blob))]
    damaged.append(plan.blob + bytes(4))
    for blob in damaged:
        with pytest.raises(RequestRefusedError, match="bad plan: "):
            board.upload("small", blob, task="model", arena=plan.arena_bytes)
    print(f"\n{len(damaged)} damaged plans of {len(plan.blob)} bytes refused by one board")
    load(board, plan)
    assert len(board.exchange("run", bytes(8), count=2)[1]) == 4
    assert board.returncode is None
