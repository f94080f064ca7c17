"""Keeps the emulated board's pseudo-terminal. Runs in a process of its own; needs the standard library only.

    python -I -S bridge.py SOCKET_FD LINK

A pseudo-terminal vanishes under those who have it open only if who keeps it closes it, and node cannot make another
one: so it is kept here. LINK is a symbolic link to the terminal that is there now; it goes away with it.

Messages both ways: a letter, a length of 16 bits (big-endian), the content. From the emulator: D data, A attach (make
a terminal), X detach. To it: P the terminal's path, D data, O opened and C closed with the baud rate (32 bits).
Ends when the emulator's end of the socket does.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
import termios
import tty
from pathlib import Path

_HEAD = struct.Struct(">cH")
_CHUNK_BYTES = 1 << 15
_KEPT_BYTES = 1 << 20  # of the board's output for a program that does not read; then the board has to wait
_LOOK_MS = 10  # between two looks whether the terminal has been opened
_BAUDS = {code: int(name[1:]) for name, code in vars(termios).items() if name[:1] == "B" and name[1:].isdigit()}
_TOUCH_BAUD = 1200  # closing a port at this rate asks an Arduino-like board for its boot loader
_DEFAULT_BAUD = 115200
_OSPEED = 5


class Terminal:
    """One pseudo-terminal, raw; opened and closed by programs any number of times."""

    def __init__(self, link: Path) -> None:
        self.fd, slave = os.openpty()
        self.path = os.ttyname(slave)
        tty.setraw(slave)
        self._set_baud(_DEFAULT_BAUD, slave)
        os.close(slave)  # from here on the terminal reports a hang-up until a program opens it
        os.set_blocking(self.fd, False)
        self.opened = False
        self._link = link
        aside = link.with_name(f".{link.name}.{os.getpid()}")
        aside.unlink(missing_ok=True)
        aside.symlink_to(self.path)
        aside.replace(link)

    @property
    def baud(self) -> int:
        """The rate that the last program set."""
        try:
            return _BAUDS.get(termios.tcgetattr(self.fd)[_OSPEED], _DEFAULT_BAUD)
        except termios.error:
            return _DEFAULT_BAUD

    def _set_baud(self, baud: int, fd: int) -> None:
        settings = termios.tcgetattr(fd)
        settings[4] = settings[_OSPEED] = getattr(termios, f"B{baud}")
        termios.tcsetattr(fd, termios.TCSANOW, settings)

    def hung_up(self) -> bool:
        """Whether no program has it open."""
        poll = select.poll()
        poll.register(self.fd, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def left(self) -> None:
        """The last program has closed it: nothing of what it was sent is for the next one."""
        self.opened = False
        with contextlib.suppress(OSError, termios.error):
            slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY)
            termios.tcflush(slave, termios.TCIFLUSH)
            if self.baud == _TOUCH_BAUD:
                self._set_baud(_DEFAULT_BAUD, slave)
            os.close(slave)

    def close(self) -> None:
        """Those who have it open get an error, as when a USB cable is pulled."""
        with contextlib.suppress(OSError):
            if str(self._link.readlink()) == self.path:
                self._link.unlink()
        os.close(self.fd)


class Bridge:
    """Moves bytes between the emulator and whichever terminal there is."""

    def __init__(self, emulator: socket.socket, link: Path) -> None:
        self.emulator = emulator
        self.link = link
        self.terminal: Terminal | None = None
        self.to_emulator = bytearray()
        self.to_terminal = bytearray()
        self.received = bytearray()
        self.ended = False

    def run(self) -> None:
        """Until the emulator ends."""
        self.emulator.setblocking(False)
        while not self.ended:
            self._wait()
        if self.terminal:
            self.terminal.close()

    def _wait(self) -> None:
        poll = select.poll()
        reads = select.POLLIN if len(self.to_terminal) < _KEPT_BYTES else 0
        poll.register(self.emulator, reads | (select.POLLOUT if self.to_emulator else 0))
        terminal = self.terminal
        if terminal and terminal.opened:
            reads = select.POLLIN if len(self.to_emulator) < _CHUNK_BYTES else 0
            poll.register(terminal.fd, reads | (select.POLLOUT if self.to_terminal else 0))
        events = dict(poll.poll(_LOOK_MS if terminal and not terminal.opened else None))
        if terminal and not terminal.opened:
            self._look(terminal)
        elif terminal and (event := events.get(terminal.fd, 0)):
            self._move(terminal, event)
        self._flush()
        if events.get(self.emulator.fileno(), 0) & ~select.POLLOUT:
            self._receive()

    def _look(self, terminal: Terminal) -> None:
        if not terminal.hung_up():
            terminal.opened = True
            self._send(b"O", struct.pack(">I", terminal.baud))
        elif terminal.baud == _TOUCH_BAUD:  # opened and closed since the last look
            self._send(b"O", struct.pack(">I", _TOUCH_BAUD))
            self._close(terminal)

    def _close(self, terminal: Terminal) -> None:
        self._send(b"C", struct.pack(">I", terminal.baud))
        self.to_terminal.clear()
        terminal.left()

    def _move(self, terminal: Terminal, event: int) -> None:
        try:
            if event & select.POLLIN:
                self._send(b"D", os.read(terminal.fd, _CHUNK_BYTES))
            elif event & (select.POLLHUP | select.POLLERR):
                self._close(terminal)
                return
            if event & select.POLLOUT:
                self._write(terminal)
        except BlockingIOError:
            pass
        except OSError:  # closed between the event and here
            self._close(terminal)

    def _write(self, terminal: Terminal) -> None:
        done = os.write(terminal.fd, self.to_terminal[:_CHUNK_BYTES])
        del self.to_terminal[:done]

    def _send(self, kind: bytes, content: bytes = b"") -> None:
        self.to_emulator += _HEAD.pack(kind, len(content)) + content
        self._flush()

    def _flush(self) -> None:
        try:
            while self.to_emulator:
                del self.to_emulator[: self.emulator.send(self.to_emulator)]
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True

    def _receive(self) -> None:
        try:
            data = self.emulator.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return
        self.received += data
        while len(self.received) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self.received)
            end = _HEAD.size + length
            if len(self.received) < end:
                return
            self._handle(kind, bytes(self.received[_HEAD.size : end]))
            del self.received[:end]

    def _handle(self, kind: bytes, content: bytes) -> None:
        terminal = self.terminal
        if kind == b"D" and terminal and terminal.opened:
            self.to_terminal += content
            with contextlib.suppress(OSError):  # what does not fit now is written when there is room
                self._write(terminal)
        elif kind in (b"A", b"X"):
            if terminal:
                terminal.close()
            self.to_terminal.clear()
            self.terminal = Terminal(self.link) if kind == b"A" else None
            if self.terminal:
                self._send(b"P", self.terminal.path.encode())


if __name__ == "__main__":
    Bridge(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])).run()
