"""Board files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodydouble.boards import board_type, known_boards, open_board
from bodydouble.boards.errors import BoardFileError, NoDriverError, UnknownBoardError
from bodydouble.errors import ExitCode

GOOD = """
type = "desk"
description = "a board on the desk"
driver = "carrier-pigeon"
port = "unix"
heap_bytes = 200000
tiers = ["bytecode"]
emulated = false
"""


def test_every_board_file_that_ships_is_sound() -> None:
    kinds = {kind.type: kind for kind in known_boards()}
    assert kinds["unix"].emulated
    assert kinds["unix"].heap_bytes == 288 * 1024
    assert kinds["unix"].drift_ppm == 0


def test_an_unknown_board_names_those_there_are() -> None:
    with pytest.raises(UnknownBoardError, match=r"no board 'pcio' \(known boards: .*unix") as caught:
        open_board("pcio")
    assert caught.value.exit_code == ExitCode.NO_BOARD


@pytest.mark.parametrize("name", ["", "../unix", "unix.toml", "UNIX"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(UnknownBoardError):
        board_type(name)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("type = ", "is no TOML"),
        (GOOD.replace("200000", "'much'"), "heap_bytes: Input should be a valid integer"),
        (GOOD.replace("200000", "2000"), "heap_bytes: Input should be greater than or equal to 65536"),
        (GOOD + "colour = 'red'", "colour: Extra inputs are not permitted"),
        (GOOD.replace('["bytecode"]', "[]"), "tiers: Tuple should have at least 1 item"),
        (GOOD.replace('"desk"', '"shelf"'), "describes 'shelf'"),
    ],
)
def test_board_files_that_are_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "desk.toml").write_text(text)
    with pytest.raises(BoardFileError, match=complaint) as caught:
        board_type("desk", tmp_path)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_board_that_nothing_here_can_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "desk.toml").write_text(GOOD)
    kind = board_type("desk", tmp_path)
    monkeypatch.setattr("bodydouble.boards.board_type", lambda name: kind)
    with pytest.raises(NoDriverError, match=r"cannot open a desk board yet \(use --board unix\)") as caught:
        open_board("desk")
    assert caught.value.exit_code == ExitCode.NO_BOARD
