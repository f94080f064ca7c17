# The ring's kernels against plain models, on random spans. Arguments: tier, seed.
import random
import sys
from array import array

kernels = __import__("coproc.audio.ring_" + sys.argv[1], None, None, ("kernels",))
random.seed(int(sys.argv[2]))
SIZE = 480
ring = array("h", bytes(2 * SIZE))
model = [0] * SIZE
at = 0
for turn in range(60):
    buf = bytearray([random.getrandbits(8) for _ in range(402)])
    start = random.randint(0, 40)  # at odd bytes too
    samples = random.choice((0, 1, 2, 160, random.randint(0, 180)))
    if turn % 10 == 9:
        samples = min(SIZE - at, 180)  # up to the very end
    expected = at
    for i in range(samples):
        value = buf[start + 2 * i] | buf[start + 2 * i + 1] << 8
        model[expected] = value - 65536 if value & 32768 else value
        expected = (expected + 1) % SIZE
    at = kernels.write(ring, SIZE, at, buf, start, 2 * samples)
    assert at == expected, (at, expected)
    assert list(ring) == model

    count = random.randint(0, 160)
    first = random.randint(0, SIZE - count)
    out = bytearray([0xA5] * 340)
    start = random.randint(1, 10)
    kernels.read(ring, first, out, start, count)
    raw = b"".join([bytes([value & 255, (value >> 8) & 255]) for value in model[first : first + count]])
    assert out == bytes([0xA5] * start) + raw + bytes([0xA5] * (340 - start - 2 * count))

    values = array("H", [random.choice((0, 65535, random.getrandbits(16))) for _ in range(40)])
    state = random.choice((0, 0xFFFFFF, random.getrandbits(24)))
    count = random.choice((0, 1, 40))
    expected = state
    for i in range(count):
        expected = (expected * 31 + values[i]) & 0xFFFFFF
    assert kernels.digest(values, count, state) == expected
print("ok")
