"""A link over a byte stream: one thread, pumped by whoever calls `poll`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodydouble.clock import Clock, monotonic
from bodydouble.link.clocksync import ClockSync
from bodydouble.link.core import LinkCore, State
from bodydouble.link.errors import NoAnswerError, SessionLostError, StreamClosedError
from bodydouble.link.events import ClockExchange, Closed, CreditRaised, Delivered, Event, LinkStats, Opened
from bodydouble.link.wire import session_name

if TYPE_CHECKING:
    from bodydouble.link.stream import ByteStream
    from bodydouble.link.wire import Hello

__all__ = ["Connection", "Delivered"]

READ_BYTES = 65536
RESYNC_S = 1.0
CLOSE_S = 0.2
COALESCE_S = 0.001


class Connection:
    """One session with a board.

    open(timeout_s=5.0) -> Hello; send(channel, payload); credit(channel) -> bytes; poll(timeout_s=0.0) ->
    list[Delivered]; drain(timeout_s); sync_clock(exchanges=16); board_time(ticks_us) -> float; clock_error_us;
    stats; close(). Nothing here blocks longer than its timeout_s.

    Errors: StreamClosedError (the byte stream ended), SessionLostError (the board closed the session),
    VersionError and HandshakeError (open), NoAnswerError (open, drain, sync_clock).
    """

    def __init__(
        self,
        stream: ByteStream,
        clock: Clock = monotonic,
        *,
        core: LinkCore | None = None,
        drift_ppm: float = 100.0,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._core = core or LinkCore()
        self._drift_ppm = drift_ppm
        self._sync = ClockSync(drift_ppm=drift_ppm)
        self._exchanges = 0
        self._pinged = 0.0
        self._inbox: list[Delivered] = []
        self._out = memoryview(b"")
        self._broken: StreamClosedError | None = None
        self._written = 0.0

    # --- session

    def open(self, timeout_s: float = 5.0) -> Hello:
        """Say hello until the board answers."""
        until = self._clock() + timeout_s
        self._core.open(self._clock(), session_name())
        while self._core.state is State.OPENING:
            if self._clock() >= until:
                raise NoAnswerError(
                    f"the board did not answer within {timeout_s:g} s",
                    hint="check that its firmware runs, or reset it",
                )
            self._pump(until)
        hello = self._core.hello
        if hello is None:
            raise SessionLostError("the session ended while it was opened", hint="run this again")
        return hello

    def close(self, reason: str = "done") -> None:
        """Tell the board, then give the stream up. Never fails, and may be called twice."""
        try:
            if self._core.state is State.OPEN:
                self._core.close(reason)
                until = self._clock() + CLOSE_S
                while (self._flush() or self._out) and self._clock() < until:
                    self._stream.wait(False, True, until - self._clock())
        except StreamClosedError:
            pass  # nobody is left to be told
        finally:
            self._stream.close()

    # --- data

    @property
    def max_payload(self) -> int:
        """Largest payload of one frame, in bytes."""
        return self._core.max_payload

    @property
    def stats(self) -> LinkStats:
        """Counters of this end."""
        return self._core.stats

    def send(self, channel: int, payload: bytes) -> None:
        """Queue one frame; the next `poll` writes it. PayloadError where it exceeds `max_payload`."""
        self._core.send(channel, payload)

    def credit(self, channel: int) -> int:
        """Bytes that may be queued on a bulk channel (audio, file) now."""
        return self._core.credit(channel)

    def poll(self, timeout_s: float = 0.0) -> list[Delivered]:
        """Write what waits and read what came; returns the frames that were delivered.

        Waits up to `timeout_s`, but returns at once, with an empty list, when credit was raised. With no time to
        wait, a little bulk is held back for up to COALESCE_S, so that the next polls can send more of it at once.
        """
        until = self._clock() + timeout_s
        while not self._inbox and not self._pump(until) and self._clock() < until:
            pass
        delivered = self._inbox
        self._inbox = []
        return delivered

    def drain(self, timeout_s: float = 5.0) -> None:
        """Wait until the board has acknowledged everything that was sent; what arrives meanwhile is kept for poll."""
        until = self._clock() + timeout_s
        while self._core.pending:
            if self._clock() >= until:
                raise NoAnswerError(f"the board did not take what was sent within {timeout_s:g} s", hint="reset it")
            self._pump(until)

    # --- clocks

    def sync_clock(self, exchanges: int = 16, timeout_s: float = 2.0) -> float:
        """Exchange clocks `exchanges` times, one after the other; returns the error bound in microseconds."""
        until = self._clock() + timeout_s
        for _ in range(exchanges):
            wanted = self._exchanges + 1
            self._ping()
            while self._exchanges < wanted:
                now = self._clock()
                if now >= until:
                    if self._sync.synced:
                        return self.clock_error_us
                    raise NoAnswerError(f"the board did not answer a ping within {timeout_s:g} s", hint="reset it")
                if now >= self._pinged + RESYNC_S / 4:
                    self._ping()  # a ping is sent once: a lost one is replaced
                self._pump(min(until, self._pinged + RESYNC_S / 4))
        return self.clock_error_us

    def board_time(self, ticks_us: int) -> float:
        """Host clock seconds of a board's ticks_us()."""
        return self._sync.host_time(ticks_us, self._clock())

    @property
    def clock_error_us(self) -> float:
        """Bound of the error of `board_time` for a tick of now; infinite before the clocks were exchanged."""
        return self._sync.error_us(self._clock())

    @property
    def clock_offset_us(self) -> float:
        """Board ticks less the host's clock, in microseconds, as estimated."""
        return self._sync.offset_us(self._clock())

    # --- the pump

    def _ping(self) -> None:
        self._pinged = self._clock()
        self._core.ping()

    def _pump(self, until: float) -> bool:
        # One round: write, read, and sleep until `until` where nothing came. True: something came of it.
        now = self._clock()
        if self._sync.synced and now > self._pinged + RESYNC_S:
            self._ping()
        self._core.tick(now, blocked=bool(self._out))
        if until > now or now > self._written + COALESCE_S or not self._core.unhurried:
            self._flush()
            self._written = now
        data = self._stream.read(READ_BYTES)
        if not data:
            if self._broken:
                raise self._broken  # everything that the board still had to say was read
            deadline = self._core.deadline()
            if deadline is not None and deadline < until:
                until = deadline
            left = until - self._clock()
            if left <= 0:
                return False
            self._stream.wait(True, bool(self._out), left)
            data = self._stream.read(READ_BYTES)
            if not data:
                return False
        raised = self._take_in(self._core.receive(data, self._clock()))
        self._flush()  # acknowledgements leave at once
        return raised

    def _take_in(self, events: list[Event]) -> bool:
        raised = False
        for event in events:
            kind = type(event)
            if isinstance(event, Delivered):
                self._inbox.append(event)
            elif kind is CreditRaised:
                raised = True
            elif isinstance(event, ClockExchange):
                self._sync.add(event)
                self._exchanges += 1
            elif isinstance(event, Opened):
                if not event.hello.resumed:
                    self._sync = ClockSync(ticks_bits=event.hello.ticks_bits, drift_ppm=self._drift_ppm)
            elif isinstance(event, Closed):
                raise SessionLostError(f"the board closed the session: {event.reason}", hint="run this again")
        return raised or bool(self._inbox)

    def _flush(self) -> bool:
        # Writes until the stream takes no more; whether anything was written.
        if self._broken:
            return False
        any_written = False
        while True:
            if not self._out:
                self._out = memoryview(self._core.take(self._clock()))
                if not self._out:
                    return any_written
            try:
                written = self._stream.write(self._out)  # type: ignore[arg-type]
            except StreamClosedError as error:
                # The board's last words may still stand in the other direction.
                self._broken, self._out = error, memoryview(b"")
                return any_written
            if not written:
                return any_written
            any_written = True
            self._out = self._out[written:]
