"""Flashing an emulated Pico: the same steps, the same verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bodydouble.boards import board_type
from bodydouble.boards.errors import FlashError, NoReplError
from bodydouble.boards.flash import digest_of, flash
from bodydouble.boards.flash_sim import SimTarget
from bodydouble.boards.uf2 import Image, parse_uf2, wrap

KIND = board_type("pico-sim")
assert KIND.micropython
IMAGE = wrap(b"MicroPython v1.26.1 on 2025-09-11\0; Raspberry Pi Pico with RP2040", KIND.micropython)


class Emulated:
    """Answers as the emulator does."""

    name, port = "desk", "/dev/pts/99"

    def __init__(self, mode: str = "running") -> None:
        self.mode = mode
        self.calls: list[str] = []
        self.holds: Image | None = None

    def control(self, command: str, **options: Any) -> dict[str, Any]:
        if command == "uf2":
            assert self.mode == "bootsel"
            (self.holds,) = parse_uf2(Path(options["path"]).read_bytes(), "it").values()
            self.mode = "running"
        elif command == "reset":
            assert options == {"cause": "bootsel"}
            self.mode = "bootsel"
        if command != "state":
            self.calls.append(command)
        return {"mode": self.mode}

    def wait_attached(self, timeout_s: float) -> None:
        self.calls.append("attached")

    def wait_detached(self, timeout_s: float) -> None:
        self.calls.append("detached")

    def bootloader(self, port: str) -> None:
        assert port == self.port
        self.calls.append("repl")
        self.mode = "bootsel"

    def mute(self, port: str, code: str = "") -> str:
        raise NoReplError("the board did not answer Ctrl-C")

    def hashed(self, port: str, code: str) -> str:
        assert self.holds
        return digest_of(self.holds)


def put(board: Emulated, **options: Any) -> str:
    target = SimTarget(board, **{"bootloader": board.bootloader, "run": board.hashed, **options})
    assert target.where == "the emulated Pico desk"
    return flash(IMAGE, target, lambda *told: None).verified


def test_by_its_repl() -> None:
    board = Emulated()
    assert put(board) == "hashed by the board"
    assert board.holds == IMAGE
    assert board.calls == ["repl", "detached", "attached", "uf2", "attached"]


def test_one_that_waits_already() -> None:
    board = Emulated("bootsel")
    assert put(board) == "hashed by the board"
    assert board.calls == ["uf2", "attached"]


def test_one_that_does_not_answer() -> None:
    board = Emulated()
    put(board, bootloader=board.mute)
    assert board.calls[:3] == ["reset", "detached", "attached"]


def test_one_that_came_up_again_instead() -> None:
    board = Emulated()
    put(board, bootloader=lambda port: None)
    assert board.calls == ["detached", "attached", "reset", "uf2", "attached"]


def test_one_that_holds_something_else() -> None:
    board = Emulated()
    with pytest.raises(FlashError, match="does not hold the image that was written"):
        put(board, run=lambda port, code: "00" * 32)
    assert put(Emulated(), run=board.mute) == ""
