# Prints how many bytes 1000 hops with both quantisations allocate; argv is the tier.
import gc
import sys
from array import array

from coproc.audio.frontend import FrontEnd

kernels = __import__("coproc.audio.frontend_" + sys.argv[1], None, None, ("kernels",))
front_end = FrontEnd(kernels)
quantize = kernels.quantize
samples = array("h", bytes(2 * 480))
seed = 1
for i in range(480):
    seed = (seed * 75 + 74) % 65537
    samples[i] = (seed & 65535) - 32768
row = bytearray(42)


def run(hops):
    front_end.reset()
    while hops:
        front_end.hop(samples, hops % 3 * 160)
        quantize(front_end.features, row, 1, 0)
        quantize(front_end.features, row, 2, 1)
        hops -= 1


run(10)
gc.collect()
gc.disable()
before = gc.mem_alloc()
run(1000)
after = gc.mem_alloc()
print(after - before)
