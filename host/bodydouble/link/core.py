"""The host's end of the link without its bytes' way there: bytes and the time in, events and bytes out.

`TRANSITIONS` is all that a frame can do; `receive`, `tick` and `take` are all that can make it happen.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from bodydouble.link.errors import HandshakeError, PayloadError, VersionError
from bodydouble.link.events import ClockExchange, Closed, CreditRaised, Delivered, Event, LinkStats, Opened
from bodydouble.link.framing import Deframer
from bodydouble.link.wire import (
    CREDITED,
    HALF,
    MAX_PAYLOAD,
    MAX_REASON,
    PING,
    PONG,
    SEQ_MASK,
    VERSION,
    WINDOW,
    Ack,
    Channel,
    FrameError,
    FrameType,
    Hello,
    decode,
    encode,
)

HELLO_EVERY_S = 0.1
RTO_MIN_S = 0.03
RTO_MAX_S = 1.0
NOTICE_S = 0.005
PROBE_MIN_S = 0.05
PROBE_MAX_S = 1.0
PINGS_KEPT = 16
COALESCE_BYTES = 4096
TAKE_BYTES = 32768
"""Most bytes that one `take` hands out: control queued after it overtakes the bulk that is still queued."""

_DATA = int(FrameType.DATA)


class State(Enum):
    """Where a session stands."""

    IDLE = auto()
    OPENING = auto()
    OPEN = auto()
    CLOSED = auto()


TRANSITIONS: dict[State, dict[int, str]] = {
    State.IDLE: {},
    # What else arrives before the answer to the hello belongs to an older session.
    State.OPENING: {FrameType.HELLO: "_opened"},
    State.OPEN: {
        FrameType.HELLO: "_answered_again",
        FrameType.ACK: "_acked",
        FrameType.DATA: "_delivered",
        FrameType.PING: "_pinged",
        FrameType.PONG: "_ponged",
        FrameType.CLOSE: "_closed",
    },
    State.CLOSED: {},
}


class LinkCore:
    """One end of one link, for any number of sessions, one after the other.

    open(now, session), reopen(now), close(reason); send(channel, payload); then, whenever bytes or time come:
    receive(data, now) and tick(now), both -> events; take(now) -> bytes to write; deadline() -> time of the next
    tick() that does something. `first` is the number that the board's first DATA is to have.
    """

    def __init__(self, *, max_payload: int = MAX_PAYLOAD, first: int = 0) -> None:
        self.state = State.IDLE
        self.stats = LinkStats()
        self.hello: Hello | None = None
        self._own_max = max_payload
        self._first = first
        self._deframer = Deframer()
        self._session = ""
        self._reset()

    def _reset(self) -> None:
        self._peer_max = MAX_PAYLOAD
        self._hello_at: float | None = None
        self._urgent: list[bytes] = []
        self._pings_due = 0
        self._probe_at: float | None = None
        self._probe_s = PROBE_MIN_S
        self._pings: deque[int] = deque(maxlen=PINGS_KEPT)
        # Receiving
        self._next = self._first
        self._unacked = False
        self._gap = False
        self._gap_told = False
        self._gap_seq = 0
        self._notice_at = 0.0
        # Sending: frames[tail:head] are kept until acknowledged, those from `sent` on are (again) to be written.
        self._frames: dict[int, bytes] = {}
        self._tail = self._sent = self._high = self._head = 0
        self._queues: dict[int, deque[bytes]] = {int(channel): deque() for channel in Channel}
        self._queued_bytes: dict[int, int] = dict.fromkeys(map(int, CREDITED), 0)
        self._bulk_queued = 0
        self._queued = self._others_queued = 0
        self._limits: dict[int, int] = dict.fromkeys(map(int, CREDITED), 0)
        self._spent: dict[int, int] = dict.fromkeys(map(int, CREDITED), 0)
        self._cautious = False  # nothing was acknowledged in time: of what is kept only the oldest goes out
        self._lossy = False  # the board has missed something in this session
        self._timer = 0.0
        self._timed: tuple[int, float] | None = None
        self._rtt_s = 0.0
        self._rto_s = RTO_MIN_S

    # --- the caller's side

    def open(self, now: float, session: str) -> None:
        """Begin a new session; `session` is a random name of at most MAX_SESSION characters."""
        self._reset()
        self._session = session
        self._hello_at = now
        self.state = State.OPENING

    def reopen(self, now: float) -> None:
        """Say hello again on a new byte stream: nothing that was sent is lost or doubled if the board still lives."""
        self._deframer = Deframer()
        self._hello_at = now
        self.state = State.OPENING

    def close(self, reason: str) -> None:
        """End the session and tell the board."""
        if self.state is State.OPEN:
            self._urgent.append(encode(FrameType.CLOSE, 0, 0, reason.encode()[:MAX_REASON]))
        self.state = State.CLOSED

    @property
    def max_payload(self) -> int:
        """The largest payload that the board takes."""
        return self._peer_max

    def send(self, channel: int, payload: bytes) -> None:
        """Queue one frame. PayloadError where it is larger than `max_payload`."""
        if len(payload) > self._peer_max:
            raise PayloadError(
                f"a message of {len(payload)} bytes is larger than the {self._peer_max} that one frame holds",
                hint="shorten it, or send it in pieces",
            )
        self._queues[channel].append(payload)
        self._queued += 1
        if channel in self._queued_bytes:
            self._queued_bytes[channel] += len(payload)
            self._bulk_queued += len(payload)
        else:
            self._others_queued += 1

    def credit(self, channel: int) -> int:
        """Bytes that may be queued on a bulk channel now, so that they go out at once."""
        granted = (self._limits[channel] - self._spent[channel]) & 0xFFFFFFFF
        return max(0, granted - self._queued_bytes[channel]) if granted < 0x80000000 else 0

    def ping(self) -> None:
        """Have a ping sent with the next bytes; its answer becomes a ClockExchange."""
        self._pings_due += 1

    @property
    def pending(self) -> int:
        """Frames that are queued or not acknowledged yet."""
        return ((self._head - self._tail) & SEQ_MASK) + self._queued

    @property
    def unhurried(self) -> bool:
        """Whether what waits to be written is a little bulk only: more of it may join it in one write."""
        return self._bulk_queued < COALESCE_BYTES and not (
            self._others_queued
            or self._urgent
            or self._unacked
            or self._gap
            or self._pings_due
            or (self._sent != self._head and not self._waits())
        )

    def deadline(self) -> float | None:
        """When `tick` will have something to do, or None."""
        if self._hello_at is not None:
            return self._hello_at
        if self.state is not State.OPEN:
            return None
        if self._tail != self._sent:
            retransmit_at = self._timer + self._rto_s
            return retransmit_at if self._probe_at is None else min(retransmit_at, self._probe_at)
        return self._probe_at

    # --- time

    def tick(self, now: float, *, blocked: bool = False) -> None:
        """Act on what `deadline` announced. `blocked`: bytes handed out wait to be written, so no answer is late."""
        if self._hello_at is not None and now >= self._hello_at:
            self._hello_at = now + HELLO_EVERY_S
            hello = Hello(VERSION, self._session, self._own_max, self._next)
            # The delimiter first: whatever stood unfinished on the wire must not swallow the hello.
            self._urgent.append(b"\0" + encode(FrameType.HELLO, 0, 0, hello.pack()))
        if self.state is not State.OPEN:
            return
        if self._probe_at is not None and now >= self._probe_at:
            # Credit is as good as used up. Should the news of more have been lost, the answer to a ping repeats it.
            self._probe_s = min(self._probe_s * 2, PROBE_MAX_S)
            self._probe_at = now + self._probe_s
            self.ping()
        if self._tail != self._sent:
            if blocked:
                self._timer = now
            elif now >= self._timer + self._rto_s:
                self.stats.timeouts += 1
                self._rto_s = min(self._rto_s * 2, RTO_MAX_S)
                self._timer = now
                self._go_back()
                # Where nothing was ever lost the board is merely slow and has them all: copies would keep it busy.
                self._cautious = not self._lossy

    # --- bytes out

    def take(self, now: float) -> bytes:
        """The next bytes to write, at most TAKE_BYTES and a frame; b"" where nothing waits."""
        parts = self._urgent
        self._urgent = []
        if self.state is State.OPEN:
            if self._unacked or self._gap:
                sacks = ((self._next, self._next),) if self._gap else ()
                parts.append(encode(FrameType.ACK, 0, 0, Ack(self._next, sacks).pack()))
                self._unacked = self._gap = False
                self.stats.acks += 1
            while self._pings_due:
                self._pings_due -= 1
                sent_us = int(now * 1e6)
                self._pings.append(sent_us)
                parts.append(encode(FrameType.PING, 0, 0, PING.pack(sent_us)))
            self._take_data(parts, now)
        data = b"".join(parts)
        self.stats.tx_bytes += len(data)
        return data

    def _take_data(self, parts: list[bytes], now: float) -> None:
        size = 0
        while size < TAKE_BYTES and not self._waits():
            seq = self._sent
            if seq == self._head and not self._dequeue(now):
                return
            if seq == self._tail:
                self._timer = now
            self._sent = (seq + 1) & SEQ_MASK
            if seq == self._high:
                self._high = self._sent
                if self._timed is None:
                    self._timed = (seq, now)
            frame = self._frames[seq]
            parts.append(frame)
            size += len(frame)

    def _dequeue(self, now: float) -> bool:
        # Numbers the next queued frame; queues stand in order of priority.
        if (self._head - self._tail) & SEQ_MASK >= WINDOW:
            return False
        if not self._queued:
            return False
        for channel, queue in self._queues.items():
            if queue:
                if channel in self._spent:
                    length = len(queue[0])
                    spent = (self._spent[channel] + length) & 0xFFFFFFFF
                    if (self._limits[channel] - spent) & 0x80000000:
                        continue
                    self._spent[channel] = spent
                    if self._probe_at is None and self._starved(channel):
                        self._probe_at, self._probe_s = now + PROBE_MIN_S, PROBE_MIN_S
                    self._queued_bytes[channel] -= length
                    self._bulk_queued -= length
                else:
                    self._others_queued -= 1
                self._queued -= 1
                self._frames[self._head] = encode(_DATA, channel, self._head, queue.popleft())
                self._head = (self._head + 1) & SEQ_MASK
                self.stats.tx_frames += 1
                return True
        return False

    def _waits(self) -> bool:
        return self._cautious and self._sent != self._tail

    def _go_back(self) -> None:
        self._cautious = False
        self.stats.retransmits += (self._sent - self._tail) & SEQ_MASK
        self._sent = self._tail
        self._timed = None  # an answer could be to either copy

    def _release(self, expected: int, now: float) -> bool:
        # The board has everything before `expected`. False: an old number, or nonsense.
        count = (expected - self._tail) & SEQ_MASK
        if count > (self._head - self._tail) & SEQ_MASK:
            return False
        if count:
            if self._timed and (self._timed[0] - self._tail) & SEQ_MASK < count:
                sample = now - self._timed[1]
                self._timed = None
                self._rtt_s = self._rtt_s * 7 / 8 + sample / 8 if self._rtt_s else sample
                self._rto_s = min(max(RTO_MIN_S, self._rtt_s * 4), RTO_MAX_S)
            for step in range(count):
                del self._frames[(self._tail + step) & SEQ_MASK]
            if (self._sent - self._tail) & SEQ_MASK < count:
                self._sent = expected  # after going back, it lies beyond what was written again
            if self._cautious and (count > 1 or expected == self._high):
                self._sent = self._high  # what is acknowledged are not copies: whatever was sent before is on its way
                self._cautious = False
            self._tail = expected
            self._timer = now
        return True

    # --- bytes in

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take in what arrived at `now`; returns what it means."""
        stats = self.stats
        stats.rx_bytes += len(data)
        too_long = self._deframer.too_long
        events: list[Event] = []
        for encoded in self._deframer.feed(data):
            try:
                kind, channel, seq, payload = decode(encoded)
                action = TRANSITIONS[self.state].get(kind)
                if action is None:
                    stats.unknown_frames += 1
                else:
                    getattr(self, action)(channel, seq, payload, now, events)
            except FrameError as error:
                if error.crc:
                    stats.crc_errors += 1
                else:
                    stats.bad_frames += 1
                self._suspect(now)
        if self._deframer.too_long != too_long:
            stats.bad_frames += self._deframer.too_long - too_long
            self._suspect(now)
        return events

    def _suspect(self, now: float) -> None:
        # What was broken may have been data, or data written again: asking now spares the board's time-out.
        if self.state is State.OPEN and (not self._gap_told or now >= self._notice_at):
            self._gap = self._gap_told = True
            self._gap_seq = self._next
            self._notice_at = now + NOTICE_S

    def _delivered(self, channel: int, seq: int, payload: bytes, now: float, events: list[Event]) -> None:
        ahead = (seq - self._next) & SEQ_MASK
        if ahead == 0:
            self._next = (seq + 1) & SEQ_MASK
            self._unacked = True
            self._gap_told = False
            self.stats.rx_frames += 1
            events.append(Delivered(channel, payload, now))
        elif ahead >= HALF:
            self.stats.duplicates += 1
            self._unacked = True
        else:
            # Frames went missing. Told once, and again when the board has gone back and lost the same frame again.
            self.stats.gaps += 1
            if not self._gap_told or (seq - self._gap_seq - 1) & HALF:
                self._gap = True
            self._gap_told = True
            self._gap_seq = seq

    def _acked(self, _channel: int, _seq: int, payload: bytes, now: float, events: list[Event]) -> None:
        ack = Ack.unpack(payload)
        self._raise_credit(ack.credits, events)
        self._lossy = self._lossy or bool(ack.sacks)
        if self._release(ack.next, now) and ack.sacks and self._tail != self._sent:
            self._go_back()

    def _raise_credit(self, entries: tuple[tuple[int, int], ...], events: list[Event]) -> None:
        for channel, limit in entries:
            known = self._limits.get(channel)
            # Limits only grow: an old acknowledgement that arrives late changes nothing.
            if known is not None and 0 < (limit - known) & 0xFFFFFFFF < 0x80000000:
                self._limits[channel] = limit
                events.append(CreditRaised(channel))
                if not any(map(self._starved, self._spent)):
                    self._probe_at = None

    def _starved(self, channel: int) -> bool:
        spent = self._spent[channel]
        return spent != 0 and (self._limits[channel] - spent) & 0xFFFFFFFF < MAX_PAYLOAD

    def _pinged(self, _channel: int, _seq: int, payload: bytes, now: float, _events: list[Event]) -> None:
        if len(payload) == PING.size and len(self._urgent) < PINGS_KEPT:
            now_us = int(now * 1e6)
            pong = PONG.pack(PING.unpack(payload)[0], now_us, now_us)
            self._urgent.append(encode(FrameType.PONG, 0, 0, pong))

    def _ponged(self, _channel: int, _seq: int, payload: bytes, now: float, events: list[Event]) -> None:
        if len(payload) != PONG.size:
            raise FrameError("a pong of the wrong length")
        echo, received_us, sent_us = PONG.unpack(payload)
        if echo in self._pings:
            self._pings.remove(echo)
            events.append(ClockExchange(echo / 1e6, received_us, sent_us, now))

    def _closed(self, _channel: int, _seq: int, payload: bytes, _now: float, events: list[Event]) -> None:
        self.state = State.CLOSED
        events.append(Closed(payload[:MAX_REASON].decode(errors="replace")))

    def _opened(self, _channel: int, _seq: int, payload: bytes, now: float, events: list[Event]) -> None:
        try:
            hello = Hello.unpack(payload)
        except FrameError as error:
            raise HandshakeError(
                f"the board answered with {error}", hint="put this tool's firmware on it again"
            ) from error
        if hello.version != VERSION:
            cure = "put this tool's firmware on the board"
            if hello.version > VERSION:
                cure = "upgrade this tool: pip install -U bodydouble"
            raise VersionError(
                f"the board's firmware speaks version {hello.version} of the link, this tool version {VERSION}",
                hint=cure,
            )
        if hello.session != self._session:
            return  # the answer to an older hello
        resuming = self.hello is not None and self.hello.session == hello.session
        self._hello_at = None
        if resuming and not hello.resumed:
            self.state = State.CLOSED
            events.append(Closed("the board was reset and has lost the session"))
            return
        self.hello = hello
        self.state = State.OPEN
        self._peer_max = min(hello.max_payload, MAX_PAYLOAD)
        self._raise_credit(hello.credits, events)
        if resuming:
            self._release(hello.next, now)
            self._go_back()
        else:
            self._tail = self._sent = self._high = self._head = hello.next
        events.append(Opened(hello))

    def _answered_again(self, _channel: int, _seq: int, payload: bytes, now: float, events: list[Event]) -> None:
        # The board's answer to a hello that was repeated: news about credit and arrivals, no more.
        hello = Hello.unpack(payload)
        if hello.session == self._session:
            self._raise_credit(hello.credits, events)
            self._release(hello.next, now)
