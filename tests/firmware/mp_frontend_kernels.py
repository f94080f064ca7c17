# Runs single kernels on given inputs: argv is the tier and the kernel's name; standard input is a run of cases,
# standard output their results, all int32.
import sys
from array import array

from coproc.audio import tables

tier, name = sys.argv[1:3]
kernels = __import__("coproc.audio.frontend_" + tier, None, None, ("kernels",))
kernel = getattr(kernels, name)
words = kernels.words
sines, weights = words(tables.SINES), words(tables.WEIGHTS)
gains, logs = words(tables.GAINS), words(tables.LOGS)
sink = sys.stdout.buffer

case = array("i", bytes(4 * {"energies": 512, "channels": 257, "reduce_noise": 80, "gain_and_log": 80}[name]))
spectrum = array("h", bytes(2 * 512))
energy = array("i", bytes(4 * 256))
signal = array("i", bytes(4 * 40))
noise = array("i", bytes(4 * 40))
features = array("H", bytes(2 * 40))

while sys.stdin.buffer.readinto(case):
    if name == "energies":
        for i in range(512):
            value = case[i]
            if tier == "viper":  # keeps the spectrum biased by 32768
                value += 32768 if value < 0 else -32768
            spectrum[i] = value
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
