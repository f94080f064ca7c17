# The audio front end: 16 kHz samples in, 40 mel features per 10 ms out, in integers only.
#
# It computes what TensorFlow Lite Micro's microfrontend (tensorflow/lite/experimental/microfrontend/lib) computes as
# `pymicro-features` configures it, bit for bit: 30 ms Hann window, 512-point FFT in 16-bit fixed point (kissfft), 40
# mel channels from 125 to 7500 Hz, square root, noise reduction, PCAN gain control, logarithm. Tiers supply the
# kernels; frontend_bytecode.py is the readable one.
#
# Bounds that let the kernels stay within signed 32 bits. Every FFT stage divides by its radix, so by Parseval's
# theorem the energies of bins 1 to 255 add up to less than 480 * 2**30 / 2**10 < 2**29; where a sum wraps around in
# 16 bits, as kissfft's do on extreme input, it only gets smaller. A channel is at most 4096 times that, below 2**41;
# its root is below 2**20.5, and 2**10 times that, as the noise estimate is kept, below 2**31.
from array import array

from coproc.audio import tables

WINDOW = const(480)  # samples: 30 ms
HOP = const(160)  # samples: 10 ms
FFT = const(512)
BINS = const(256)  # FFT bins below the Nyquist frequency
CHANNELS = const(40)


class FrontEnd:
    def __init__(self, kernels):
        self._take = kernels.take
        self._window = kernels.window
        self._transform = kernels.transform
        self._energies = kernels.energies
        self._channels = kernels.channels
        self._reduce_noise = kernels.reduce_noise
        self._gain_and_log = kernels.gain_and_log

        words = kernels.words
        self._hann = words(tables.HANN)
        self._twiddles = words(tables.TWIDDLES)
        self._sines = words(tables.SINES)
        self._weights = words(tables.WEIGHTS)
        self._gains = words(tables.GAINS)
        self._logs = words(tables.LOGS)

        self.features = array("H", bytes(2 * CHANNELS))  # overwritten by each hop
        self._history = array("h", bytes(2 * WINDOW))  # the last 30 ms of samples
        # What the window leaves; its last 32 samples pad the FFT and stay zero.
        self._windowed = array("h", bytes(2 * FFT))
        self._spectrum = array("h", bytes(2 * FFT))  # 256 complex points
        self._energy = array("i", bytes(4 * BINS))
        self._signal = array("i", bytes(4 * CHANNELS))
        self._noise = array("i", bytes(4 * CHANNELS))  # the noise estimate, 2**10 times the signal's scale
        self._waiting = WINDOW // HOP  # hops until the window is full

    def reset(self):
        # As fresh.
        noise = self._noise
        for i in range(CHANNELS):
            noise[i] = 0
        # The window is full of new samples before it is used again, so that the history needs no clearing.
        self._waiting = WINDOW // HOP

    def hop(self, samples, offset):
        # Takes samples[offset:offset + 160] of an array('h'). True when `features` holds a new frame: from the third
        # hop on. Allocates nothing.
        self._take(self._history, samples, offset)
        if self._waiting > 1:
            self._waiting -= 1
            return False
        shift = self._window(self._history, self._hann, self._windowed)
        self._transform(self._windowed, shift, tables.REVERSAL, self._twiddles, self._spectrum)
        self._energies(self._spectrum, self._sines, self._energy)
        self._channels(self._energy, tables.WIDTHS, self._weights, shift, self._signal)
        self._reduce_noise(self._signal, self._noise)
        self._gain_and_log(self._signal, self._noise, self._gains, self._logs, self.features)
        return True
