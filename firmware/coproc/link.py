# The board's end of the link: frames, credits, acknowledgement, retransmission (firmware/LINK.md specifies it).
#
# Everything is preallocated: receiving frames, handing them on, acknowledging and granting allocate nothing on the
# viper tier. Only a hello, which comes once per session, does.
import json
import sys
from array import array

from micropython import const

from coproc import wire
from coproc.port import ticks_diff, ticks_us

_CHUNK = const(4096)  # bytes read from the stream at once
_URGENT = const(1024)  # encoded frames outside the sequence that wait to be written
_SLOTS = const(64)  # most frames kept for retransmission; a power of two
_BULK_SLOTS = const(48)
_ACK_FRAMES = const(8)  # frames that one acknowledgement may wait for while the board is busy
_ACK_BYTES = const(4096)  # growth of a credit that is told while the board is busy
_ACK_US = const(5000)  # longest that either waits
_RTO_MIN_US = const(30000)
_RTO_MAX_US = const(1000000)

# Slots of the decoder's state (link_viper.py)
_POS = const(0)
_END = const(1)

# States: rows of the transition table
_IDLE = const(0)
_OPEN = const(1)


def _no_session(resumed):
    pass


class Link:
    """Link(stream, on_frame, kernels=None, grants=(), ...)

    stream: readinto(buf) -> bytes read (0: nothing now; EOFError at the end), write(buf, start, n) -> bytes written,
        wait(ms) until readable or so long.
    on_frame(channel, buf, start, length): called for every delivered frame, in order, exactly once; the bytes are
        valid during the call only. It may send() and grant(), but not poll().
    kernels: coproc.link_viper or coproc.link_bytecode; None picks the best that runs here.
    grants: ((channel, bytes), ...) granted to every new session on the bulk channels.
    on_session(resumed): called when a hello opened a session; False: everything starts anew.
    """

    def __init__(
        self,
        stream,
        on_frame,
        kernels=None,
        grants=(),
        on_session=_no_session,
        tx_bytes=8192,
        max_payload=wire.MAX_PAYLOAD,
        first=0,
        ticks_bits=0,
    ):
        if kernels is None:
            kernels = _best_kernels()
        if tx_bytes < 2 * wire.MAX_ENCODED:
            raise ValueError("tx_bytes must hold two frames")
        self._decode = kernels.decode
        self._seal = kernels.seal
        self._pack = kernels.pack
        self._charge = kernels.charge
        self._stream = stream
        self._on_frame = on_frame
        self._on_session = on_session
        self._grants = grants
        self._first = first
        self._ticks_bits = ticks_bits or _ticks_bits()
        self.max_payload = max_payload

        # Receiving
        self._raw = bytearray(_CHUNK)
        self._frame = bytearray(wire.MAX_FRAME + 2)
        self._limit = wire.HEADER + max_payload + wire.TRAILER
        self._state = array("i", bytes(4 * 8))
        self._state[5] = self._state[6] = 0xFFFF
        self._counts = bytearray(4 * wire.CHANNELS)  # u32 per channel: bytes received
        self._limits = bytearray(4 * wire.CHANNELS)  # u32 per channel: bytes the host may have sent
        self._told = array("i", [0] * wire.CHANNELS)  # low 30 bits of the limit in the newest acknowledgement
        self._granted = array("i", [0] * wire.CHANNELS)  # low 30 bits of the limit

        # Sending
        self._out = bytearray(wire.MAX_FRAME + 2)  # a frame before COBS
        self._ring = bytearray(tx_bytes)  # encoded frames, from the oldest unacknowledged on
        self._bulk_bytes = tx_bytes * 3 // 4
        self._at = array("H", [0] * _SLOTS)
        self._to = array("H", [0] * _SLOTS)
        self._urgent = bytearray(_URGENT)
        self._small = bytearray(wire.HEADER + 96 + wire.TRAILER)
        self._ack = bytearray(4 + 8 * 4 + 8 * 5)
        self._pong = bytearray(24)

        # A state is a row, a frame type a column: what happens when such a frame arrives in such a state.
        skip = self._skip
        hello = self._hello
        refuse = self._refuse
        ping = self._ping
        self._table = (
            # 0     HELLO  ACK  DATA    PING    PONG  CLOSE
            (skip, hello, skip, refuse, refuse, skip, skip),  # _IDLE
            (skip, hello, self._acked, self._data, ping, skip, self._close),  # _OPEN
        )
        self.peer = {}
        self.session = ""
        self.closed = ""  # the reason of the peer's CLOSE, or of ours
        self.rx_frames = self.rx_bytes = self.tx_frames = self.acks = 0
        self.crc_errors = self.bad_frames = self.unknown_frames = 0
        self.duplicates = self.gaps = self.retransmits = self.timeouts = self.sessions = 0
        self._reset(0)

    # --- for the application

    @property
    def connected(self):
        return self._mode == _OPEN

    def poll(self, timeout_ms=0):
        """Reads, delivers, acknowledges and writes; waits up to timeout_ms where there is nothing to read.

        Takes in at most one chunk of 4,096 bytes per call. True when bytes came in.
        """
        state = self._state
        got = True
        if state[_POS] >= state[_END]:
            got = self._read()
            if not got and timeout_ms:
                due = self._unacked or self._credit_due
                if self._ack_now:
                    self._acknowledge()
                self._flush()
                # More frames may be on their way: one acknowledgement for all of them.
                self._stream.wait(1 if due else self._patience(timeout_ms))
                got = self._read()
                if due and not got:
                    self._acknowledge()
        if got:
            self._take()
            if self._unacked >= _ACK_FRAMES or self._ack_now:
                self._acknowledge()
        elif (self._unacked or self._credit_due) and ticks_diff(ticks_us(), self._due_since) > _ACK_US:
            self._acknowledge()
        self._flush()
        return got

    def send(self, channel, buf, start, length):
        """Takes a frame of at most max_payload bytes for the host. False: no room now, nothing was taken."""
        if self._mode != _OPEN:
            return False
        if length > self._peer_max:
            raise ValueError("a payload holds at most %d bytes" % self._peer_max)
        at = self._place(channel, length)
        if at < 0:
            return False
        seq = self._head
        self._pack(self._out, wire.DATA, channel, seq, buf, start, length)
        end = self._seal(self._out, length, self._ring, at)
        slot = seq & (_SLOTS - 1)
        self._at[slot] = at
        self._to[slot] = end
        self._write_at = end
        self._head = (seq + 1) & 0xFFFF
        self.tx_frames += 1
        self._flush()
        return True

    def room(self, channel):
        """Payload bytes that one send() would take on this channel now; 0 where a whole frame finds no room."""
        if self._mode != _OPEN or self._place(channel, self._peer_max) < 0:
            return 0
        return self._peer_max

    @property
    def pending(self):
        """Frames sent and not acknowledged yet."""
        return (self._head - self._tail) & 0xFFFF

    def grant(self, channel, total_bytes):
        """The host may have sent total_bytes (mod 2**32) on a bulk channel since the session began."""
        low = total_bytes & 0x3FFFFFFF
        if low == self._granted[channel]:
            return
        self._granted[channel] = low
        at = channel * 4
        limits = self._limits
        limits[at] = total_bytes & 255
        limits[at + 1] = (total_bytes >> 8) & 255
        limits[at + 2] = (total_bytes >> 16) & 255
        limits[at + 3] = (total_bytes >> 24) & 255
        self._due()
        self._credit_due |= 1 << channel
        if ((low - self._told[channel]) & 0x3FFFFFFF) >= _ACK_BYTES:
            self._ack_now = True

    def received_bytes(self, channel):
        """Payload bytes received on a bulk channel since the session began, mod 2**32."""
        return int.from_bytes(self._counts[channel * 4 : channel * 4 + 4], "little")

    def counters(self):
        """A dict of what was counted since boot, for a report."""
        return {
            "rx_frames": self.rx_frames,
            "rx_bytes": self.rx_bytes,
            "tx_frames": self.tx_frames,
            "acks": self.acks,
            "crc_errors": self.crc_errors,
            "bad_frames": self.bad_frames,
            "unknown_frames": self.unknown_frames,
            "duplicates": self.duplicates,
            "gaps": self.gaps,
            "retransmits": self.retransmits,
            "timeouts": self.timeouts,
            "sessions": self.sessions,
        }

    def close(self, reason):
        """Ends the session and tells the host why."""
        if self._mode == _OPEN:
            self._say_close(reason)
        self._mode = _IDLE
        self.closed = reason
        self._flush()

    # --- receiving

    def _read(self):
        count = self._stream.readinto(self._raw)
        if not count:
            return False
        self._state[_POS] = 0
        self._state[_END] = count
        self.rx_bytes = (self.rx_bytes + count) & 0x3FFFFFFF  # a counter that stays a small int everywhere
        return True

    def _take(self):
        state = self._state
        raw = self._raw
        frame = self._frame
        decode = self._decode
        limit = self._limit
        while state[_POS] < state[_END]:
            length = decode(state, raw, frame, limit)
            if length >= 0:
                kind = frame[0]
                self._table[self._mode][kind if kind <= wire.CLOSE else 0](length)
            elif length == -1:
                return
            else:
                if length == -3:
                    self.crc_errors += 1
                else:
                    self.bad_frames += 1
                # What was broken may have been data: asking now spares the sender's time-out.
                if self._mode == _OPEN and not self._gap_told:
                    self._gap_told = True
                    self._gap_seq = self._next
                    self._gap = True
                    self._ack_now = True

    def _data(self, length):
        frame = self._frame
        seq = frame[2] | (frame[3] << 8)
        ahead = (seq - self._next) & 0xFFFF
        if ahead == 0:
            channel = frame[1]
            if (channel == wire.AUDIO or channel == wire.FILE) and not self._charge(
                self._counts, self._limits, channel, length
            ):
                self.close("more bytes than granted on channel %d" % channel)
                return
            self._next = (seq + 1) & 0xFFFF
            self._gap_told = False
            if not self._unacked:
                self._due()
            self._unacked += 1
            self.rx_frames += 1
            if channel < wire.CHANNELS:
                self._on_frame(channel, frame, wire.HEADER, length)
            else:
                self.unknown_frames += 1
        elif ahead >= 0x8000:
            self.duplicates += 1
            self._ack_now = True
        else:
            # Frames went missing. Told once, and again when the sender has gone back and lost the same frame again.
            self.gaps += 1
            if not self._gap_told or ((seq - self._gap_seq - 1) & 0x8000):
                self._gap = True
                self._ack_now = True
            self._gap_told = True
            self._gap_seq = seq

    def _acked(self, length):
        frame = self._frame
        if length < 4:
            self.bad_frames += 1
            return
        acked = ((frame[6] | (frame[7] << 8)) - self._tail) & 0xFFFF
        if acked > ((self._head - self._tail) & 0xFFFF):
            return  # an old one, or nonsense
        if acked:
            self._release(acked)
        if frame[8] and self._tail != self._sent:
            self._go_back()

    def _ping(self, length):
        if length != 8 or self._room_urgent(40) < 0:
            return  # a lost ping costs nothing: the host sends another
        now = ticks_us()
        pong = self._pong
        pong[0:8] = self._frame[6:14]
        _put64(pong, 8, now)
        _put64(pong, 16, ticks_us())
        self._put_urgent(wire.PONG, pong, 24)

    def _close(self, length):
        self._mode = _IDLE
        self.closed = _text(self._frame, length)

    def _skip(self, length):
        self.unknown_frames += 1

    def _refuse(self, length):
        # Data for a session that this board does not know (it was reset): said once per chunk.
        if self._room_urgent(64) >= 0 and not self._urgent_end:
            self._say_close("no session")

    def _hello(self, length):
        try:
            hello = json.loads(bytes(self._frame[wire.HEADER : wire.HEADER + length]))
            version = hello["version"]
            session = hello["session"]
            peer_max = hello["max_payload"]
            expected = hello["next"]
            if not (isinstance(session, str) and 0 < len(session) <= wire.MAX_SESSION):
                raise ValueError
            if not (wire.MIN_PAYLOAD <= peer_max <= 0xFFFF and 0 <= expected <= 0xFFFF):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError):
            self.bad_frames += 1
            return
        if version != wire.VERSION:
            self._mode = _IDLE
            self._say_hello("", False)
            return
        self.peer = hello
        self._peer_max = min(peer_max, wire.MAX_PAYLOAD)
        resumed = session == self.session and self.session != ""
        if not resumed:
            self._reset(expected)
            self.session = session
            self.sessions += 1
            for channel, limit in self._grants:
                self.grant(channel, limit)
        self._mode = _OPEN
        self.closed = ""
        self._say_hello(session, resumed)
        if resumed:
            acked = (expected - self._tail) & 0xFFFF
            if acked <= ((self._head - self._tail) & 0xFFFF):
                self._release(acked)
            self._go_back()
        self._on_session(resumed)

    # --- sending

    def _reset(self, first):
        # As before any session; `first` is the number of our first frame, which the peer names.
        self._mode = _IDLE
        self._peer_max = self.max_payload
        self._next = self._first
        self._gap = self._gap_told = self._ack_now = False
        self._gap_seq = 0
        self._unacked = 0
        self._credit_due = 0
        self._due_since = 0
        for i in range(len(self._counts)):
            self._counts[i] = self._limits[i] = 0
        for i in range(wire.CHANNELS):
            self._told[i] = self._granted[i] = 0
        self._tail = self._sent = self._high = self._head = first
        self._write_at = 0
        self._urgent_end = 0
        self._now_urgent = True
        self._now_buf = self._urgent
        self._now_at = self._now_end = 0
        self._timer = 0
        self._timed = -1
        self._timed_at = 0
        self._rtt_us = 0
        self._rto_us = _RTO_MIN_US

    def _due(self):
        if not self._unacked and not self._credit_due:
            self._due_since = ticks_us()

    def _acknowledge(self):
        if not (self._unacked or self._credit_due or self._ack_now) or self._mode != _OPEN:
            return
        if self._room_urgent(96) < 0:
            return  # stays due
        ack = self._ack
        expected = self._next
        ack[0] = expected & 255
        ack[1] = expected >> 8
        at = 4
        sacks = 0
        if self._gap:
            # An empty range: something at or after `next` is missing, nothing after it was kept.
            ack[4] = ack[6] = expected & 255
            ack[5] = ack[7] = expected >> 8
            at = 8
            sacks = 1
        entries = 0
        due = self._credit_due
        channel = 0
        limits = self._limits
        while due:
            if due & 1:
                ack[at] = channel
                low = channel * 4
                ack[at + 1] = limits[low]
                ack[at + 2] = limits[low + 1]
                ack[at + 3] = limits[low + 2]
                ack[at + 4] = limits[low + 3]
                at += 5
                entries += 1
                self._told[channel] = self._granted[channel]
            due >>= 1
            channel += 1
        ack[2] = sacks
        ack[3] = entries
        self._put_urgent(wire.ACK, ack, at)
        self.acks += 1
        self._unacked = 0
        self._credit_due = 0
        self._gap = self._ack_now = False

    def _say_hello(self, session, resumed):
        granted = []
        for channel in (wire.AUDIO, wire.FILE):
            granted.append([channel, int.from_bytes(self._limits[channel * 4 : channel * 4 + 4], "little")])
        hello = {
            "version": wire.VERSION,
            "session": session,
            "max_payload": self.max_payload,
            "next": self._next,
            "credits": granted,
            "ticks_bits": self._ticks_bits,
            "capabilities": [],
            "resumed": resumed,
        }
        if self._room_urgent(1) >= 0:
            # A delimiter first: whatever stands unfinished on the wire must not swallow the hello.
            self._urgent[self._urgent_end] = 0
            self._urgent_end += 1
        self._say(wire.HELLO, json.dumps(hello).encode())

    def _say_close(self, reason):
        self._say(wire.CLOSE, reason.encode()[: wire.MAX_REASON])

    def _say(self, kind, payload):
        # A frame outside the sequence that may be larger than the small ones; it goes out alone.
        if self._room_urgent(len(payload) + wire.HEADER + wire.TRAILER + 8) < 0:
            return
        self._pack(self._out, kind, 0, 0, payload, 0, len(payload))
        self._urgent_end = self._seal(self._out, len(payload), self._urgent, self._urgent_end)

    def _room_urgent(self, size):
        end = self._urgent_end
        return -1 if end + size > _URGENT else end

    def _put_urgent(self, kind, payload, length):
        self._pack(self._small, kind, 0, 0, payload, 0, length)
        self._urgent_end = self._seal(self._small, length, self._urgent, self._urgent_end)

    def _place(self, channel, length):
        # Where in the ring a frame with such a payload fits, or -1.
        queued = (self._head - self._tail) & 0xFFFF
        bulk = channel > wire.EVENT and channel != wire.LOG
        if queued >= (_BULK_SLOTS if bulk else _SLOTS):
            return -1
        size = length + 10
        need = size + size // 254 + 2
        total = len(self._ring)
        if queued == 0:
            at = 0
        else:
            at = self._write_at
            tail = self._at[self._tail & (_SLOTS - 1)]
            if at > tail:
                if bulk and at - tail + need > self._bulk_bytes:
                    return -1
                if at + need > total:
                    if need >= tail:
                        return -1
                    at = 0
            elif at + need >= tail or (bulk and total - tail + at + need > self._bulk_bytes):
                return -1
        # A frame that is half written is left alone, even if it was acknowledged meanwhile.
        if not self._now_urgent and self._now_at < self._now_end and at < self._now_end and at + need > self._now_at:
            return -1
        return at

    def _release(self, count):
        # The oldest `count` frames have arrived.
        if self._timed >= 0 and ((self._timed - self._tail) & 0xFFFF) < count:
            sample = ticks_diff(ticks_us(), self._timed_at)
            self._timed = -1
            self._rtt_us = (self._rtt_us * 7 + sample) >> 3 if self._rtt_us else sample
            self._rto_us = min(max(_RTO_MIN_US, self._rtt_us * 4), _RTO_MAX_US)
        tail = (self._tail + count) & 0xFFFF
        # After going back, what is acknowledged may be beyond what was written again.
        if ((self._sent - self._tail) & 0xFFFF) < count:
            self._sent = tail
        self._tail = tail
        self._timer = ticks_us()

    def _go_back(self):
        count = (self._sent - self._tail) & 0xFFFF
        self.retransmits += count
        self._sent = self._tail
        self._timed = -1  # an answer could be to either copy

    def _patience(self, timeout_ms):
        # How long to wait for input when something may have to be written again, or is stuck half way.
        if self._now_at < self._now_end or self._urgent_end or self._sent != self._head:
            return min(timeout_ms, 2)
        if self._tail != self._sent:
            left = (self._rto_us - ticks_diff(ticks_us(), self._timer)) // 1000 + 1
            return max(1, min(timeout_ms, left))
        return timeout_ms

    def _flush(self):
        if self._tail != self._sent and ticks_diff(ticks_us(), self._timer) > self._rto_us:
            self.timeouts += 1
            self._rto_us = min(self._rto_us * 2, _RTO_MAX_US)
            self._timer = ticks_us()
            self._go_back()
        write = self._stream.write
        while True:
            left = self._now_end - self._now_at
            if not left:
                if not self._choose():
                    return
                left = self._now_end - self._now_at
            written = write(self._now_buf, self._now_at, left)
            self._now_at += written
            if written < left:
                return

    def _choose(self):
        # What is written next: frames outside the sequence first, then data in order. False: nothing waits.
        if self._now_urgent and self._urgent_end:
            if self._urgent_end > self._now_end:
                self._now_end = self._urgent_end
                return True
            self._urgent_end = self._now_at = self._now_end = 0
        elif self._urgent_end:
            self._now_urgent = True
            self._now_buf = self._urgent
            self._now_at = 0
            self._now_end = self._urgent_end
            return True
        seq = self._sent
        if seq == self._head:
            return False
        slot = seq & (_SLOTS - 1)
        self._now_urgent = False
        self._now_buf = self._ring
        self._now_at = self._at[slot]
        self._now_end = self._to[slot]
        if seq == self._tail:
            self._timer = ticks_us()
        self._sent = (seq + 1) & 0xFFFF
        if seq == self._high:
            self._high = self._sent
            if self._timed < 0:
                self._timed = seq
                self._timed_at = ticks_us()
        return True


def _best_kernels():
    try:
        from coproc import link_viper as kernels  # noqa: PLC0415  # what it can load is found out by trying
    except (SyntaxError, ValueError):
        from coproc import link_bytecode as kernels  # noqa: PLC0415
    return kernels


def _ticks_bits():
    # ticks_us() wraps within a small int: 2**62 on 64-bit builds, 2**30 on 32-bit ones.
    return 62 if sys.maxsize >> 32 else 30


def _put64(buf, at, value):
    for i in range(8):
        buf[at + i] = value & 255
        value >>= 8


def _text(frame, length):
    length = min(length, wire.MAX_REASON)
    try:
        return bytes(frame[wire.HEADER : wire.HEADER + length]).decode()
    except UnicodeError:
        return "?"
