# What the link costs on the board: microseconds per frame, received and sent, on every tier that runs here.
# Prints lines of: tier, direction, payload bytes, microseconds per frame.
import gc
from time import ticks_diff, ticks_us

from mp_link_kit import frame, hello, tiers

from coproc import wire
from coproc.link import Link


class Source:
    # Chunks that stand ready, handed over whole by the C loop behind bytearray's slice assignment.
    def __init__(self):
        self.chunks = []
        self.view = None

    def readinto(self, buf):
        if not self.chunks:
            return 0
        chunk = self.chunks.pop()
        buf[: len(chunk)] = chunk
        return len(chunk)

    def write(self, buf, start, n):
        return n

    def wait(self, ms):
        pass


COUNT = 64
ROUNDS = 50  # the best of them counts: the machine may be busy
speech = bytearray(1024)
for i in range(0, 1024, 2):
    value = (i * 7919 % 401) - 200
    speech[i] = value & 255
    speech[i + 1] = value >> 8 & 255


def chunked(kernels, payload):
    chunks = []
    data = b""
    for seq in range(COUNT):
        data += frame(kernels, wire.DATA, wire.AUDIO, seq, payload)
        while len(data) >= 4096:
            chunks.append(data[:4096])
            data = data[4096:]
    chunks.append(data)
    chunks.reverse()
    return chunks


def receive(kernels, chunks):
    source = Source()
    link = Link(source, lambda channel, buf, start, length: None, kernels, ((wire.AUDIO, 0x3FFFFFFF),))
    source.chunks = [hello(kernels)]
    link.poll(0)
    source.chunks = list(chunks)
    gc.collect()
    started = ticks_us()
    while source.chunks:
        link.poll(0)
    took = ticks_diff(ticks_us(), started)
    assert link.rx_frames == COUNT and link.acks >= COUNT // 16
    return took / COUNT


def send(kernels, payload):
    source = Source()
    link = Link(source, None, kernels)
    source.chunks = [hello(kernels)]
    link.poll(0)
    gc.collect()
    sent = 0
    started = ticks_us()
    while sent < COUNT:
        if link.send(wire.UTTERANCE, payload, 0, len(payload)):
            sent += 1
        else:
            link._tx.acknowledged(link._tx._head)
    return ticks_diff(ticks_us(), started) / COUNT


for kernels in tiers():
    for name, payload in (("speech", bytes(speech)), ("silence", bytes(1024)), ("speech", bytes(speech[:320]))):
        chunks = chunked(kernels, payload)
        print(kernels.NAME, "in", name, len(payload), min([receive(kernels, chunks) for _ in range(ROUNDS)]))
        print(kernels.NAME, "out", name, len(payload), min([send(kernels, payload) for _ in range(ROUNDS)]))
