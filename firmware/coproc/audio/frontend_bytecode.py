# Front-end kernels, bytecode tier: the readable statement of what every tier computes. The names in brackets are the
# files of TFLM's microfrontend and of kissfft that define a step. A C cast to int16 is written out as a wrap.
from array import array

FIRST_BIN = const(5)  # of the filter bank; bins 5 to 240 count
LAST_BIN = const(240)
QUARTER = const(8191)  # kissfft's 1/4 and 1/2 in Q15
HALF = const(16383)
ROUND = const(16384)  # one half in Q15


def words(table):
    # A table of u16 as the kernels take it.
    return array("H", table)


def take(history, samples, offset):
    # Moves the window's samples down by one hop and appends samples[offset:offset + 160]. [window.cc]
    for i in range(320):
        history[i] = history[i + 160]
    for i in range(160):
        history[320 + i] = samples[offset + i]


def window(history, hann, windowed):
    # Weighs the samples; returns by how many bits the result can be shifted up for the FFT. [window.cc, frontend.cc]
    magnitudes = 0
    for i in range(480):
        value = (history[i] * hann[i]) >> 12
        windowed[i] = value
        # TFLM takes the maximum, of which only the highest bit matters: that of all magnitudes or'ed.
        magnitudes |= -value if value < 0 else value
    magnitudes &= 32767  # a magnitude of 32768 overflows in TFLM's int16 and does not count
    shift = 15
    while magnitudes:
        magnitudes >>= 1
        shift -= 1
    return shift


def transform(windowed, shift, reversal, twiddles, spectrum):
    # 256-point FFT, in four radix-4 stages, of the samples taken as complex pairs. [fft.cc, kf_bfly4 in kiss_fft.cc]
    # Each stage first divides by 4. Input is read in digit-reversed order, shifted up with int16's wrap-around.
    for group in range(64):
        source = 2 * reversal[group]
        at = 8 * group
        for _ in range(4):
            spectrum[at] = (((windowed[source] << shift) + 32768) & 65535) - 32768
            spectrum[at + 1] = (((windowed[source + 1] << shift) + 32768) & 65535) - 32768
            source += 128
            at += 2
    span = 1  # points between the legs of a butterfly
    step = 64  # rows of twiddles from one butterfly to the next
    while span <= 64:
        leg = 2 * span
        for k in range(span):
            row = 6 * step * k
            w1r = twiddles[row] - 32768
            w1i = twiddles[row + 1] - 32768
            w2r = twiddles[row + 2] - 32768
            w2i = twiddles[row + 3] - 32768
            w3r = twiddles[row + 4] - 32768
            w3i = twiddles[row + 5] - 32768
            a = 2 * k
            while a < 512:  # a range with a step that is no constant would be an object on the heap
                b = a + leg
                c = b + leg
                d = c + leg
                ar = (spectrum[a] * QUARTER + ROUND) >> 15
                ai = (spectrum[a + 1] * QUARTER + ROUND) >> 15
                xr = (spectrum[b] * QUARTER + ROUND) >> 15
                xi = (spectrum[b + 1] * QUARTER + ROUND) >> 15
                br = (xr * w1r - xi * w1i + ROUND) >> 15
                bi = (xr * w1i + xi * w1r + ROUND) >> 15
                xr = (spectrum[c] * QUARTER + ROUND) >> 15
                xi = (spectrum[c + 1] * QUARTER + ROUND) >> 15
                cr = (xr * w2r - xi * w2i + ROUND) >> 15
                ci = (xr * w2i + xi * w2r + ROUND) >> 15
                xr = (spectrum[d] * QUARTER + ROUND) >> 15
                xi = (spectrum[d + 1] * QUARTER + ROUND) >> 15
                dr = (xr * w3r - xi * w3i + ROUND) >> 15
                di = (xr * w3i + xi * w3r + ROUND) >> 15
                even_r = ar + cr + 32768
                even_i = ai + ci + 32768
                odd_r = ar - cr + 32768
                odd_i = ai - ci + 32768
                spectrum[a] = ((even_r + br + dr) & 65535) - 32768
                spectrum[a + 1] = ((even_i + bi + di) & 65535) - 32768
                spectrum[b] = ((odd_r + bi - di) & 65535) - 32768
                spectrum[b + 1] = ((odd_i - br + dr) & 65535) - 32768
                spectrum[c] = ((even_r - br - dr) & 65535) - 32768
                spectrum[c + 1] = ((even_i - bi - di) & 65535) - 32768
                spectrum[d] = ((odd_r - bi + di) & 65535) - 32768
                spectrum[d + 1] = ((odd_i + br - dr) & 65535) - 32768
                a += 4 * leg
        span *= 4
        step >>= 2


def energies(spectrum, sines, energy):
    # Splits the packed FFT into the real signal's bins and squares those of the filter bank.
    # [kiss_fftr.cc, FilterbankConvertFftComplexToEnergy in filterbank.cc]
    for k in range(FIRST_BIN, 129):
        mirror = 256 - k
        ar = (spectrum[2 * k] * HALF + ROUND) >> 15
        ai = (spectrum[2 * k + 1] * HALF + ROUND) >> 15
        br = (spectrum[2 * mirror] * HALF + ROUND) >> 15
        bi = spectrum[2 * mirror + 1]
        if bi != -32768:  # which is its own negative in int16
            bi = -bi
        bi = (bi * HALF + ROUND) >> 15
        gr = ar - br
        gi = ai - bi
        ar += br
        ai += bi
        # Times the twiddle -sin - i cos.
        s = sines[k]
        c = sines[128 - k]
        tr = ((((gi * c - gr * s + ROUND) >> 15) + 32768) & 65535) - 32768
        ti = ((((ROUND - gr * c - gi * s) >> 15) + 32768) & 65535) - 32768
        re = (ar + tr) >> 1
        im = (ai + ti) >> 1
        energy[k] = re * re + im * im
        # Bin 128 is its own mirror: this second result stands, as in kissfft.
        if mirror <= LAST_BIN:
            re = (ar - tr) >> 1
            im = (ti - ai) >> 1
            energy[mirror] = re * re + im * im


def channels(energy, widths, weights, shift, signal):
    # Mel channels: each bin is shared between its own channel and the next one. Then the rounded root, scaled back.
    # [FilterbankAccumulateChannels, FilterbankSqrt in filterbank.cc]
    # A sum is kept as high * 4096 + low, so that a small integer of 31 bits holds each part.
    from_below_high = 0
    from_below_low = 0
    k = 0
    for channel in range(41):
        total = high = low = 0
        for _ in range(widths[channel]):
            e = energy[FIRST_BIN + k]
            weight = weights[k]
            total += e
            high += weight * (e >> 12)
            low += weight * (e & 4095)
            k += 1
        if channel:
            rest = low + from_below_low
            signal[channel - 1] = _root(high + from_below_high + (rest >> 12), rest & 4095) >> shift
        from_below_high = total - high
        from_below_low = -low


def _root(high, low):
    # Nearest root of high * 4096 + low, but 65535 where 65536 is nearer from below. [Sqrt32, Sqrt64 in filterbank.cc]
    wide = high >= 1 << 17
    left = high if wide else (high << 12) | low
    bit = 1 << 28
    while bit > left:
        bit >>= 2
    root = 0
    while bit:
        if left >= root + bit:
            left -= root + bit
            root = (root >> 1) + bit
        else:
            root >>= 1
        bit >>= 2
    if wide:
        # Six more bits by long division: (64 root + digits)**2 <= x, the division's digits may be one too many.
        left = (left << 12) | low
        digits = left // (root << 7)
        left -= digits * (root << 7) + digits * digits
        root = (root << 6) + digits
        while left < 0:
            left += 2 * root - 1
            root -= 1
    if left > root and root != 65535:
        root += 1
    return root


def reduce_noise(signal, noise):
    # Follows each channel's noise and takes it away, but leaves a twentieth of the signal. [noise_reduction.cc]
    for i in range(40):
        smoothing = 983 if i & 1 else 409  # 0.06 and 0.025 in 1/16384
        value = signal[i]
        scaled = value << 10
        estimate = noise[i]
        # (scaled * smoothing + estimate * (16384 - smoothing)) >> 14, by the 14 lower bits and the rest
        keep = 16384 - smoothing
        lower = (scaled & 16383) * smoothing + (estimate & 16383) * keep
        estimate = (scaled >> 14) * smoothing + (estimate >> 14) * keep + (lower >> 14)
        noise[i] = estimate
        above = (scaled - estimate) >> 10  # where negative, the floor takes its place
        floor = (value * 819) >> 14  # 0.05
        signal[i] = above if above > floor else floor


def gain_and_log(signal, noise, gains, logs, features):
    # Gain by the noise estimate, compression, then 64 times the natural logarithm.
    # [pcan_gain_control.cc, log_scale.cc]
    for i in range(40):
        x = noise[i]
        bits = _bit_length(x)
        fraction = (x << (11 - bits) if bits < 11 else x >> (bits - 11)) & 1023
        at = 3 * bits
        gain = (((gains[at + 2] - 32768) * fraction) >> 5) + ((gains[at + 1] - 32768) << 5)
        gain = ((gain * fraction + ROUND) >> 15) + gains[at] - 32768  # 0 to 32636

        # (value * gain) >> 6, by the 12 lower bits and the rest
        value = signal[i]
        value = (((value >> 12) * gain) << 6) + (((value & 4095) * gain) >> 6)
        value = (value * value) >> 20 if value < 8192 else (value >> 6) - 64
        value <<= 3

        log = 0
        if value > 1:
            bits = _bit_length(value) - 1
            fraction = value - (1 << bits)
            fraction = fraction << (16 - bits) if bits < 16 else fraction >> (bits - 16)
            segment = fraction >> 9
            correction = logs[segment]
            correction += ((logs[segment + 1] - correction) * (fraction & 511)) >> 16
            log = (bits << 16) + fraction + correction  # log2 in 1/65536
            # (45426 * log + 2**15) >> 16, by the 12 lower bits and the rest: 45426 / 65536 is ln 2
            log = (45426 * (log >> 12) + ((45426 * (log & 4095) + 32768) >> 12)) >> 4
            log = ((log << 6) + 32768) >> 16
        features[i] = log


def _bit_length(x):
    bits = 0
    while x:
        x >>= 1
        bits += 1
    return bits


def quantize(features, out, offset, mode):
    # 40 features as int8 into out[offset:offset + 40].
    # Mode 0, ESPHome: (f * 256 + 333) / 666 - 128, clamped. Mode 1, pymicro-wakeword: round(f * 0.0390625 / scale -
    # 128) in floats, wrapping as its cast to int8 does; the scale is float32's 26/255. Of the fractions that stay
    # within 31 bits, 22283/58163 is the one that rounds every 16-bit value as the floats do.
    for i in range(40):
        value = features[i]
        if mode == 0:
            value = 127 if value > 663 else (value * 256 + 333) // 666 - 128
        else:
            value = (value * 22283 + 29081) // 58163 - 128
        out[offset + i] = value & 255
