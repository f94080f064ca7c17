# The Pico's byte stream (firmware/coproc/port/rp2.py) on a source that blocks as MicroPython's stdin does there: a
# read that asks for more bytes than have come fails the test.
# ruff: noqa: PTH123, B023, N801  # MicroPython's idiom; closures run before their loop goes on
import json
import random
import sys

from mp_link_kit import frame, hello, tiers

from coproc.link import Attention, Link


class Dog:
    def __init__(self, timeout):
        self.timeout = timeout
        self.fed = 0

    def feed(self):
        self.fed += 1


class Machine:
    PWRON_RESET = 1
    WDT_RESET = 3
    WDT = Dog
    mem32 = {}  # noqa: RUF012  the only one
    clock_hz = 125000000

    class Pin:
        OUT = 1

        def __init__(self, name, mode):
            self.lit = None

        def value(self, on):
            self.lit = on

    def freq(self, hz=0):
        self.clock_hz = hz or self.clock_hz
        return self.clock_hz

    def reset_cause(self):
        return self.WDT_RESET

    def unique_id(self):
        return b"\x01\xfe"


machine = sys.modules["machine"] = Machine()
from coproc.port import rp2  # noqa: E402  # its machine had to be there first


class Source:
    def __init__(self):
        self.data = b""
        self.reads = 0

    def readinto(self, buf, n):
        assert 0 < n <= len(self.data), (n, len(self.data))
        buf[:n] = self.data[:n]
        self.data = self.data[n:]
        self.reads += 1
        return n

    def ready(self):
        return self.data


class Sink:
    def __init__(self):
        self.room = 1 << 20
        self.data = b""

    def write(self, buf, start, n):
        n = min(n, self.room)
        self.room -= n
        self.data += bytes(buf[start : start + n])
        return n

    def ready(self):
        return self.room


class Select:
    # Of the select module what the stream uses; the real one sleeps a millisecond over what is no file.
    POLLIN = 1
    POLLOUT = 4

    class poll:
        def register(self, thing, mask):
            self.thing = thing

        def ipoll(self, ms):
            return (self.thing,) if self.thing.ready() else ()


rp2.select = Select


def read_all(stream, buf, source):
    got = b""
    while True:
        n = stream.readinto(buf)
        if not n:
            assert not source.data
            return got
        got += bytes(buf[:n])


with open(sys.argv[1]) as file:
    vectors = json.load(file)
encoded = [bytes([int(v["encoded"][i : i + 2], 16) for i in range(0, len(v["encoded"]), 2)]) for v in vectors["good"]]
ATTENTION = bytes([int(vectors["attention"][i : i + 2], 16) for i in range(0, len(vectors["attention"]), 2)])

# What `info` tells; another clock; a watchdog that lives as long as the loop.
facts = rp2.facts()
assert facts["clock_hz"] == 125000000 and facts["reset_cause"] == "watchdog" and facts["unique_id"] == "01fe"
assert 0 < facts["storage_free"] <= facts["storage_bytes"]
rp2.configure(0, 0)
rp2.feed()
assert machine.clock_hz == 125000000 and not rp2._dog and not machine.mem32
rp2.configure(200000000, 8000)
rp2.feed()
assert machine.clock_hz == 200000000 and rp2._dog.timeout == 8000 and rp2._dog.fed == 1
rp2.led(True)
rp2.release()
assert machine.mem32 == {0x4005B000: 1 << 30} and not rp2._dog and rp2._led.lit == 0

# Whole frames, one or many at once, delimiters between: every byte comes, none is waited for.
random.seed(1)
source = Source()
stream = rp2.Stream(source, Sink())
buf = memoryview(bytearray(4 + stream.CHUNK))[4:]
frames = 0
for _ in range(400):
    sent = b""
    for _ in range(random.randint(1, 4)):
        sent += bytes(random.randint(0, 2)) + random.choice(encoded)
        frames += 1
    source.data = sent
    assert read_all(stream, buf, source) == sent
    assert not stream._due
assert source.reads < 6 * frames, (source.reads, frames)  # few calls a frame: each costs as much as some bytes

# Attention, and delimiters without end.
for sent in (ATTENTION, bytes(1040), b"\0" + encoded[3] + ATTENTION):
    source.data = sent
    assert read_all(stream, buf, source) == sent and not stream._due

# What follows attention is the REPL's.
source.data = ATTENTION + b"\r\x01"
assert stream.readinto(buf) == len(ATTENTION) and source.data == b"\r\x01"

# A frame that is cut: it waits for the rest, which 1,040 delimiters are, whatever came.
for whole in encoded:
    for cut in range(1, len(whole) - 1, 1 + len(whole) // 5):
        source.data = whole[:cut] + bytes(1040) + ATTENTION
        assert read_all(stream, buf, source).endswith(ATTENTION) and not stream._due

# Noise and bytes lost: what is waited for never exceeds the longest frame.
for _ in range(300):
    damaged = bytearray(random.choice(encoded) + random.choice(encoded))
    for _ in range(random.randint(1, 3)):
        damaged[random.randint(0, len(damaged) - 1)] = random.randint(0, 255)
    source.data = bytes(damaged) + bytes(1040)
    read_all(stream, buf, source)
    assert not stream._due

# Writing: as much as goes.
sink = Sink()
stream = rp2.Stream(source, sink)
data = bytes(range(256)) * 8
assert stream.write(data, 5, 1500) == 1500 and sink.data == data[5:1505]
sink.room = 300
assert stream.write(data, 0, 1000) == 300 and stream.write(data, 0, 1000) == 0

NEAR = (b"\0\r\x03\x03\x03\0", b"\0\r\x03\0", b"\0\x01\r\x03\x03\0", b"\0\r\x03\x04\0", b"\r\x03\x03\r\0")

# Under a link, in a session: attention ends it, whatever pieces it comes in; what resembles it does not.
for kernels in tiers():
    for size in (1, 2, 3, 4, 5, 64):
        for before in (b"", encoded[0], encoded[0][:9]):
            chunks = []

            class Pieces:
                def readinto(self, buf):
                    if not chunks:
                        return 0
                    piece = chunks.pop(0)
                    buf[: len(piece)] = piece
                    return len(piece)

                def write(self, buf, start, n):
                    return n

                def wait(self, ms):
                    pass

            link = Link(Pieces(), lambda *delivered: None, kernels)

            def feed(data, size=size, chunks=chunks, link=link):
                for at in range(0, len(data), size):
                    chunks.append(data[at : at + size])
                while chunks:
                    link.poll(0)

            feed(hello(kernels) + before)
            for near in (
                b"\0\r\x03\x03\x03\0",
                b"\0\r\x03\0",
                b"\0\x01\r\x03\x03\0",
                b"\0\r\x03\x04\0",
                b"\r\x03\x03\r\0",
            ):
                feed(near)
            feed(frame(kernels, 3, 0, 0, ATTENTION * 3))
            assert link.connected
            try:
                feed(ATTENTION)
                raise AssertionError((kernels.NAME, size, before))
            except Attention:
                pass
print("ok", frames)
