"""Board files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodydouble.boards import board_type, known_boards, obstacle, open_board
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

IMAGE = """
[micropython]
board = "DESK"
machine = "A Desk"
flash_base = 0
flash_bytes = 2097152
filesystem_bytes = 1000000
uf2_family = 1
"""


def test_every_board_file_that_ships_is_sound() -> None:
    kinds = {kind.type: kind for kind in known_boards()}
    assert kinds["unix"].emulated
    assert kinds["unix"].heap_bytes == 288 * 1024
    assert kinds["unix"].drift_ppm == 0


def test_what_the_files_say_of_microcontrollers_fits_together() -> None:
    kinds = {kind.type: kind for kind in known_boards()}
    assert {kind for kind, board in kinds.items() if board.emulated} == {"unix", "pico-sim", "pi-arm"}
    for name in ("pico", "pico-w", "pico2", "pico-sim"):
        kind = kinds[name]
        assert kind.port == "rp2"
        assert kind.arch and kind.clock_hz and kind.micropython
        assert kind.micropython.program_bytes + kind.micropython.filesystem_bytes == kind.micropython.flash_bytes
    pico, radio, second = (kinds[name].micropython for name in ("pico", "pico-w", "pico2"))
    assert pico and radio and second
    # Compared with another source: v1.26.1's headers give 1408, 848 and 4096 - 1024 KiB.
    assert [image.filesystem_bytes // 1024 for image in (pico, radio, second)] == [1408, 848, 3072]
    assert pico.uf2_family == radio.uf2_family != second.uf2_family
    assert kinds["pico-sim"].micropython == pico
    for name in ("pico", "pico-w", "pico2"):
        usb = kinds[name].usb
        assert usb and usb.vid == 0x2E8A and usb.pids == (0x0005,)
        assert not set(usb.pids) & set(usb.bootsel_pids) and not set(usb.touch_pids) & set(usb.bootsel_pids)


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
        (GOOD + IMAGE.replace("1000000", "2097152"), "the filesystem leaves no flash for the program"),
        (GOOD + IMAGE.replace("1000000", "1000"), "filesystem_bytes: Input should be a multiple of 4096"),
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


def test_a_unix_board_needs_a_heap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "desk.toml").write_text(GOOD.replace("carrier-pigeon", "unix").replace("heap_bytes = 200000", ""))
    kind = board_type("desk", tmp_path)
    monkeypatch.setattr("bodydouble.boards.board_type", lambda name: kind)
    with pytest.raises(BoardFileError, match=r"desk\.toml lacks heap_bytes"):
        open_board("desk")


def test_one_of_several_unix_boards_has_a_name() -> None:
    with open_board("unix:left") as left, open_board("unix") as other:
        assert left.info["name"] == "left"
        assert other.info["name"] == "unix"
    assert obstacle(board_type("unix")) == ""


def test_what_keeps_a_board_from_running_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "desk.toml").write_text(GOOD)
    assert obstacle(board_type("desk", tmp_path)).endswith("cannot open a desk board yet (use --board unix)")
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON", str(tmp_path / "none"))
    assert obstacle(board_type("unix")).endswith("which cannot be run (correct or unset BODYDOUBLE_MICROPYTHON)")
