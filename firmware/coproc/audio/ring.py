# The board's audio memory: what has come in and is not yet heard, and the last second of what was heard.
#
# Positions are blocks of one hop (10 ms, 160 samples) since the start of the stream: they stay small integers for
# months, where a count of samples or bytes would outgrow 30 bits within a day.
from array import array

from micropython import const

HOP = const(160)  # samples in a block: 10 ms at 16 kHz
BLOCKS = const(100)  # capacity: 1 s, 32,000 bytes
SIZE = const(16000)  # samples


class Ring:
    def __init__(self, kernels):
        # Grown block by block: made of as many bytes, it would leave a hole of its own size in the heap.
        block = bytes(2 * HOP)
        self.samples = array("h", block)
        for _ in range(BLOCKS - 1):
            self.samples.extend(block)
        self._write = kernels.write
        self._read = kernels.read
        self.reset()

    def reset(self):
        self._at = 0  # next sample to be written, modulo the ring
        self._partial = 0  # samples in the block that is filling
        self.received = 0  # whole blocks received
        self.heard = 0  # blocks that the front end has taken
        self.dropped = 0  # samples refused because the sender ignored its credits

    def put(self, buf, start, length, keep):
        # Takes int16 LE PCM; `keep` is the oldest block that must survive. What does not fit is dropped and counted;
        # True where that began.
        room = (keep + BLOCKS - self.received) * HOP - self._partial
        samples = length >> 1
        began = False
        if samples > room:
            began = not self.dropped
            self.dropped += samples - room
            samples = room
        if samples > 0:
            self._at = self._write(self.samples, SIZE, self._at, buf, start, samples << 1)
            self._partial += samples
            while self._partial >= HOP:
                self._partial -= HOP
                self.received += 1
        return began

    def offset(self, block):
        # Index of a block's first sample; blocks never wrap inside.
        return block % BLOCKS * HOP

    def copy(self, block, out, start):
        # A block's samples as int16 LE bytes into out[start:start + 320].
        self._read(self.samples, self.offset(block), out, start, HOP)

    def samples_seen(self):
        # Samples that have arrived, kept or not.
        return self.received * HOP + self._partial + self.dropped
