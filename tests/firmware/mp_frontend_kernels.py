# Runs single kernels on given inputs: argv is the tier and the kernel's name; standard input is a run of cases,
# standard output their results, all int32.
import sys
from array import array

from coproc.audio import tables

tier, name = sys.argv[1:3]
kernels = __import__("coproc.audio.frontend_" + tier, None, None, ("kernels",))
kernel = getattr(kernels, name)
words = kernels.words
hann, twiddles = words(tables.HANN), words(tables.TWIDDLES)
sines, weights = words(tables.SINES), words(tables.WEIGHTS)
gains, logs = words(tables.GAINS), words(tables.LOGS)
sink = sys.stdout.buffer

SIZES = {
    "take": 801,
    "window": 480,
    "transform": 513,
    "energies": 512,
    "channels": 257,
    "reduce_noise": 80,
    "gain_and_log": 80,
}
case = array("i", bytes(4 * SIZES[name]))
history = array("h", bytes(2 * 480))
samples = array("h", bytes(2 * 320))
windowed = array("h", bytes(2 * 512))
spectrum = array("h", bytes(2 * 512))
out = array("i", bytes(4 * 512))
energy = array("i", bytes(4 * 256))
signal = array("i", bytes(4 * 40))
noise = array("i", bytes(4 * 40))
features = array("H", bytes(2 * 40))


def unbiased(value):
    # The viper tier keeps the spectrum biased by 32768, and this is its own inverse.
    if tier == "viper":
        value += 32768 if value < 0 else -32768
    return value


while sys.stdin.buffer.readinto(case):
    if name == "take":
        for i in range(480):
            history[i] = case[i]
        for i in range(320):
            samples[i] = case[480 + i]
        kernel(history, samples, case[800])
        for i in range(480):
            out[i] = history[i]
        sink.write(memoryview(out)[:480])
    elif name == "window":
        for i in range(480):
            history[i] = case[i]
        shift = kernel(history, hann, windowed)
        for i in range(480):
            out[i] = windowed[i]
        out[480] = shift
        sink.write(memoryview(out)[:481])
    elif name == "transform":
        for i in range(512):
            windowed[i] = case[i]
        kernel(windowed, case[512], tables.REVERSAL, twiddles, spectrum)
        for i in range(512):
            out[i] = unbiased(spectrum[i])
        sink.write(out)
    elif name == "energies":
        for i in range(512):
            spectrum[i] = unbiased(case[i])
        kernel(spectrum, sines, energy)
        sink.write(energy)
    elif name == "channels":
        kernel(case, tables.WIDTHS, weights, case[256], signal)
        sink.write(signal)
    else:
        for i in range(40):
            signal[i] = case[i]
            noise[i] = case[40 + i]
        if name == "reduce_noise":
            kernel(signal, noise)
            sink.write(signal)
            sink.write(noise)
        else:
            kernel(signal, noise, gains, logs, features)
            for i in range(40):
                signal[i] = features[i]
            sink.write(signal)
