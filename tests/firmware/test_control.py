"""The board's requests on a running `unix` board: what it answers, and what it refuses in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bodydouble.boards import Board, open_board
from bodydouble.boards.errors import RequestRefusedError
from bodydouble.compiler.cache import load_plan
from bodydouble.compiler.packing import ROWS
from bodydouble.errors import ExitCode
from bodydouble.session.words import find_word

WORD = find_word("alexa")


@pytest.fixture(scope="module")
def board() -> Iterator[Board]:
    with open_board("unix") as opened:
        yield opened


def load(board: Board, **changed: object) -> dict[str, object]:
    plan = load_plan(WORD.path)
    fields = {"arena": plan.arena_bytes, **WORD.rule("esphome"), **changed}
    return board.upload("alexa", plan.blob, **fields)


def test_info_says_what_runs_there(board: Board) -> None:
    info = board.request("info")
    assert info["tier"] in ("viper", "bytecode")
    assert info["packings"] == [ROWS]
    assert 0 < info["heap_free"] < info["heap_total"]
    assert tuple(map(int, info["micropython"].split(".")[:2])) >= (1, 24)


@pytest.mark.parametrize(
    ("op", "fields", "complaint"),
    [
        ("dance", {}, "unknown op dance"),
        ("load", {}, "the request lacks"),
        ("load", {"name": "x" * 25, "bytes": 1, "arena": 1}, "at most 8 wake words, of 24 characters each"),
        ("load", {"name": "x", "bytes": 1 << 30, "arena": 1}, "is outside 1 to 1048576"),
        ("load", {"name": "x", "bytes": 1000000, "arena": 1}, "x needs 1016385 bytes of heap"),
        ("end", {"samples": 1}, "no stream is running"),
        ("listen", {}, "no stream is running"),
        ("audit", {"hops": 10}, "an audit needs a running stream"),
        ("start", {"privacy": "public"}, "privacy must be normal or local-only"),
        ("start", {"pre_roll_ms": 501}, "pre_roll_ms must be 0 to 500, not 501"),
        ("start", {"endpoint": {"silence_ms": 1}}, "silence_ms must be 510 to 750, not 1"),
        ("start", {"endpoint": {"patience": 1}}, "patience"),
    ],
)
def test_a_request_that_cannot_be_carried_out_says_why(
    board: Board, op: str, fields: dict[str, object], complaint: str
) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        board.request(op, **fields)
    assert complaint in str(caught.value)
    assert caught.value.exit_code == ExitCode.FIRMWARE
    assert board.request("info")["ok"], "the board goes on"


def test_a_plan_that_is_damaged_or_foreign_is_refused_and_forgotten(board: Board) -> None:
    plan = load_plan(WORD.path)
    for blob, complaint in ((b"no plan at all!!", "bad plan"), (plan.blob[:-4], "bad plan")):
        with pytest.raises(RequestRefusedError, match=complaint):
            board.upload("alexa", blob, arena=plan.arena_bytes, **WORD.rule("esphome"))
    with pytest.raises(RequestRefusedError, match="window must be 1 to 64"):
        load(board, window=0)
    assert board.request("info")["words"] == []
    assert load(board)["arena_bytes"] == plan.arena_bytes
    assert board.request("info")["words"] == ["alexa"]
    board.request("unload")


def test_the_report_of_as_many_words_as_fit_is_one_frame() -> None:
    plan = load_plan(WORD.path)
    with open_board("unix", heap_bytes=1 << 20) as board:
        for number in range(8):
            name = f"{'w' * 23}{number}"
            board.upload(name, plan.blob, arena=plan.arena_bytes, **WORD.rule("esphome"))
        board.request("start")
        report = board.request("end", samples=0)
        assert len(report["digest"]) == 9
        with pytest.raises(RequestRefusedError, match="at most 8 wake words"):
            load(board)


def test_a_model_cannot_be_loaded_while_a_stream_runs(board: Board) -> None:
    board.request("start")
    with pytest.raises(RequestRefusedError, match="a stream is running"):
        load(board)
    assert board.request("end", samples=0)["stats"]["hops"] == 0
