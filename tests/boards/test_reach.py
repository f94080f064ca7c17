"""Boards reached for deploying and recovering: found again under other ports, waited for, reset."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodydouble.boards import discovery
from bodydouble.boards.errors import NoDriverError, NoReplError, NoReplyError, NoSuchBoardError
from bodydouble.boards.flash_usb import UsbTarget
from bodydouble.boards.inventory import board_type
from bodydouble.boards.reach import PluggedBoard, attention, deaf_bootloader, reach, restart
from bodydouble.boards.selector import Selector
from support.desk import Desk, micropython
from support.fake_pico import FakePico

SERIAL = "e660583883724a32"
PICO = board_type("pico")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("BODYDOUBLE_LOCKS", str(tmp_path / "locks"))
    desk = Desk(tmp_path / "root")
    desk.ports = [micropython("/dev/ttyACM0", SERIAL, "1-1")]
    monkeypatch.setattr(discovery, "HERE", desk.here)
    return desk


def test_a_board_is_found_again_under_another_port(desk: Desk) -> None:
    with reach(PICO, Selector.parse("pico"), purpose="test") as board:
        assert (board.where, board.name, board.port()) == ("the pico at /dev/ttyACM0", SERIAL, "/dev/ttyACM0")
        assert board.power is None and board.image() is None
        desk.ports = []
        assert board.port() is None
        desk.ports = [micropython("/dev/ttyACM0", "other", "1-2"), micropython("/dev/ttyACM7", SERIAL, "1-1")]
        assert board.port() == "/dev/ttyACM7"
        desk.unplug("1-1")
        desk.bootsel("1-1")
        assert board.port() is None
        target = board.target(deaf=True)
        assert isinstance(target, UsbTarget) and target.device.mode == "bootsel"


def test_a_board_that_comes_and_goes_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    there, desk.ports = desk.ports, []
    with pytest.raises(NoSuchBoardError, match="no pico is plugged in"), reach(PICO, Selector("pico"), purpose=""):
        pass
    looks = 0
    real = discovery.resolve

    def resolve(*arguments: object, **options: object) -> discovery.Device:
        nonlocal looks
        looks += 1
        desk.ports = there if looks == 3 else []
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(discovery, "resolve", resolve)
    with reach(PICO, Selector("pico"), purpose="", patience_s=10.0) as board:
        assert board.name == SERIAL
    assert looks == 3


def test_the_repl_of_a_deaf_board_is_not_asked() -> None:
    with pytest.raises(NoReplError, match="the board on p does not answer"):
        deaf_bootloader("p")


def test_a_board_without_a_repl_is_refused() -> None:
    with pytest.raises(NoDriverError, match=r"a unix board has no REPL to reach \(name a Pico"):
        reach(board_type("unix"), Selector("unix"), purpose="test")


def test_a_board_without_a_port_has_no_attention(desk: Desk) -> None:
    board = PluggedBoard(PICO, desk.here.devices()[0], desk.here)
    desk.ports = []
    with pytest.raises(NoReplError, match=r"has no port \(bodydouble boards recover\)"), attention(board):
        pass


class Vanishing(PluggedBoard):
    """Behind a URL, and gone for so many looks once it was reset."""

    gone = 0

    def port(self) -> str | None:
        self.gone -= 1
        return None if 0 <= self.gone < self.away else super().port()

    away = 0


@pytest.mark.parametrize(("away", "seconds"), [(0, 3.0), (5, 0.6)])
def test_a_reset_waits_until_the_board_is_back(tmp_path: Path, away: int, seconds: float) -> None:
    now = 0.0

    def sleep(duration_s: float) -> None:
        nonlocal now
        now += duration_s

    pico = FakePico(tmp_path / "flash")
    try:
        with pico.served() as url:
            board = Vanishing(PICO, discovery.Device("micropython", port=url), discovery.HERE)
            board.gone, board.away = 1 + away, away
            took = restart(board, clock=lambda: now, sleep=sleep)
            assert abs(took - seconds) < 0.25
            with attention(board) as repl:
                assert repl.exec("print(1)") == b"1\r\n"
            board.gone = board.away = 1 << 30
            board.gone += 1
            with pytest.raises(NoReplyError, match=r"did not come back within 60 s \(bodydouble boards recover\)"):
                restart(board, clock=lambda: now, sleep=sleep)
    finally:
        pico.close()
