# A running link allocates nothing: bulk frames in, grants and acknowledgements, events out and acknowledged, pings,
# duplicates, gaps, broken frames. Argument: tier.
import gc
import sys

from mp_link_kit import MemoryStream, hello

from coproc import wire
from coproc.link import Link

kernels = __import__("coproc.link_" + sys.argv[1], None, None, ("kernels",))
stream = MemoryStream()
seen = [0]


def on_frame(channel, buf, start, length):
    seen[0] = seen[0] + length & 0xFFFFFF


link = Link(stream, on_frame, kernels, ((wire.AUDIO, 8192),), first=65400)
stream.feed(hello(kernels))
link.poll(0)
assert link.connected

ROUNDS = 100
audio = bytes(range(256)) * 4
event = b'{"ev":"tick"}'
plain = bytearray(1036)
spare = bytearray(8192)


def rebuild(first, acked):
    # Four frames of audio (one of them repeated, one after a gap), a broken one, a ping, an acknowledgement.
    at = 0
    for i in (0, 1, 2, 3, 3, 9):
        kernels.pack(plain, wire.DATA, wire.AUDIO, first + i & 0xFFFF, audio, 0, 1024)
        at = kernels.seal(plain, 1024, spare, at)
    spare[at] = 9
    spare[at + 1] = 7
    spare[at + 2] = 0
    at += 3
    kernels.pack(plain, wire.PING, 0, 0, event, 0, 8)
    at = kernels.seal(plain, 8, spare, at)
    head[0] = acked & 255
    head[1] = acked >> 8
    kernels.pack(plain, wire.ACK, 0, 0, head, 0, 4)
    at = kernels.seal(plain, 4, spare, at)
    while at < len(spare):
        spare[at] = 0
        at += 1


head = bytearray(4)


def run(count, first, granted):
    sent = 0
    for _ in range(count):
        rebuild(first & 0xFFFF, sent & 0xFFFF)
        stream.at = 0
        granted = granted + 4096 & 0x1FFFFFFF
        link.grant(wire.AUDIO, granted)
        for _ in range(12):
            link.poll(0)
            link.poll(5)
        for _ in range(3):
            if link.room(wire.EVENT) and link.send(wire.EVENT, event, 0, len(event)):
                sent += 1
        first += 4
    return first


stream.data = spare
first = run(2, 65400, 8192)
gc.collect()
gc.disable()
before = gc.mem_alloc()
run(ROUNDS, first, 8192 + 2 * 4096)
after = gc.mem_alloc()
gc.enable()
counters = link.counters()
assert counters["rx_frames"] == (ROUNDS + 2) * 4, counters
assert counters["duplicates"] >= ROUNDS and counters["gaps"] >= ROUNDS, counters
assert counters["bad_frames"] >= ROUNDS and counters["acks"] >= ROUNDS, counters
assert link._tx.tx_frames >= ROUNDS, counters
assert link.connected, link.closed
assert after == before, (after - before, ROUNDS)
print("ok", counters["rx_frames"])
