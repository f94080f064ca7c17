# Nanoseconds per hop of endpointing, the best of several rounds. Arguments: tier, and the voice model's plan if any.
import sys
import time
from array import array

from coproc.audio import endpoint

HOPS = 5000
tier = __import__("coproc.audio.endpoint_" + sys.argv[1], None, None, ("x",))
voice = None
if len(sys.argv) > 2:
    from coproc.audio.voice import Voice
    from coproc.nn.plan import load

    with open(sys.argv[2], "rb") as file:  # noqa: PTH123  MicroPython has no pathlib
        plan = bytearray(file.read())
    kernels = __import__("coproc.nn.kernels_" + sys.argv[1], None, None, ("x",))
    frontend = __import__("coproc.audio.frontend_" + sys.argv[1], None, None, ("x",))
    voice = Voice(load(plan, kernels), frontend.quantize, 190, 128, 60, 12)
endpointer = endpoint.Endpointer(tier, {"nothing_ms": 60000, "longest_ms": 60000}, voice)
quiet = array("H", bytes(80))
loud = array("H", [400] * 40)


def run(features, first):
    started = time.ticks_us()
    for hop in range(first, first + HOPS):
        endpointer.hop(features, hop)
    return time.ticks_diff(time.ticks_us(), started)


best = [10**9] * 3
for _ in range(7):
    endpointer.reset()
    best[0] = min(best[0], run(quiet, 0))
    endpointer.arm(HOPS - 1)
    best[1] = min(best[1], run(quiet, HOPS))
    endpointer.reset()
    endpointer.arm(0)
    best[2] = min(best[2], run(loud, 1))
    endpointer.disarm()
for i, state in enumerate(("unarmed", "waiting", "speaking")):
    print(state, best[i] * 1000 // HOPS)
