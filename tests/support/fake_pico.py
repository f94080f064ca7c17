"""A board that looks like a Pico to a host and starts in milliseconds: fake_pico.py on a terminal of its own."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bodydouble.link.stream import PipeStream
from support.micropython import micropython_command

SCRIPT = Path(__file__).resolve().parents[1] / "boards" / "firmware" / "fake_pico.py"
_ON_TERMINAL = (
    "import fcntl,os,sys,termios;os.setsid();fcntl.ioctl(0,termios.TIOCSCTTY,0);os.execv(sys.argv[1],sys.argv[1:])"
)


def _prepare(terminal: int) -> None:
    # Bytes as they are, but for the ends of printed lines, and for Ctrl-C where fake_pico.py makes it a signal.
    tty.setraw(terminal)
    mode = termios.tcgetattr(terminal)
    mode[1] = termios.OPOST | termios.ONLCR
    mode[3] = termios.NOFLSH
    for name in (termios.VQUIT, termios.VSUSP):
        mode[6][name] = b"\0"
    mode[6][termios.VINTR] = b"\x03"
    termios.tcsetattr(terminal, termios.TCSANOW, mode)


def _absolute(command: list[str]) -> list[str]:
    return [shutil.which(command[0]) or command[0], *command[1:]]


class FakePico:
    """Power it on and off: what is in its flash file stays, and so do the streams to it."""

    def __init__(self, flash: Path) -> None:
        self._flash = flash
        self._master, self._slave = os.openpty()
        self._process: subprocess.Popen[bytes] | None = None
        self.on()

    def on(self, *options: str) -> None:
        """Boot; with the option "rescue" without boot.py and main.py."""
        _prepare(self._slave)
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _ON_TERMINAL,
                *_absolute(micropython_command()),
                str(SCRIPT),
                str(self._flash),
                *options,
            ],
            stdin=self._slave,
            stdout=self._slave,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )

    def off(self) -> None:
        """Cut the power: nothing that runs is told."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @contextmanager
    def served(self) -> Iterator[str]:
        """The same cable as a URL that pyserial opens, for one user after the other."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
            thread.start()
            try:
                yield f"socket://127.0.0.1:{server.getsockname()[1]}"
            finally:
                server.shutdown(socket.SHUT_RDWR)
                thread.join(5)

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                user, _ = server.accept()
            except OSError:
                return
            with user:
                user.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while True:
                    ready = select.select([self._master, user], [], [])[0]
                    try:
                        if self._master in ready:
                            user.sendall(os.read(self._master, 65536))
                        if user in ready:
                            if not (data := user.recv(4096)):
                                break
                            while data:
                                data = data[os.write(self._master, data) :]
                    except OSError:
                        break

    @property
    def alive(self) -> bool:
        """Whether it still runs: it may have cut its own power."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        self.off()
        os.close(self._master)
        os.close(self._slave)

    def stream(self) -> PipeStream:
        """The host's end of the cable, the caller's to close."""
        return PipeStream(os.dup(self._master), os.dup(self._master))
