# Bytes allocated by 1,000 hops in each state (waiting, speaking, unarmed), garbage collection off. Argument: tier.
import gc
import sys
from array import array

from coproc.audio import endpoint

tier = __import__("coproc.audio.endpoint_" + sys.argv[1], None, None, ("x",))
endpointer = endpoint.Endpointer(tier, {"nothing_ms": 60000, "longest_ms": 60000})
quiet = array("H", bytes(80))
loud = array("H", [400] * 40)


def run(features, first, count):
    # As the loop does it: a frame index that goes up, a result that is looked at.
    codes = 0
    hop = first
    while hop < first + count:
        codes += endpointer.hop(features, hop)
        hop += 1
    return codes


def measure(name, features, first):
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    codes = run(features, first, 1000)
    after = gc.mem_alloc()
    gc.enable()
    print(name, after - before, codes)


run(quiet, 0, 100)
measure("unarmed", quiet, 100)
endpointer.arm(1099)
measure("waiting", quiet, 1100)
measure("speaking", loud, 2100)
