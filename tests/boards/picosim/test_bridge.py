"""The pseudo-terminal's keeper, with the test in the emulator's place."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from bodydouble.boards.picosim import bridge

PATIENCE_S = 20.0
HEAD = struct.Struct(">cH")


class Emulator:
    """The other end of the keeper's socket."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.socket, other = socket.socketpair()
        self.socket.settimeout(PATIENCE_S)
        with other:
            command = [sys.executable, "-I", "-S", bridge.__file__, str(other.fileno()), str(link)]
            self.process = subprocess.Popen(command, pass_fds=(other.fileno(),))

    def send(self, kind: bytes, content: bytes = b"") -> None:
        self.socket.sendall(HEAD.pack(kind, len(content)) + content)

    def take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            assert part, "the bridge ended"
            data += part
        return data

    def message(self) -> tuple[bytes, bytes]:
        kind, length = HEAD.unpack(self.take(HEAD.size))
        return kind, self.take(length)

    def attach(self) -> str:
        self.send(b"A")
        kind, path = self.message()
        assert kind == b"P"
        return path.decode()

    def line(self) -> tuple[bytes, int]:
        kind, content = self.message()
        return kind, int.from_bytes(content, "big")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path / "board.port")
    yield emulator
    emulator.socket.close()
    assert emulator.process.wait(PATIENCE_S) == 0
    assert not emulator.link.is_symlink()


def test_bytes_go_both_ways_as_they_are(emulator: Emulator) -> None:
    assert emulator.attach() == str(emulator.link.readlink())
    every = bytes(range(256))
    with serial.Serial(str(emulator.link), 115200, timeout=PATIENCE_S) as port:
        assert emulator.line() == (b"O", 115200)
        port.write(every)
        assert emulator.message() == (b"D", every)
        emulator.send(b"D", every)
        assert port.read(256) == every


def test_more_than_a_terminal_holds_waits_for_its_reader(emulator: Emulator) -> None:
    emulator.attach()
    block = os.urandom(30_000)
    with serial.Serial(str(emulator.link), timeout=PATIENCE_S) as port:
        emulator.line()
        for _ in range(10):
            emulator.send(b"D", block)
        assert port.read(300_000) == block * 10


def test_opening_and_closing_is_told_and_leaves_nothing_for_the_next(emulator: Emulator) -> None:
    emulator.attach()
    for baud in (9600, 115200):
        with serial.Serial(str(emulator.link), baud, timeout=0) as port:
            assert emulator.line()[0] == b"O"
            assert port.read(100) == b""
            emulator.send(b"D", b"unread")
            while not port.in_waiting:
                pass
        assert emulator.line() == (b"C", baud)


def test_a_touch_at_1200_baud_is_seen_even_if_it_is_short(emulator: Emulator) -> None:
    emulator.attach()
    serial.Serial(str(emulator.link), 1200).close()
    assert emulator.line()[0] == b"O"
    assert emulator.line() == (b"C", 1200)
    with serial.Serial(str(emulator.link), 115200):
        assert emulator.line()[0] == b"O"
    assert emulator.line() == (b"C", 115200)


def test_the_terminal_vanishes_under_its_user_and_another_comes(emulator: Emulator) -> None:
    first = emulator.attach()
    with serial.Serial(str(emulator.link), timeout=PATIENCE_S) as port:
        emulator.line()
        emulator.send(b"X")
        with pytest.raises((OSError, termios.error)):  # pyserial's own is an OSError
            port.read(1)
        assert not emulator.link.is_symlink()
        second = emulator.attach()
        assert second != first, "while one holds the old one open"
    with serial.Serial(str(emulator.link)):
        assert emulator.line()[0] == b"O"
