# Prints microseconds per hop, the best of many rounds, of the front end and of its steps; argv is the tier, standard
# input the samples, whole hops.
import sys
import time
from array import array

from coproc.audio import tables
from coproc.audio.frontend import FrontEnd

kernels = __import__("coproc.audio.frontend_" + sys.argv[1], None, None, ("kernels",))
rounds = int(sys.argv[2])
samples = array("h", sys.stdin.buffer.read())
hops = len(samples) // 160
fe = FrontEnd(kernels)
row = bytearray(40)


def measure(name, step):
    best = 1 << 29
    for _ in range(rounds):
        start = time.ticks_us()
        for hop in range(hops):
            step(hop)
        best = min(best, time.ticks_diff(time.ticks_us(), start))
    print(name, best / hops)


measure("hop", lambda hop: fe.hop(samples, hop * 160))
measure("take", lambda hop: fe._take(fe._history, samples, hop * 160))
shift = fe._window(fe._history, fe._hann, fe._windowed)
measure("window", lambda hop: fe._window(fe._history, fe._hann, fe._windowed))
measure("transform", lambda hop: fe._transform(fe._windowed, shift, tables.REVERSAL, fe._twiddles, fe._spectrum))
measure("energies", lambda hop: fe._energies(fe._spectrum, fe._sines, fe._energy))
measure("channels", lambda hop: fe._channels(fe._energy, tables.WIDTHS, fe._weights, shift, fe._signal))
measure("reduce_noise", lambda hop: fe._reduce_noise(fe._signal, fe._noise))
measure("gain_and_log", lambda hop: fe._gain_and_log(fe._signal, fe._noise, fe._gains, fe._logs, fe.features))
measure("quantize", lambda hop: kernels.quantize(fe.features, row, 0, 0))
