# Drives the gate and the ring block by block with random speech, on a fake link that records what left.
import random
import sys

from coproc.audio import ring_bytecode
from coproc.audio.ring import BLOCKS, HOP, Ring
from coproc.egress import CLOSING, OPEN, Gate

try:
    from coproc.audio import ring_viper

    KERNELS = [ring_bytecode, ring_viper]
except SyntaxError:
    KERNELS = [ring_bytecode]

random.seed(int(sys.argv[1]))


class FakeLink:
    # Has room now and then, as a slow host would.
    def __init__(self):
        self.out = bytearray()

    def room(self, channel):
        return 1024 if random.randint(0, 3) else 0

    def send(self, channel, buf, start, length):
        assert channel == 4
        self.out += bytes(memoryview(buf)[start : start + length])
        return True


def block_bytes(number):
    # Every sample of block n is n, so what left tells where it came from.
    return (number & 0x7FFF).to_bytes(2, "little") * HOP


def scenario(kernels):
    link = FakeLink()
    ring = Ring(kernels)
    gate = Gate(ring, link.send, link.room)
    wake = random.randint(3, 150)
    onset = wake + random.randint(-20, 150)
    last = onset + random.randint(1, 300)
    decide = last + random.randint(50, 75)
    pieces = bytearray()
    number = 0
    closed = False
    while not closed:
        # Feed in uneven pieces as far as the ring may be filled.
        keep = gate.keep()
        floor = max(0, ring.heard - 60)
        keep = floor if keep is None else min(keep, floor)
        while ring.received < keep + BLOCKS - 4:
            if len(pieces) < 1024:
                pieces += block_bytes(number)
                number += 1
                continue
            size = 2 * random.randint(1, 500)
            ring.put(pieces, 0, size, keep)
            pieces = pieces[size:]
        ring.heard += 1
        heard = ring.heard
        if heard == wake:
            gate.arm("alexa", "cloud", wake)
        if heard > wake and heard == max(wake + 1, onset + 12):
            gate.open(onset)
        if gate.state == OPEN:
            gate.extend(min(heard - 1, last))
        if heard == decide:
            assert gate.state == OPEN, "the scenario's onset comes before its end"
            gate.shut(last)
        closed = gate.pump()
        assert heard < 2000, "the gate never shut"
    assert ring.dropped == 0, ring.dropped
    first = max(max(0, wake - 30), onset - 30)
    stop = last + 1 + 30
    expected = b"".join([block_bytes(n) for n in range(first, stop)])
    assert bytes(link.out) == expected, (len(link.out), len(expected), first, stop)
    entry = gate.entry
    assert (entry["from"], entry["to"], entry["bytes"]) == (first, stop, len(expected)), entry
    assert gate.bytes_total == len(expected)
    assert gate.bytes_before_wake == 0
    return len(expected)


total = 0
for kernels in KERNELS:
    for _ in range(int(sys.argv[2])):
        total += scenario(kernels)

# Nobody spoke: nothing leaves.
link = FakeLink()
ring = Ring(KERNELS[0])
gate = Gate(ring, link.send, link.room)
ring.heard = ring.received = 90
gate.arm("alexa", "cloud", 90)
gate.shut(0)
assert not gate.pump() and not link.out and gate.entry["bytes"] == 0

# A gate that is opened without a wake (a bug elsewhere) is counted, not hidden.
gate = Gate(ring, link.send, link.room)
gate.state = CLOSING
gate.next, gate._limit = 10, 13
while not gate.pump():
    pass
assert gate.bytes_before_wake == 960, gate.bytes_before_wake

# A sender that ignores its credits loses samples, and they are counted.
ring = Ring(KERNELS[0])
ring.put(bytes(2 * (BLOCKS * HOP + 7)), 0, 2 * (BLOCKS * HOP + 7), 0)
assert (ring.received, ring.dropped) == (BLOCKS, 7)

# The bytecode and viper kernels agree.
if len(KERNELS) == 2:
    from array import array

    values = array("H", [random.randint(0, 65535) for _ in range(40)])
    assert ring_bytecode.digest(values, 40, 99) == ring_viper.digest(values, 40, 99)
print(total)
