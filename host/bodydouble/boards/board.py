"""A board that is open: requests and replies, uploads, and what it says by itself."""

from __future__ import annotations

import hashlib
import json
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from bodydouble.boards.errors import NoReplyError, RequestRefusedError
from bodydouble.clock import Clock, monotonic
from bodydouble.errors import BodydoubleError
from bodydouble.link.errors import StreamClosedError
from bodydouble.link.wire import Channel

if TYPE_CHECKING:
    from bodydouble.boards.inventory import BoardType
    from bodydouble.link.connection import Connection
    from bodydouble.link.events import Delivered

REQUEST_S = 10.0
STALL_S = 10.0


class Machine(Protocol):
    """What runs the firmware: a child process, an emulator, a thing on a cable."""

    @property
    def returncode(self) -> int | None:
        """How it ended (negative: the signal), or None while it runs or where that is not known."""

    def watch(self) -> None:
        """Called now and then while the board is used: take in what it writes to its error output."""

    def gone(self, error: StreamClosedError) -> BodydoubleError:
        """Why the byte stream ended."""

    def kill(self) -> None:
        """End it at once."""

    def close(self) -> None:
        """See that it has ended and leave nothing behind; may be called twice."""


class Board:
    """An open board; a context manager. Not for several threads.

    info: dict                                    what the firmware says of itself, and the board's type
    request(op, timeout_s=10.0, **fields) -> dict the reply; RequestRefusedError with the board's text, NoReplyError
    upload(name, blob, **fields) -> dict          op "load" with name, bytes and sha256, then the bytes; the reply
                                                  that comes once the board has verified them
    exchange(op, blob, **fields) -> (dict, bytes) op, its bytes on the file channel, and the tensors that come back
    poll(timeout_s=0.0) -> list[Delivered]        everything but replies, in order
    connection: Connection; returncode; kill(); close()

    Any call raises BoardGoneError or FirmwareStoppedError when the board ends meanwhile.
    """

    def __init__(self, kind: BoardType, connection: Connection, machine: Machine, clock: Clock = monotonic) -> None:
        self.kind = kind
        self.connection = connection
        self.info: dict[str, Any] = {"type": kind.type}
        self._machine = machine
        self._clock = clock
        self._ids = 0
        self._awaited: set[int] = set()
        self._replies: dict[int, dict[str, Any]] = {}
        self._events: list[Delivered] = []
        self._closed = False

    def start(self, timeout_s: float, *, ask: bool = True, **known: Any) -> None:
        """Open the link, and ask the firmware what it is; `known` goes into `info` too."""
        try:
            self.connection.open(timeout_s)
        except StreamClosedError as error:
            raise self._machine.gone(error) from error
        self.info.update(known)
        if ask:
            reply = self.request("info", timeout_s=timeout_s)
            self.info.update((key, value) for key, value in reply.items() if key not in ("id", "ok"))

    def request(self, op: str, *, timeout_s: float = REQUEST_S, **fields: Any) -> dict[str, Any]:
        """Ask the firmware for `op` and wait for its reply; what else arrives is kept for `poll`."""
        ident = self._ask(op, fields)
        try:
            return self._reply(ident, op, timeout_s)
        finally:
            self._forget(ident)

    def upload(self, name: str, blob: bytes, *, timeout_s: float = REQUEST_S, **fields: Any) -> dict[str, Any]:
        """Send `blob` over the file channel; returns the board's reply to op "load".

        A refusal (no memory, wrong hash) ends it early. `timeout_s` is for the reply after the last byte.
        """
        sha256 = hashlib.sha256(blob).hexdigest()
        fields = {"name": name, "bytes": len(blob), "sha256": sha256, **fields}
        return self.exchange("load", blob, timeout_s=timeout_s, **fields)[0]

    def exchange(
        self, op: str, blob: bytes = b"", *, timeout_s: float = REQUEST_S, stall_s: float = STALL_S, **fields: Any
    ) -> tuple[dict[str, Any], bytes]:
        """Ask for `op` and give it `blob` on the file channel as the board takes it; a refusal ends it early.

        Returns the reply, and the bytes that came on the tensor channel before it. Raises NoReplyError where the
        board takes no byte and sends none for `stall_s`, or does not reply within `timeout_s` after the last byte.
        """
        ident = self._ask(op, fields)
        connection = self.connection
        tensors = bytearray()
        try:
            at = 0
            stalled_at = self._clock() + stall_s
            while at < len(blob) and ident not in self._replies:
                size = min(connection.max_payload, connection.credit(Channel.FILE), len(blob) - at)
                if size:
                    connection.send(Channel.FILE, blob[at : at + size])
                    at += size
                else:
                    self._pump(0.05)
                if size or self._take_tensors(tensors):
                    stalled_at = self._clock() + stall_s
                elif self._clock() > stalled_at:
                    raise NoReplyError(
                        f"the board took no more of {op!r} after {at:,} of {len(blob):,} bytes", hint="reset it"
                    )
            reply = self._reply(ident, op, timeout_s, tensors)
            return reply, bytes(tensors)
        finally:
            self._forget(ident)

    def _take_tensors(self, into: bytearray) -> bool:
        # Moves what came on the tensor channel out of the events.
        found = [event for event in self._events if event.channel == Channel.TENSOR]
        if found:
            self._events = [event for event in self._events if event.channel != Channel.TENSOR]
            for event in found:
                into += event.payload
        return bool(found)

    def poll(self, timeout_s: float = 0.0) -> list[Delivered]:
        """What the board sent but replies: events, utterances, log lines.

        Waits up to `timeout_s` for the first; returns early, with an empty list, when credit was raised.
        """
        if not self._events:
            self._pump(timeout_s)
        events, self._events = self._events, []
        return events

    @property
    def returncode(self) -> int | None:
        """How the board's process ended (negative: the signal); None while it runs."""
        return self._machine.returncode

    def kill(self) -> None:
        """End the board at once, as a power cut would."""
        self._machine.kill()

    def close(self) -> None:
        """End the session and the board, and leave nothing behind; may be called twice."""
        if not self._closed:
            self._closed = True
            try:
                self.connection.close()
            finally:
                self._machine.close()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- parts

    def _ask(self, op: str, fields: dict[str, Any]) -> int:
        self._ids += 1
        message = {"id": self._ids, "op": op, **fields}
        self.connection.send(Channel.CONTROL, json.dumps(message, separators=(",", ":")).encode())
        self._awaited.add(self._ids)
        return self._ids

    def _forget(self, ident: int) -> None:
        self._awaited.discard(ident)
        self._replies.pop(ident, None)

    def _reply(self, ident: int, op: str, timeout_s: float, tensors: bytearray | None = None) -> dict[str, Any]:
        until = self._clock() + timeout_s
        while ident not in self._replies:
            left = until - self._clock()
            if left <= 0:
                raise NoReplyError(f"the board did not answer {op!r} within {timeout_s:g} s", hint="reset it")
            self._pump(left)
            if tensors is not None and self._take_tensors(tensors):
                until = self._clock() + timeout_s
        reply = self._replies[ident]
        if reply.get("ok") is not True:
            raise RequestRefusedError(f"the board refused {op!r}: {reply.get('error', 'no reason given')}")
        return reply

    def _pump(self, timeout_s: float) -> None:
        try:
            arrived = self.connection.poll(timeout_s)
        except StreamClosedError as error:
            raise self._machine.gone(error) from error
        if not arrived:
            self._machine.watch()
        for delivered in arrived:
            if delivered.channel == Channel.CONTROL:
                self._answered(delivered.payload)
            else:
                self._events.append(delivered)

    def _answered(self, payload: bytes) -> None:
        # Replies to requests that were given up are dropped; so is what is no reply at all.
        try:
            reply = json.loads(payload)
        except (ValueError, RecursionError):
            return
        if isinstance(reply, dict) and reply.get("id") in self._awaited:
            self._replies[reply["id"]] = reply
