# The board's end of the link: frames, credits, acknowledgement, resumption (firmware/LINK.md specifies it).
#
# Everything is preallocated: receiving frames, handing them on, acknowledging and granting allocate nothing on the
# viper tier. Only a hello, which comes once per session, does.
import json
import sys
from array import array

from micropython import const

from coproc import wire
from coproc.link_sender import Sender
from coproc.port import ticks_diff, ticks_us

_CHUNK = const(4096)  # bytes read from the stream at once, where the stream does not say
_ACK_FRAMES = const(8)  # frames that one acknowledgement may wait for while the board is busy
_ACK_BYTES = const(4096)  # growth of a credit that is told while the board is busy
_ACK_US = const(5000)  # longest that either waits
_NOTICE_US = const(5000)  # least time between two notices of broken frames
_ACK_ROOM = const(96)  # bytes that an encoded acknowledgement or pong takes at most

# Slots of the decoder's state (link_viper.py)
_POS = const(0)
_END = const(1)

# States: rows of the transition table
_IDLE = const(0)
_OPEN = const(1)


# What a host sends to whatever runs on a board: Ctrl-C twice, as a frame. With the delimiter that always precedes it,
# it is one byte longer than what stays of the chunk before.
_ATTENTION = b"\0\r\x03\x03\0"
_BEFORE = const(4)


class Attention(Exception):
    """The host wants the board without its firmware: the loop ends."""


def _no_session(resumed):
    pass


class Link:
    """Link(stream, on_frame, kernels=None, grants=(), ...)

    stream: readinto(buf) -> bytes read (0: nothing now; EOFError at the end), write(buf, start, n) -> bytes written,
        wait(ms) until readable or so long; CHUNK, where it has one, is the most that it reads at once.
    on_frame(channel, buf, start, length): called for every delivered frame, in order, exactly once; the bytes are
        valid during the call only. It may send() and grant(), but not poll().
    kernels: coproc.link_asm, link_viper or link_bytecode; None picks the best that runs here.
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
        self._decode = kernels.decode
        self._charge = kernels.charge
        self._stream = stream
        self._on_frame = on_frame
        self._on_session = on_session
        self._grants = grants
        self._first = first
        self._ticks_bits = ticks_bits or _ticks_bits()
        self.max_payload = max_payload
        self._tx = Sender(stream, kernels, tx_bytes)

        self._raw = bytearray(_BEFORE + getattr(stream, "CHUNK", _CHUNK))
        self._into = memoryview(self._raw)[_BEFORE:]
        self._frame = bytearray(wire.MAX_FRAME + 2)
        self._limit = wire.HEADER + max_payload + wire.TRAILER
        self._state = array("i", [0, 0, 0, 0, 0, 0xFFFF, 0xFFFF, 0])
        self._counts = bytearray(4 * wire.CHANNELS)  # u32 per channel: bytes received
        self._limits = bytearray(4 * wire.CHANNELS)  # u32 per channel: bytes the host may have sent
        self._granted = array("i", [0] * wire.CHANNELS)  # low 30 bits of the limit
        self._told = array("i", [0] * wire.CHANNELS)  # the same, as of the newest acknowledgement
        self._ack = bytearray(4 + 4 + 5 * wire.CHANNELS)
        self._pong = bytearray(24)

        # A state is a row, a frame type a column: what happens when such a frame arrives in such a state.
        skip = self._skip
        hello = self._hello
        refuse = self._refuse
        self._table = (
            # other HELLO  ACK  DATA    PING    PONG  CLOSE
            (skip, hello, skip, refuse, refuse, skip, skip),  # _IDLE
            (skip, hello, self._acked, self._data, self._ping, skip, self._close),  # _OPEN
        )
        self.peer = {}
        self.session = ""
        self.closed = ""  # the reason of the peer's CLOSE, or of ours
        self.rx_frames = self.rx_bytes = self.acks = self.sessions = 0
        self.crc_errors = self.bad_frames = self.unknown_frames = 0
        self.duplicates = self.gaps = 0
        self._reset(0)

    # --- for the application

    @property
    def connected(self):
        return self._mode == _OPEN

    @property
    def pending(self):
        """Frames sent and not acknowledged yet."""
        return self._tx.pending

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
                self._tx.flush()
                # More frames may be on their way: one acknowledgement for all of them.
                self._stream.wait(1 if due else self._tx.patience(timeout_ms))
                got = self._read()
                if due and not got:
                    self._acknowledge()
        if got:
            self._take()
            if self._unacked >= _ACK_FRAMES or self._ack_now:
                self._acknowledge()
        elif (self._unacked or self._credit_due) and (
            self._ack_now or ticks_diff(ticks_us(), self._due_since) > _ACK_US
        ):
            self._acknowledge()
        self._tx.flush()
        return got

    def send(self, channel, buf, start, length):
        """Takes a frame of at most max_payload bytes for the host. False: no room now, nothing was taken."""
        if self._mode != _OPEN:
            return False
        if length > self._peer_max:
            raise ValueError("a payload holds at most %d bytes" % self._peer_max)
        if not self._tx.data(channel, buf, start, length):
            return False
        self._tx.flush()
        return True

    def room(self, channel):
        """Payload bytes that one send() would take on this channel now; 0 where a whole frame finds no room."""
        if self._mode != _OPEN or self._tx.place(channel, self._peer_max) < 0:
            return 0
        return self._peer_max

    def grant(self, channel, total_bytes, now=False):
        """The host may have sent total_bytes (mod 2**32) on a bulk channel since the session began.

        Small raises are told together unless `now`: where nothing goes on until the host has heard of this one.
        """
        low = total_bytes & 0x3FFFFFFF
        if low == self._granted[channel]:
            return
        self._due()
        self._granted[channel] = low
        at = channel * 4
        limits = self._limits
        limits[at] = total_bytes & 255
        limits[at + 1] = (total_bytes >> 8) & 255
        limits[at + 2] = (total_bytes >> 16) & 255
        limits[at + 3] = (total_bytes >> 24) & 255
        self._credit_due |= 1 << channel
        self._granting |= 1 << channel
        if now or ((low - self._told[channel]) & 0x3FFFFFFF) >= _ACK_BYTES:
            self._ack_now = True

    def received_bytes(self, channel):
        """Payload bytes received on a bulk channel since the session began, mod 2**32."""
        return int.from_bytes(self._counts[channel * 4 : channel * 4 + 4], "little")

    def counters(self):
        """A dict of what was counted since boot, for a report."""
        return {
            "rx_frames": self.rx_frames,
            "rx_bytes": self.rx_bytes,
            "tx_frames": self._tx.tx_frames,
            "acks": self.acks,
            "crc_errors": self.crc_errors,
            "bad_frames": self.bad_frames,
            "unknown_frames": self.unknown_frames,
            "duplicates": self.duplicates,
            "gaps": self.gaps,
            "retransmits": self._tx.retransmits,
            "timeouts": self._tx.timeouts,
            "sessions": self.sessions,
        }

    def close(self, reason):
        """Ends the session and tells the host why."""
        if self._mode == _OPEN:
            self._tx.say(wire.CLOSE, reason.encode()[: wire.MAX_REASON])
        self._mode = _IDLE
        self.closed = reason
        self._tx.flush()

    # --- receiving

    def _reset(self, first):
        # As before any session; `first` is the number of our first frame, which the peer names.
        self._mode = _IDLE
        self._peer_max = self.max_payload
        self._next = self._first
        self._gap = self._gap_told = self._ack_now = False
        self._gap_seq = 0
        self._noticed = 0
        self._unacked = 0
        self._credit_due = self._granting = 0
        self._due_since = 0
        for i in range(len(self._counts)):
            self._counts[i] = self._limits[i] = 0
        for i in range(wire.CHANNELS):
            self._told[i] = self._granted[i] = 0
        self._tx.reset(first)

    def _read(self):
        raw = self._raw
        state = self._state
        end = state[_END]
        if end > _BEFORE:
            for i in range(_BEFORE):
                raw[i] = raw[end - _BEFORE + i]
        count = self._stream.readinto(self._into)
        state[_POS] = _BEFORE
        state[_END] = _BEFORE + count
        if not count:
            return False
        self.rx_bytes = (self.rx_bytes + count) & 0x3FFFFFFF  # stays a small int everywhere
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
                    end = state[_POS]
                    if raw[end - 2] == 3 and raw[end - len(_ATTENTION) : end] == _ATTENTION:
                        raise Attention
                # What was broken may have been data, or data written again: asking now spares the sender's time-out.
                if self._mode == _OPEN and (not self._gap_told or ticks_diff(ticks_us(), self._noticed) > _NOTICE_US):
                    self._gap = self._gap_told = self._ack_now = True
                    self._gap_seq = self._next
                    self._noticed = ticks_us()

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
                self._gap = self._ack_now = True
            self._gap_told = True
            self._gap_seq = seq

    def _acked(self, length):
        frame = self._frame
        # Ours carries no data that would be sacked; what matters is how far the peer got and whether it misses some.
        if length < 4 or frame[8] > wire.MAX_SACKS or frame[9] > wire.MAX_CREDITS:
            self.bad_frames += 1
        elif self._tx.acknowledged(frame[6] | (frame[7] << 8)) and frame[8]:
            self._tx.go_back()

    def _ping(self, length):
        if length != 8 or not self._tx.room(_ACK_ROOM):
            return  # a lost ping costs nothing: the host sends another
        received = ticks_us()
        pong = self._pong
        for i in range(8):
            pong[i] = self._frame[wire.HEADER + i]
        _put64(pong, 8, received)
        _put64(pong, 16, ticks_us())
        self._tx.small(wire.PONG, pong, 24)
        # A host that ran out of credit asks in this way: the news of more may have been lost.
        self._due()
        self._credit_due |= self._granting
        self._ack_now = True

    def _close(self, length):
        self._mode = _IDLE
        length = min(length, wire.MAX_REASON)
        try:
            self.closed = bytes(self._frame[wire.HEADER : wire.HEADER + length]).decode()
        except UnicodeError:
            self.closed = "?"

    def _skip(self, length):
        self.unknown_frames += 1

    def _refuse(self, length):
        # Data of a session that this board does not know, since it was reset. Said once, until it is written.
        if self._tx.idle():
            self._tx.say(wire.CLOSE, b"no session")

    def _hello(self, length):
        hello = self._parse(length)
        if hello is None:
            self.bad_frames += 1
            return
        if hello["version"] != wire.VERSION:
            self._mode = _IDLE
            self._say_hello("", False)
            return
        session = hello["session"]
        expected = hello["next"]
        resumed = session == self.session
        if not resumed:
            self._reset(expected)
            self.session = session
            self.sessions += 1
            for channel, limit in self._grants:
                self.grant(channel, limit)
        self.peer = hello
        self._peer_max = min(hello["max_payload"], wire.MAX_PAYLOAD)
        self._mode = _OPEN
        self.closed = ""
        self._say_hello(session, resumed)
        if resumed and self._tx.acknowledged(expected):
            self._tx.go_back()
        self._on_session(resumed)

    def _parse(self, length):
        # The hello in the frame, or None where it cannot be used.
        try:
            hello = json.loads(bytes(self._frame[wire.HEADER : wire.HEADER + length]))
            version = hello["version"]
            if not isinstance(version, int):
                return None
            if version != wire.VERSION:
                return hello
            session = hello["session"]
            if not (isinstance(session, str) and 0 < len(session) <= wire.MAX_SESSION):
                return None
            for name, low in (("max_payload", wire.MIN_PAYLOAD), ("next", 0)):
                if not (isinstance(hello[name], int) and low <= hello[name] <= 0xFFFF):
                    return None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError):
            return None
        return hello

    # --- answering

    def _due(self):
        # From now on there is something to acknowledge or to grant.
        if not self._unacked and not self._credit_due:
            self._due_since = ticks_us()

    def _acknowledge(self):
        if self._mode != _OPEN or not (self._unacked or self._credit_due or self._ack_now):
            return
        if not self._tx.room(_ACK_ROOM):
            return  # stays due
        ack = self._ack
        expected = self._next
        ack[0] = expected & 255
        ack[1] = expected >> 8
        ack[2] = 0
        at = 4
        if self._gap:
            # An empty range: something at `next` is missing, and nothing after it was kept.
            ack[2] = 1
            ack[4] = ack[6] = expected & 255
            ack[5] = ack[7] = expected >> 8
            at = 8
        entries = 0
        due = self._credit_due
        channel = 0
        limits = self._limits
        while due:
            if due & 1:
                low = channel * 4
                ack[at] = channel
                ack[at + 1] = limits[low]
                ack[at + 2] = limits[low + 1]
                ack[at + 3] = limits[low + 2]
                ack[at + 4] = limits[low + 3]
                at += 5
                entries += 1
                self._told[channel] = self._granted[channel]
            due >>= 1
            channel += 1
        ack[3] = entries
        self._tx.small(wire.ACK, ack, at)
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
        self._tx.delimit()
        self._tx.say(wire.HELLO, json.dumps(hello).encode())


def _best_kernels():
    try:
        from coproc import link_viper as kernels  # noqa: PLC0415  # what can be loaded is found out by trying
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
