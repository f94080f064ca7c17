# Kernels of the audio loop, bytecode tier: the readable reference of ring_viper.py.


def write(ring, size, at, buf, start, length):
    # Copies `length` bytes of int16 LE PCM into the ring of `size` samples from sample `at`; returns the next sample.
    end = start + length
    while start < end:
        value = buf[start] | buf[start + 1] << 8
        ring[at] = value - 65536 if value & 32768 else value
        start += 2
        at += 1
        if at == size:
            at = 0
    return at


def read(ring, at, out, start, samples):
    # Copies `samples` samples that do not wrap from sample `at` to out[start:] as int16 LE bytes.
    end = at + samples
    while at < end:
        value = ring[at]
        out[start] = value & 255
        out[start + 1] = (value >> 8) & 255
        start += 2
        at += 1


def digest(values, count, state):
    # A running check value over `count` unsigned 16-bit values, below 2**24: two boards compare by one number.
    i = 0
    while i < count:
        state = (state * 31 + values[i]) & 0xFFFFFF
        i += 1
    return state
