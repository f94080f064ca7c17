# The one door out for user data, and its ledger.
#
# Nothing else in the firmware sends on the utterance, feature and tensor channels. The gate is shut until a wake or
# an explicit gesture opens it; it then lets out blocks of audio from the declared pre-roll on, holds back what lies
# beyond the post-roll after the last speech, and shuts when the utterance has ended.
from micropython import const

from coproc import wire

BLOCK_BYTES = const(320)
_BLOCKS_PER_FRAME = const(3)  # 960 bytes: the most whole blocks that fit a 1,024-byte payload

SHUT = const(0)
ARMED = const(1)  # a request is open, nobody has spoken yet
OPEN = const(2)
CLOSING = const(3)  # the end is known; what is due is still on its way out


class Gate:
    def __init__(self, ring, send, room):
        # `send(channel, buf, start, length)` and `room(channel)` are the link's.
        self._ring = ring
        self._send = send
        self._room = room
        self._chunk = bytearray(BLOCK_BYTES * _BLOCKS_PER_FRAME)
        self.pre_roll = 30
        self.post_roll = 30
        self.reset()

    def reset(self):
        self.state = SHUT
        self.entry = None  # the ledger's newest entry; each goes to the host with its request's endpoint event
        self.bytes_total = 0
        self.tensor_bytes = 0  # of models under test, computed from what the host itself sent
        self.bytes_before_wake = 0
        self._floor = 0
        self.next = 0  # next block to go out
        self._limit = 0  # first block that must not go out yet

    def arm(self, reason, destination, block):
        # A wake or gesture decided on audio up to `block` (exclusive): from now on a request may be let out.
        self.state = ARMED
        self._floor = max(0, block - self.pre_roll)
        self.entry = {"kind": "audio", "reason": reason, "destination": destination, "bytes": 0, "from": 0, "to": 0}

    def open(self, onset):
        # Speech began in block `onset`. Returns the first block that goes out.
        self.state = OPEN
        self.next = max(self._floor, onset - self.pre_roll)
        self._limit = self.next
        self.entry["from"] = self.entry["to"] = self.next
        return self.next

    def extend(self, last):
        # Speech was last heard in block `last`: the post-roll after it may go out too.
        if self.state == OPEN:
            self._limit = last + 1 + self.post_roll

    def shut(self, last):
        # The utterance ended with block `last`; nobody spoke where the gate was never opened.
        if self.state == OPEN:
            self._limit = min(last + 1 + self.post_roll, self._ring.heard)
            self.state = CLOSING
        elif self.state == ARMED:
            self.state = SHUT

    def pump(self):
        # Lets out what may go. True when the gate has shut, that is, when the last due block has been sent.
        state = self.state
        if state < OPEN:
            return False
        limit = min(self._limit, self._ring.heard)
        while self.next < limit:
            blocks = min(limit - self.next, _BLOCKS_PER_FRAME)
            # Whole frames while the utterance runs; the rest goes out when it has ended.
            if state == OPEN and blocks < _BLOCKS_PER_FRAME:
                return False
            length = blocks * BLOCK_BYTES
            if self._room(wire.UTTERANCE) < length:
                return False
            for i in range(blocks):
                self._ring.copy(self.next + i, self._chunk, i * BLOCK_BYTES)
            if not self._send(wire.UTTERANCE, self._chunk, 0, length):
                return False
            self._account(blocks, length)
        if state == CLOSING:
            self.state = SHUT
            return True
        return False

    def tensor(self, buf, start, length):
        # Lets out a tensor of a model that the host feeds, never one of a model that listens. Returns how many of the
        # bytes there was room for.
        if self.state != SHUT:
            raise RuntimeError("no tensor leaves while a request is open")
        size = min(length, self._room(wire.TENSOR))
        if not size or not self._send(wire.TENSOR, buf, start, size):
            return 0
        self.tensor_bytes += size
        return size

    def _account(self, blocks, length):
        # Counted where it leaves, whatever the state machine above believes.
        entry = self.entry
        if entry is None or self.next < self._floor:
            self.bytes_before_wake += length
        self.bytes_total += length
        self.next += blocks
        if entry:
            entry["bytes"] += length
            entry["to"] = self.next

    def keep(self):
        # The oldest block that is still to go out, or None.
        return self.next if self.state >= OPEN else None
