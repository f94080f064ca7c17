# Hostile input: random bytes, and well-formed traffic with mutations. The link must neither fail nor grow nor deliver
# a frame that was not sent. Arguments: seed, number of mutated chunks.
# ruff: noqa: B023, PLW0603, UP031  # MicroPython's idiom; closures run before their loop goes on
import gc
import random
import sys

from mp_link_kit import MemoryStream, frame, hello, tiers

from coproc import wire
from coproc.link import Link

seed = int(sys.argv[1])
chunks = int(sys.argv[2])
random.seed(seed)
mutations = 0
delivered = 0


def payload(n):
    # Tells its own number, so that a wrong delivery shows.
    return bytes([n & 255, n >> 8 & 255]) + bytes([n * 7 & 255]) * (n % 61)


for kernels in tiers():
    stream = MemoryStream()
    expected = {}

    def on_frame(channel, buf, start, length):
        global delivered
        data = bytes(memoryview(buf)[start : start + length])
        assert data in expected, ("a frame that was never sent", channel, data)
        delivered += 1

    link = Link(stream, on_frame, kernels, ((wire.AUDIO, 0x3FFFFFFF),), tx_bytes=4096)
    low = None
    for turn in range(chunks):
        if not link.connected:
            stream.feed(b"\0" + hello(kernels, "s%d" % turn, random.getrandbits(16)))
            link.poll(0)
            expected.clear()
            number = 0
        data = b""
        for _ in range(4):
            expected[payload(number)] = 1
            kind = random.getrandbits(4)
            if kind < 8:
                data += frame(kernels, wire.DATA, random.getrandbits(3), link._next + (kind & 1), payload(number))
            elif kind < 15:
                junk = bytes([random.getrandbits(8) for _ in range(random.getrandbits(5))])
                data += frame(kernels, random.getrandbits(3), random.getrandbits(8), random.getrandbits(16), junk)
            else:
                data += hello(kernels, "s%d" % random.getrandbits(1), random.getrandbits(16))
            number += 1
        data = bytearray(data)
        for _ in range(random.getrandbits(3)):
            mutations += 1
            at = random.getrandbits(16) % len(data)
            how = random.getrandbits(2)
            if how == 0:
                data[at] ^= 1 << random.getrandbits(3)
            elif how == 1:
                data[at] = random.getrandbits(8)
            elif how == 2:
                data = data[:at] + data[at + 1 + random.getrandbits(3) :] or bytearray(1)
            else:
                data = data[:at] + bytes([random.getrandbits(8) for _ in range(4)]) + data[at:]
        stream.feed(data)
        stream.chunk = 1 + random.getrandbits(12)
        stream.room = random.getrandbits(10)
        while stream.at < len(data):
            link.poll(random.getrandbits(1))
            link.send(random.getrandbits(3), data, 0, min(len(data), link._peer_max))
        if len(expected) > 400:
            link.close("too many")
        if turn == 50:
            gc.collect()
            low = gc.mem_alloc()
    # Nothing but noise.
    for _ in range(chunks // 4):
        noise = bytearray([random.getrandbits(8) for _ in range(700)])
        expected.clear()
        stream.feed(noise)
        stream.chunk = 4096
        stream.room = 4096
        link.poll(0)
    expected.clear()
    gc.collect()
    grown = gc.mem_alloc() - low
    assert grown < 4096, ("grew by", grown)
    # And after all that it still works.
    stream.kept = bytearray(4096)
    stream.written = 0
    stream.room = 1 << 29
    stream.feed(b"\0" + hello(kernels, "afterwards", 9))
    link.poll(0)
    expected[b"alive"] = 1
    stream.feed(frame(kernels, wire.DATA, wire.CONTROL, link._next, b"alive"))
    before = delivered
    link.poll(0)
    assert delivered == before + 1
    assert link.send(wire.EVENT, b"me too", 0, 6)
    assert (wire.DATA, wire.EVENT, 9, b"me too") in stream.take()
print("ok", mutations, delivered)
