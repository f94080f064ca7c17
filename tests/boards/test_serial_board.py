"""Boards on serial ports: how the end of the firmware is seen, and what opening one refuses."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bodydouble.boards.deploy import Survey
from bodydouble.boards.errors import BoardGoneError, FirmwareStoppedError, NoReplError, TierError
from bodydouble.boards.firmware import Target
from bodydouble.boards.inventory import board_type
from bodydouble.boards.serial_board import KEPT, FirmwareStream, SerialMachine, _check, open_serial
from bodydouble.errors import ExitCode, InputError
from bodydouble.link.errors import PortError, StreamClosedError

FRAME = b"\x09\x02\x01\x05\x04\x04\x04>x\x00"
TRACEBACK = (
    b'Traceback (most recent call last):\r\n  File "<stdin>", line 2, in <module>\r\n'
    b"MemoryError: memory allocation failed, allocating 70000 bytes\r\n"
)


class Inner:
    """A byte stream that gives what it holds, in pieces."""

    def __init__(self, data: bytes, piece: int = 1 << 20) -> None:
        self.data, self.piece, self.closed, self.written = data, piece, False, b""

    def fileno(self) -> int | None:
        return None

    def read(self, max_bytes: int) -> bytes:
        size = min(max_bytes, self.piece)
        data, self.data = self.data[:size], self.data[size:]
        return data

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Plug:
    def __init__(self) -> None:
        self.told: list[str] = []

    def cut(self) -> None:
        self.told.append("cut")

    def release(self) -> None:
        self.told.append("release")


def drained(stream: FirmwareStream, reads: int = 3000) -> tuple[bytes, StreamClosedError | None]:
    got = b""
    for _ in range(reads):
        try:
            got += stream.read(4096)
        except StreamClosedError as error:
            return got, error
    return got, None


@pytest.mark.parametrize("piece", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\x04" + TRACEBACK + b"\x04>", "MemoryError: memory allocation failed, allocating 70000 bytes"),
        (b"printed before\r\n\x04" + TRACEBACK + b"\x04>", "MemoryError"),
        (b"\x04\x04>", ""),
    ],
)
def test_the_end_of_the_firmware_is_seen_after_its_last_frame(piece: int, said: bytes, reason: str) -> None:
    data = FRAME * 3 + said
    stream = FirmwareStream(Inner(data, piece))
    stream.watch(b"")
    got, error = drained(stream)
    assert got == data and error is not None
    machine = SerialMachine(stream, "/dev/ttyACM0", Plug())
    ended = machine.gone(error)
    if reason:
        assert isinstance(ended, FirmwareStoppedError) and ended.exit_code == ExitCode.FIRMWARE
        assert reason in ended.message
    else:
        assert isinstance(ended, BoardGoneError) and ended.exit_code == ExitCode.NO_BOARD
        assert "the board on /dev/ttyACM0 went away: the firmware has ended" in ended.message


def test_frames_that_hold_the_same_bytes_are_data() -> None:
    rng = random.Random(4)
    data = b"".join(
        bytes([5, 2]) + rng.randbytes(3).replace(b"\0", b"\1") + b"\x04" + b"text" * 3 + b"\x04>" for _ in range(200)
    )
    for piece in (1, 3, 23, 64):
        stream = FirmwareStream(Inner(data + b"\0", piece))
        stream.watch(b"")
        got, error = drained(stream, 6000)
        assert error is None and got == data + b"\0"


def test_before_the_firmware_runs_the_replys_ends_mean_nothing() -> None:
    stream = FirmwareStream(Inner(b"\x04\x04>"))
    assert drained(stream, 3) == (b"\x04\x04>", None)


def test_what_was_read_with_the_start_comes_first_and_the_newest_is_kept() -> None:
    stream = FirmwareStream(Inner(b"y" * 20_000))
    stream.watch(b"first")
    stream.wait(True, False, 1e9)
    assert stream.read(10) == b"first"
    got, _ = drained(stream, 10)
    machine = SerialMachine(stream, "p", Plug())
    assert len(got) == 20_000
    assert machine.log == "y" * KEPT
    assert machine.returncode is None


def test_a_machine_gives_port_and_board_back() -> None:
    inner, plug = Inner(b""), Plug()
    machine = SerialMachine(FirmwareStream(inner), "p", plug)
    machine.watch()
    machine.kill()
    machine.close()
    assert inner.closed and plug.told == ["cut", "release"]


def found(version: str, arch: str | None) -> Survey:
    return Survey(Target(6, 3, arch), version, "Pico", True, 1 << 20, 4096, {}, {}, False)


def test_what_a_board_cannot_do_is_refused() -> None:
    pico = board_type("pico")
    _check(pico, found("1.24.0", "armv6m"), "asm")
    with pytest.raises(TierError, match=r"has no asm tier \(choose one of: viper, bytecode\)"):
        _check(pico, found("1.26.1", "rv32imc"), "asm")
    with pytest.raises(NoReplError, match=r"runs MicroPython 1\.23\.2 \(flash 1\.24 or later"):
        _check(pico, found("1.23.2", "armv6m"), None)


def test_a_heap_cannot_be_given_to_a_board() -> None:
    with pytest.raises(InputError, match=r"a pico board's heap is what its memory leaves \(leave --heap out\)"):
        open_serial(board_type("pico"), "/dev/null", heap_bytes=1 << 20, power=Plug())


def test_a_port_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="cannot open"):
        open_serial(board_type("pico"), str(tmp_path / "none"), power=Plug())
