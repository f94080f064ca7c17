# What the board's end of the link writes: data frames, kept until they are acknowledged, and frames outside the
# sequence, which go first and are kept only until they are written. Everything is preallocated.
from array import array

from micropython import const

from coproc import wire
from coproc.port import ticks_diff, ticks_us

_URGENT = const(1024)  # encoded frames outside the sequence that wait to be written
_SLOTS = const(64)  # most frames kept for retransmission; a power of two
_BULK_SLOTS = const(48)
_RTO_MIN_US = const(30000)
_RTO_MAX_US = const(1000000)


class Sender:
    def __init__(self, stream, kernels, tx_bytes):
        if not 2 * wire.MAX_ENCODED <= tx_bytes <= 65536:
            raise ValueError("tx_bytes must hold two frames and be at most 65536")
        self._write = stream.write
        self._seal = kernels.seal
        self._pack = kernels.pack
        self._plain = bytearray(wire.MAX_FRAME + 2)  # a frame before COBS
        self._small = bytearray(wire.HEADER + 96 + wire.TRAILER)
        self._ring = bytearray(tx_bytes)  # encoded data frames, from the oldest unacknowledged on
        self._bulk_bytes = tx_bytes * 3 // 4  # bulk leaves the rest to events and control
        self._at = array("H", [0] * _SLOTS)  # where each frame stands in the ring
        self._size = array("H", [0] * _SLOTS)
        self._urgent = bytearray(_URGENT)
        self.tx_frames = self.retransmits = self.timeouts = 0
        self.reset(0)

    def reset(self, first):
        # As before any session; `first` is the number of our first data frame, which the peer names.
        self._tail = self._sent = self._high = self._head = first  # oldest kept, next to write, never written, next
        self._end = 0  # where in the ring the newest frame ends
        self._urgent_end = 0
        self._now_urgent = True  # what is being written: where from, from where to where
        self._now_buf = self._urgent
        self._now_at = self._now_end = 0
        self._timer = 0
        self._timed = -1  # the frame whose way there and back is being measured
        self._timed_at = 0
        self._rtt_us = 0
        self._rto_us = _RTO_MIN_US

    @property
    def pending(self):
        return (self._head - self._tail) & 0xFFFF

    # --- data

    def data(self, channel, buf, start, length):
        # Takes a frame, or returns False where there is no room.
        at = self.place(channel, length)
        if at < 0:
            return False
        seq = self._head
        self._pack(self._plain, wire.DATA, channel, seq, buf, start, length)
        self._end = self._seal(self._plain, length, self._ring, at)
        slot = seq & (_SLOTS - 1)
        self._at[slot] = at
        self._size[slot] = self._end - at
        self._head = (seq + 1) & 0xFFFF
        self.tx_frames += 1
        return True

    def place(self, channel, length):
        # Where in the ring a frame with such a payload fits, or -1.
        queued = (self._head - self._tail) & 0xFFFF
        bulk = channel > wire.EVENT and channel != wire.LOG
        if queued >= (_BULK_SLOTS if bulk else _SLOTS):
            return -1
        size = length + wire.HEADER + wire.TRAILER
        need = size + size // 254 + 2
        total = len(self._ring)
        if queued == 0:
            at = 0
        else:
            at = self._end
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

    def acknowledged(self, expected):
        # The peer has every frame before `expected`. False: an old number, or nonsense.
        count = (expected - self._tail) & 0xFFFF
        if count > ((self._head - self._tail) & 0xFFFF):
            return False
        if count == 0:
            return True
        if self._timed >= 0 and ((self._timed - self._tail) & 0xFFFF) < count:
            sample = ticks_diff(ticks_us(), self._timed_at)
            self._timed = -1
            self._rtt_us = (self._rtt_us * 7 + sample) >> 3 if self._rtt_us else sample
            self._rto_us = min(max(_RTO_MIN_US, self._rtt_us * 4), _RTO_MAX_US)
        # After going back, what is acknowledged may lie beyond what was written again.
        if ((self._sent - self._tail) & 0xFFFF) < count:
            self._sent = expected
        # A peer that acknowledges what was never written must not have it measured later.
        if ((self._high - self._tail) & 0xFFFF) < count:
            self._high = expected
        self._tail = expected
        self._timer = ticks_us()
        return True

    def go_back(self):
        # Writes everything that is not acknowledged again.
        self.retransmits += (self._sent - self._tail) & 0xFFFF
        self._sent = self._tail
        self._timed = -1  # an answer could be to either copy

    # --- frames outside the sequence

    def room(self, size):
        return self._urgent_end + size <= _URGENT

    def idle(self):
        return not self._urgent_end

    def delimit(self):
        # Whatever stands unfinished on the wire must not swallow what follows.
        if self.room(1):
            self._urgent[self._urgent_end] = 0
            self._urgent_end += 1

    def small(self, kind, payload, length):
        # At most 96 bytes; the caller has asked for room.
        self._pack(self._small, kind, 0, 0, payload, 0, length)
        self._urgent_end = self._seal(self._small, length, self._urgent, self._urgent_end)

    def say(self, kind, payload):
        # Any payload; dropped where there is no room: what is said here is said again when it matters.
        length = len(payload)
        if self.room(length + 16 + length // 254):
            self._pack(self._plain, kind, 0, 0, payload, 0, length)
            self._urgent_end = self._seal(self._plain, length, self._urgent, self._urgent_end)

    # --- writing

    def patience(self, timeout_ms):
        # How long to wait for input when something may have to be written again, or is stuck half way.
        if self._now_at < self._now_end or self._urgent_end or self._sent != self._head:
            return min(timeout_ms, 2)
        if self._tail != self._sent:
            left = (self._rto_us - ticks_diff(ticks_us(), self._timer)) // 1000 + 1
            return max(1, min(timeout_ms, left))
        return timeout_ms

    def flush(self):
        # Writes what waits, as far as the stream takes it.
        if self._tail != self._sent and ticks_diff(ticks_us(), self._timer) > self._rto_us:
            self.timeouts += 1
            self._rto_us = min(self._rto_us * 2, _RTO_MAX_US)
            self._timer = ticks_us()
            self.go_back()
        while True:
            left = self._now_end - self._now_at
            if not left:
                if not self._choose():
                    return
                left = self._now_end - self._now_at
            written = self._write(self._now_buf, self._now_at, left)
            self._now_at += written
            if written < left:
                return

    def _choose(self):
        # What is written next: frames outside the sequence first, then data in order. False: nothing waits.
        if self._urgent_end:
            if not self._now_urgent:
                self._now_urgent = True
                self._now_buf = self._urgent
                self._now_at = self._now_end = 0
            if self._urgent_end > self._now_end:
                self._now_end = self._urgent_end
                return True
            self._urgent_end = self._now_at = self._now_end = 0
        seq = self._sent
        if seq == self._head:
            return False
        slot = seq & (_SLOTS - 1)
        self._now_urgent = False
        self._now_buf = self._ring
        self._now_at = self._at[slot]
        self._now_end = self._now_at + self._size[slot]
        if seq == self._tail:
            self._timer = ticks_us()
        self._sent = (seq + 1) & 0xFFFF
        if seq == self._high:
            self._high = self._sent
            if self._timed < 0:
                self._timed = seq
                self._timed_at = ticks_us()
        return True
