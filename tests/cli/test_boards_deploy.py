"""`bodydouble boards deploy|reset|repl|recover`, on a board that looks like a Pico."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodydouble.boards.repl import Repl
from bodydouble.cli.main import main
from support.fake_pico import FakePico


@pytest.fixture(scope="module")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakePico]:
    board = FakePico(tmp_path_factory.mktemp("pico") / "flash")
    yield board
    board.close()


@pytest.fixture
def board(pico: FakePico, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("BODYDOUBLE_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr("bodydouble.boards.reach.GONE_S", 0.2)  # its port stays when it is reset
    monkeypatch.setattr("bodydouble.boards.recover.RAW_S", 1.0)
    with pico.served() as url:
        yield f"pico:{url}"


def boards(*arguments: str) -> int:
    return main(["boards", *arguments])


def test_deploy_sends_the_firmware_once(board: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert boards("deploy", "--board", board, "--json", "-") == 0
    first = json.loads(capfd.readouterr().out)
    assert first["schema"] == 1 and first["files"] > 50
    assert "/main.py" in first["sent"] and "/coproc/app.mpy" in first["sent"]
    assert 0 < first["wire_bytes"] < first["bytes"]
    for option in ([], ["--quick"]):
        assert boards("deploy", "--board", board, *option) == 0
        shown = capfd.readouterr()
        assert " has this firmware already: " in shown.out and first["firmware"][:16] in shown.out
        assert shown.err == ""


def test_reset_waits_until_the_board_is_back(board: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert boards("reset", "--board", board) == 0
    assert " is back after 0." in capfd.readouterr().out


def test_repl_hands_over_to_mpremote(board: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert boards("repl", "--board", board, "exec", "print(6 * 7)") == 0
    assert capfd.readouterr().out.strip() == "42"
    assert boards("repl", "--board", board, "exec", "no_such_name") == 1
    assert "NameError" in "".join(capfd.readouterr())


def test_recover_tells_each_rung(board: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert boards("recover", "--board", board, "--json", "-") == 0
    shown = capfd.readouterr()
    told = json.loads(shown.out)
    assert told["healthy"] and [rung["name"] for rung in told["rungs"]] == ["port", "Ctrl-C", "proof"]
    assert "✓  Ctrl-C" in shown.err and " answers again (" in shown.err


def test_recover_that_fails_says_what_else_helps(
    board: str, pico: FakePico, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = pico.stream()
    repl = Repl(stream)
    repl.attend()
    repl.start("import machine\nmachine.deafen()\nwhile True: pass")
    stream.close()
    try:
        assert boards("recover", "--board", board, "--power", "true {state}") == 1
        shown = capfd.readouterr().out
        assert "the power never dropped" in shown
        assert "does not answer: hold its BOOTSEL button, plug it in, and run this again" in shown
    finally:
        pico.off()
        pico.on()


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["deploy", "--board", "unix"], "a unix board has no REPL to reach (name a Pico: --board pico or", 3),
        (["reset", "--board", "pico"], "no pico is plugged in (", 3),
        (["repl", "--board", "toaster"], "no board 'toaster' (known boards: ", 3),
        (["recover", "--board", "pico", "--hub", "1-1"], "'1-1' names no port of a hub (as uhubctl lists", 2),
        (["recover", "--board", "pico", "--power", "relay"], "'relay' does not say where on or off goes (write", 2),
        (["recover", "--board", "pico", "--image", "/no/image"], "does not exist", 2),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert boards(*arguments) == code
    shown = capfd.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and said in shown.err
