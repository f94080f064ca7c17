# Kernels of the audio loop, viper tier. Same contract as ring_bytecode.py, bit for bit.
import micropython


@micropython.viper
def write(ring: ptr8, size: int, at: int, buf: ptr8, start: int, length: int) -> int:
    # Copies `length` bytes of int16 LE PCM into the ring of `size` samples from sample `at`; returns the next sample.
    at2 = at << 1
    size2 = size << 1
    end = start + length
    while start < end:
        ring[at2] = buf[start]
        ring[at2 + 1] = buf[start + 1]
        start += 2
        at2 += 2
        if at2 == size2:
            at2 = 0
    return at2 >> 1


@micropython.viper
def read(ring: ptr8, at: int, out: ptr8, start: int, samples: int):
    # Copies `samples` samples that do not wrap from sample `at` to out[start:] as int16 LE bytes.
    at2 = at << 1
    end = start + (samples << 1)
    while start < end:
        out[start] = ring[at2]
        start += 1
        at2 += 1


@micropython.viper
def digest(values: ptr16, count: int, state: int) -> int:
    # A running check value over `count` unsigned 16-bit values, below 2**24: two boards compare by one number.
    i = 0
    while i < count:
        state = (state * 31 + values[i]) & 0xFFFFFF
        i += 1
    return state
