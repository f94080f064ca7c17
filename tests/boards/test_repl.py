"""The raw REPL: attention out of every state that a board may be in, code and its outcome, time limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from bodydouble.boards.errors import BoardCodeError, NoReplError
from bodydouble.boards.repl import Repl
from bodydouble.errors import ExitCode
from bodydouble.link.stream import ByteStream
from support.fake_pico import FakePico


@pytest.fixture(scope="module")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakePico]:
    board = FakePico(tmp_path_factory.mktemp("pico") / "flash")
    yield board
    board.close()


@pytest.fixture
def stream(pico: FakePico) -> Iterator[ByteStream]:
    stream = pico.stream()
    yield stream
    stream.close()


@pytest.fixture
def repl(stream: ByteStream) -> Repl:
    repl = Repl(stream)
    repl.attend()
    return repl


STATES: dict[str, Callable[[Repl], None]] = {
    "waiting": lambda repl: None,
    "a loop": lambda repl: repl.start("while True: pass"),
    "a loop that survives one Ctrl-C": lambda repl: repl.start(
        "try:\n while True: pass\nexcept KeyboardInterrupt:\n while True: pass"
    ),
    "a loop that prints": lambda repl: repl.start("while True: print('y' * 5000)"),
    "a program that reads": lambda repl: (
        repl.start("import sys\nsys.stdin.buffer.readinto(bytearray(100))"),
        repl.write(b"only this"),
    ),
    "the friendly REPL": lambda repl: repl.leave(),
    "a half-entered line": lambda repl: (repl.leave(), repl.write(b"for i in range(3):\r  print(")),
    "a half-entered raw line": lambda repl: repl.write(b"for i in ran"),
    "a raw paste": lambda repl: repl.write(b"\x05A\x01" + b"x" * 40),
    "an offer of a raw paste": lambda repl: repl.write(b"\x05A"),
}


@pytest.mark.parametrize("state", STATES)
def test_attention_out_of(repl: Repl, state: str) -> None:
    for _ in range(3):
        STATES[state](repl)
        repl.attend()
        assert repl.exec("print('here')") == b"here\r\n"


def test_what_was_said_before_is_gone(repl: Repl) -> None:
    repl.start("print('old' * 1000)\nwhile True: pass")
    repl.attend()
    assert repl.exec("pass") == b""


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 256, 5000])
def test_code_of_any_length_runs(repl: Repl, size: int) -> None:
    source = "print('end')"
    padding = "#" * max(0, size - len(source) - 1) + "\n" if size > len(source) else ""
    assert repl.exec(padding + source) == b"end\r\n"
    assert repl.exec("") == b""


def test_a_traceback_is_told_apart_from_output(repl: Repl) -> None:
    with pytest.raises(BoardCodeError, match=r"^the board's code failed: ZeroDivisionError: .*divi") as caught:
        repl.exec("print('before')\n1/0")
    assert caught.value.output == b"before\r\n"
    assert caught.value.traceback.startswith("Traceback (most recent call last):\n")
    assert caught.value.exit_code == ExitCode.FIRMWARE
    with pytest.raises(BoardCodeError, match="SyntaxError"):
        repl.exec("for")
    assert repl.exec("print(3)") == b"3\r\n"


def test_a_conversation(repl: Repl) -> None:
    repl.start(
        "import sys\nb = bytearray(2)\nsys.stdin.buffer.readinto(b)\nsys.stdout.write('+')\nprint(b[0] + b[1])"
    )
    repl.write(b"\x20\x22")
    assert repl.take() == b"+"
    assert repl.read_until(b"\r\n") == b"66"
    assert repl.finish() == b""


def test_a_conversation_that_fails(repl: Repl) -> None:
    repl.start("raise ValueError('no')")
    with pytest.raises(BoardCodeError, match="ValueError: no"):
        repl.take()
    repl.start("pass")
    with pytest.raises(NoReplError, match="ended early"):
        repl.take()


def test_names_do_not_outlive_a_soft_reset(repl: Repl) -> None:
    repl.exec("x = 1")
    repl.soft_reset()
    assert repl.exec("print('x' in dir())") == b"False\r\n"


def test_code_that_takes_too_long(repl: Repl) -> None:
    began = time.monotonic()
    with pytest.raises(NoReplError, match=r"did not answer in time \(bodydouble boards recover\)") as caught:
        repl.exec("while True: pass", timeout_s=0.1)
    assert time.monotonic() - began < 1
    assert caught.value.exit_code == ExitCode.FIRMWARE


class Scripted:
    """A board made of rules: what it says to what it is told; its clock moves when somebody waits."""

    def __init__(self, answer: Callable[[bytes], bytes], takes: int = 1 << 20) -> None:
        self.answer, self.takes, self.now, self.said = answer, takes, 0.0, b""

    def clock(self) -> float:
        return self.now

    def fileno(self) -> None:
        return None

    def read(self, max_bytes: int) -> bytes:
        data, self.said = self.said[:max_bytes], self.said[max_bytes:]
        return data

    def write(self, data: bytes) -> int:
        taken = data[: self.takes]
        self.takes -= len(taken)
        self.said += self.answer(taken)
        return len(taken)

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        if not (readable and self.said):
            self.now += timeout_s

    def close(self) -> None:
        pass


@pytest.mark.parametrize("takes", [0, 3, 1 << 20])
def test_a_board_that_does_not_answer(takes: int) -> None:
    board = Scripted(lambda data: b"", takes)
    with pytest.raises(NoReplError, match=r"did not answer Ctrl-C within 5 s \(bodydouble boards recover\)"):
        Repl(board, clock=board.clock).attend()
    assert 5 <= board.now < 11


def test_a_board_that_prints_without_end() -> None:
    board = Scripted(lambda data: b"y" * 3_000_000)
    repl = Repl(board, clock=board.clock)
    repl.write(b"go")
    with pytest.raises(NoReplError, match="prints without end"):
        repl.read_until(b"no such thing")


@pytest.mark.parametrize("answer", [b"R\x00", b"ra"])
def test_a_micropython_without_raw_paste(answer: bytes) -> None:
    board = Scripted(lambda data: answer)
    with pytest.raises(NoReplError, match=r"takes no raw paste .*flash MicroPython 1\.24 or later"):
        Repl(board, clock=board.clock).start("pass")


def test_a_raw_paste_that_is_refused_half_way() -> None:
    def answer(data: bytes) -> bytes:
        if data == b"\x05A\x01":
            return b"R\x01\x04\x00"
        return (
            b"\x04"
            if data == b"abcd"
            else b"\x04Traceback\r\nKeyboardInterrupt: \r\n\x04>"
            if data == b"\x04"
            else b"?"
        )

    board = Scripted(answer)
    repl = Repl(board, clock=board.clock)
    repl.start("abcdefghijkl")
    with pytest.raises(BoardCodeError, match="KeyboardInterrupt"):
        repl.finish()


def test_a_banner_of_an_earlier_try_does_not_count() -> None:
    # The board is slow: it answers the first try after the second was made.
    script = {b"\r\x01": [b"", b"raw REPL; CTRL-B to exit\r\n>raw REPL; CTRL-B to exit\r\n>"]}

    def answer(data: bytes) -> bytes:
        if data.startswith(b"print('"):
            return b"OK" + data[7:15] + b"\r\n\x04\x04>"
        replies = script.get(data)
        return replies.pop(0) if replies else b""

    board = Scripted(answer)
    repl = Repl(board, clock=board.clock)
    repl.attend()
    assert board.said == b""
    assert not script[b"\r\x01"]
