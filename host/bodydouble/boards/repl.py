"""A board's raw REPL over a byte stream: getting its attention, running code on it, handing the stream over.

`mpremote` has a transport for this, too. On a terminal a line of code takes as long by it (bench_deploy.py), but it
starts from a board that listens: out of a raw paste or a busy program it does not come. It prints what it did not
expect, waits for ever for a window of a raw paste, takes files in pieces of 256 bytes as Python text, and on ports
that are no terminal sleeps 10 ms wherever no byte has come yet. So the conversation is our own, and `mpremote` does
what people do with it (`bodydouble boards repl`).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from bodydouble.boards.errors import BoardCodeError, NoReplError
from bodydouble.clock import Clock, monotonic
from bodydouble.link.wire import ATTENTION, MAX_ENCODED

if TYPE_CHECKING:
    from bodydouble.link.stream import ByteStream

ATTEND_S = 5.0
EXEC_S = 10.0
OUTPUT_LIMIT = 1 << 20
"""Bytes that one piece of code may print; a board in a loop shall not fill the host's memory."""

INTERRUPT = ATTENTION
"""Ctrl-C twice for whatever runs; to our firmware, whose Ctrl-C is off while the link is up, a frame that ends it."""
RAW = b"\r\x01"
BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_PASTE = b"\x05A\x01"
_PASTE_TAKEN = b"R\x01"
_WINDOW_RAISED, _END = 0x01, 0x04
_READ_BYTES = 65536
_FIRST_TRY_S = 0.25
_PAUSE_S = 0.03


class Repl:
    """The raw REPL at the other end of `stream`; the stream stays the caller's to close.

    attend(timeout_s=5.0)                      whatever the board does, have it wait for code
    exec(code, timeout_s=10.0) -> bytes        run code, what it printed; BoardCodeError with its traceback
    start(code, timeout_s=10.0)                run code that converses: take, read_until, write; then finish
    finish(timeout_s=10.0) -> bytes            wait for the end of what was started
    soft_reset(timeout_s=5.0); leave()         a fresh interpreter, main.py not run; back to the friendly REPL

    Errors: NoReplError where the board does not answer in time, StreamClosedError where the port goes away.
    """

    def __init__(self, stream: ByteStream, *, clock: Clock = monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._pending = bytearray()

    # --- getting there

    def attend(self, timeout_s: float = ATTEND_S) -> None:
        """Interrupt what runs and enter the raw REPL, out of a program, a raw paste, a half-entered line or a link.

        Returns with the prompt read: what the board said before is gone.
        """
        until = self._clock() + timeout_s
        patience_s = _FIRST_TRY_S
        interrupt = INTERRUPT
        while True:
            try:
                left = min(until, self._clock() + patience_s)
                self._write(interrupt, left)
                # Firmware that leaves its link loop must not read the next two bytes with the frame that ended it.
                self._listen(_PAUSE_S)
                self._write(RAW, left)
                self._until(BANNER, left)
                self._agree(left)
            except NoReplError:
                if self._clock() >= until:
                    raise NoReplError(
                        f"the board did not answer Ctrl-C within {timeout_s:.2g} s", hint="bodydouble boards recover"
                    ) from None
                patience_s *= 2
                interrupt = bytes(MAX_ENCODED) + INTERRUPT  # the firmware may wait for the rest of a frame
            else:
                return

    def _agree(self, until: float) -> None:
        # Banners of earlier tries may still arrive: what counts is the answer to a question never asked before.
        nonce = secrets.token_hex(4).encode()
        self._write(b"print('" + nonce + b"')\x04", until)
        self._until(b"OK" + nonce + b"\r\n\x04\x04>", until)
        self._pending.clear()

    def soft_reset(self, timeout_s: float = ATTEND_S) -> None:
        """Restart the interpreter, from the raw REPL into the raw REPL: boot.py runs, main.py does not."""
        until = self._clock() + timeout_s
        self._write(b"\x04", until)
        self._until(b"soft reboot\r\n", until)
        self._until(BANNER, until)

    def leave(self) -> None:
        """Back to the friendly REPL, as a person finds it."""
        self._write(b"\r\x02", self._clock() + _FIRST_TRY_S)

    # --- running code

    def exec(self, code: str, timeout_s: float = EXEC_S) -> bytes:
        """Run `code` and return what it printed. BoardCodeError where it raised."""
        self.start(code, timeout_s)
        return self.finish(timeout_s)

    def start(self, code: str, timeout_s: float = EXEC_S) -> None:
        """Send `code` by raw paste; returns once the board has all of it and begins to run it."""
        until = self._clock() + timeout_s
        self._write(_PASTE, until)
        if (answer := self._take(2, until)) != _PASTE_TAKEN:
            raise NoReplError(
                f"the board's MicroPython takes no raw paste (answered {answer!r})",
                hint="flash MicroPython 1.24 or later: bodydouble boards flash",
            )
        window = int.from_bytes(self._take(2, until), "little")
        data, at, room = code.encode(), 0, window
        while at < len(data):
            while not room or self._pending or self._listen(0.0):
                answer = self._take(1, until)
                if answer[0] == _END:  # it wants no more: what follows is why
                    self._write(b"\x04", until)
                    return
                if answer[0] != _WINDOW_RAISED:
                    raise NoReplError(f"the board answered a raw paste with {answer!r}", hint="reset it")
                room += window
            piece = data[at : at + room]
            self._write(piece, until)
            at += len(piece)
            room -= len(piece)
        self._write(b"\x04", until)
        self._until(b"\x04", until)

    def finish(self, timeout_s: float = EXEC_S) -> bytes:
        """Wait until what was started has ended; returns what it printed since. BoardCodeError where it raised."""
        until = self._clock() + timeout_s
        output = self._until(b"\x04", until)
        traceback = self._until(b"\x04", until).decode(errors="replace").replace("\r\n", "\n")
        self._until(b">", until)
        if traceback:
            raise BoardCodeError(output, traceback)
        return output

    # --- conversing with code that was started

    def write(self, data: bytes, timeout_s: float = EXEC_S) -> None:
        """Write all of `data`. NoReplError where the board does not take it in time."""
        self._write(data, self._clock() + timeout_s)

    def take(self, timeout_s: float = EXEC_S) -> bytes:
        """The next byte that what was started prints. BoardCodeError where it raised instead."""
        byte = self._take(1, self._clock() + timeout_s)
        if byte[0] == _END:
            self._pending[:0] = byte
            self.finish(timeout_s)
            raise NoReplError("the board's code ended early", hint="run this again")
        return byte

    def read_line(self, timeout_s: float = EXEC_S) -> str:
        """The next line that what was started prints, without its end. BoardCodeError where it raised instead."""
        first = self.take(timeout_s)
        rest = b"" if first == b"\r" else self._until(b"\r", self._clock() + timeout_s)
        self._take(1, self._clock() + timeout_s)
        return (first + rest).strip().decode(errors="replace")

    def read_until(self, ending: bytes, timeout_s: float = EXEC_S) -> bytes:
        """What the board says before `ending`, which is taken, too."""
        return self._until(ending, self._clock() + timeout_s)

    def rest(self) -> bytes:
        """What has arrived and was not taken: the caller reads the stream from now on."""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest

    # --- bytes

    def _take(self, count: int, until: float) -> bytes:
        while len(self._pending) < count:
            self._more(until)
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken

    def _until(self, ending: bytes, until: float) -> bytes:
        at = 0
        while (found := self._pending.find(ending, at)) < 0:
            at = max(0, len(self._pending) - len(ending) + 1)
            if at > OUTPUT_LIMIT:
                raise NoReplError("the board prints without end", hint="bodydouble boards recover")
            self._more(until)
        taken = bytes(self._pending[:found])
        del self._pending[: found + len(ending)]
        return taken

    def _more(self, until: float) -> None:
        left = until - self._clock()
        if left <= 0:
            raise NoReplError("the board did not answer in time", hint="bodydouble boards recover")
        self._listen(left)

    def _listen(self, timeout_s: float) -> bool:
        # Whether bytes arrived within the time.
        data = self._stream.read(_READ_BYTES)
        if not data and timeout_s > 0:
            self._stream.wait(True, False, timeout_s)
            data = self._stream.read(_READ_BYTES)
        self._pending += data
        return bool(data)

    def _write(self, data: bytes, until: float) -> None:
        view = memoryview(data)
        while view:
            written = self._stream.write(bytes(view))
            view = view[written:]
            if view and not written:
                left = until - self._clock()
                if left <= 0:
                    raise NoReplError("the board takes no more bytes", hint="bodydouble boards recover")
                self._stream.wait(False, True, left)
                # A board that prints while nobody reads may itself be stuck in writing.
                self._pending += self._stream.read(_READ_BYTES)
