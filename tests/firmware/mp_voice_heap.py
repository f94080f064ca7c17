# Bytes allocated by 999 hops in each state (unarmed, waiting, speaking) with the model of voice activity, garbage
# collection off. Arguments: tier, plan.
import gc
import sys
from array import array

from coproc.audio import endpoint
from coproc.audio.voice import Voice
from coproc.nn.plan import load


def kernels(name):
    return __import__(name + sys.argv[1], None, None, ("x",))


with open(sys.argv[2], "rb") as file:  # noqa: PTH123  MicroPython has no pathlib
    model = load(bytearray(file.read()), kernels("coproc.nn.kernels_"))
voice = Voice(model, kernels("coproc.audio.frontend_").quantize, 128, 100, 60, 8)
endpointer = endpoint.Endpointer(kernels("coproc.audio.endpoint_"), {"nothing_ms": 60000, "longest_ms": 60000}, voice)
features = array("H", [300] * 40)


def run(first, count):
    codes = 0
    hop = first
    while hop < first + count:
        codes += endpointer.hop(features, hop)
        hop += 1
    return codes


def measure(name, first):
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    run(first, 999)
    after = gc.mem_alloc()
    gc.enable()
    print(name, after - before)


run(0, 99)
measure("unarmed", 99)
endpointer._lag = voice.lag  # the model decides
endpointer.arm(1097)
measure("waiting", 1098)
endpointer.speaking = True
endpointer.last_speech = 2097
measure("speaking", 2097)
