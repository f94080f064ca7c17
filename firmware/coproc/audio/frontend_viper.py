# Front-end kernels, viper tier. Same contract as frontend_bytecode.py, bit for bit, which says what each one means;
# the comments here say how it is made fast. Bounds are in frontend.py: nothing here passes 31 bits, so that 32- and
# 64-bit builds agree without masks.
#
# ptr16 loads are unsigned. A signed value is therefore kept biased by 32768 where that saves the sign extension: in
# the tables, and in the spectrum.
import micropython

FIRST_BIN = const(5)  # of the filter bank; bins 5 to 240 count
LAST_BIN = const(240)

# kissfft divides by 4 as (x * 8191 + 2**14) >> 15, by 2 as (x * 16383 + 2**14) >> 15. With u = x + 32768 that is
# (u * 8191 - QUARTER) >> 15: the bias costs nothing. QUARTER_BIASED leaves it on the quotient.
QUARTER = const(268386304)  # 32768 * 8191 - 2**14
QUARTER_BIASED = const(805355520)  # 2**30 - QUARTER, to be added
HALF = const(536821760)  # 32768 * 16383 - 2**14
ROUND = const(16384)  # one half in Q15

BIT_LENGTHS = b"\x00\x01\x02\x02\x03\x03\x03\x03\x04\x04\x04\x04\x04\x04\x04\x04"


def words(table):
    # A table of u16 as the kernels take it: ptr16 reads bytes in place.
    return table


@micropython.viper
def take(history: ptr32, samples: ptr16, offset: int):
    # Two samples a word move down by one hop; what a 64-bit register holds above the word is not stored.
    i = 0
    while i < 160:
        history[i] = history[i + 80]
        i += 1
    new = ptr16(int(history) + 640)
    source = ptr16(int(samples) + offset + offset)
    i = 0
    while i < 160:
        new[i] = source[i]
        i += 1


@micropython.viper
def window(history: ptr16, hann: ptr16, windowed: ptr16) -> int:
    # The highest bit of the largest magnitude is that of all magnitudes or'ed: no branch in the loop.
    magnitudes = 0
    i = 0
    while i < 480:
        value = (((history[i] ^ 32768) - 32768) * hann[i]) >> 12
        windowed[i] = value
        sign = value >> 15
        magnitudes |= (value ^ sign) - sign
        i += 1
    magnitudes &= 32767  # a magnitude of 32768 overflows in TFLM's int16 and does not count
    shift = 15
    while magnitudes > 0:
        magnitudes >>= 1
        shift -= 1
    return shift


@micropython.viper
def transform(windowed: ptr16, shift: int, reversal: ptr8, twiddles: ptr16, spectrum: ptr16):
    # First stage, fused with the scaling and the digit reversal. Its twiddles are 32767 / 32768, which rounds back to
    # the same number for all that a division by 4 leaves.
    i = 0
    while i < 64:
        at = int(windowed) + (reversal[i] << 2)
        p = ptr16(at)
        ar = ((((p[0] << shift) + 32768) & 65535) * 8191 + QUARTER_BIASED) >> 15
        ai = ((((p[1] << shift) + 32768) & 65535) * 8191 + QUARTER_BIASED) >> 15
        p = ptr16(at + 256)
        br = ((((p[0] << shift) + 32768) & 65535) * 8191 - QUARTER) >> 15
        bi = ((((p[1] << shift) + 32768) & 65535) * 8191 - QUARTER) >> 15
        p = ptr16(at + 512)
        cr = ((((p[0] << shift) + 32768) & 65535) * 8191 - QUARTER) >> 15
        ci = ((((p[1] << shift) + 32768) & 65535) * 8191 - QUARTER) >> 15
        p = ptr16(at + 768)
        dr = ((((p[0] << shift) + 32768) & 65535) * 8191 - QUARTER) >> 15
        di = ((((p[1] << shift) + 32768) & 65535) * 8191 - QUARTER) >> 15
        sum_r = br + dr
        sum_i = bi + di
        diff_r = br - dr
        diff_i = bi - di
        p = ptr16(int(spectrum) + (i << 4))
        br = ar - cr
        bi = ai - ci
        ar += cr
        ai += ci
        p[0] = ar + sum_r
        p[1] = ai + sum_i
        p[2] = br + diff_i
        p[3] = bi - diff_r
        p[4] = ar - sum_r
        p[5] = ai - sum_i
        p[6] = br - diff_i
        p[7] = bi + diff_r
        i += 1

    # Stages with legs 4, 16 and 64 points apart. The outer loop runs over twiddles, so that each is loaded once.
    leg = 16  # bytes between the legs of a butterfly
    skip = 192  # bytes from one row of twiddles to the next: every 16th, every 4th, every one
    while leg <= 256:
        row = int(twiddles)
        first = int(spectrum)
        k = leg >> 2
        while k > 0:
            p = ptr16(row)
            w1r = p[0] - 32768
            w1i = p[1] - 32768
            w2r = p[2] - 32768
            w2i = p[3] - 32768
            w3r = p[4] - 32768
            w3i = p[5] - 32768
            at = first
            n = 256  # a butterfly takes four points, and leg is four times their distance
            while n > 0:
                a = ptr16(at)
                at += leg
                b = ptr16(at)
                at += leg
                c = ptr16(at)
                at += leg
                d = ptr16(at)
                at += leg
                xr = (b[0] * 8191 - QUARTER) >> 15
                xi = (b[1] * 8191 - QUARTER) >> 15
                br = (xr * w1r - xi * w1i + ROUND) >> 15
                bi = (xr * w1i + xi * w1r + ROUND) >> 15
                xr = (d[0] * 8191 - QUARTER) >> 15
                xi = (d[1] * 8191 - QUARTER) >> 15
                dr = (xr * w3r - xi * w3i + ROUND) >> 15
                di = (xr * w3i + xi * w3r + ROUND) >> 15
                sum_r = br + dr
                sum_i = bi + di
                diff_r = br - dr
                diff_i = bi - di
                xr = (c[0] * 8191 - QUARTER) >> 15
                xi = (c[1] * 8191 - QUARTER) >> 15
                cr = (xr * w2r - xi * w2i + ROUND) >> 15
                ci = (xr * w2i + xi * w2r + ROUND) >> 15
                ar = (a[0] * 8191 + QUARTER_BIASED) >> 15
                ai = (a[1] * 8191 + QUARTER_BIASED) >> 15
                br = ar - cr
                bi = ai - ci
                ar += cr
                ai += ci
                a[0] = ar + sum_r
                a[1] = ai + sum_i
                b[0] = br + diff_i
                b[1] = bi - diff_r
                c[0] = ar - sum_r
                c[1] = ai - sum_i
                d[0] = br - diff_i
                d[1] = bi + diff_r
                n -= leg
            first += 4
            row += skip
            k -= 1
        leg <<= 2
        skip >>= 2


@micropython.viper
def energies(spectrum: ptr16, sines: ptr16, energy: ptr32):
    k = FIRST_BIN
    while k <= 128:
        p = ptr16(int(spectrum) + (k << 2))
        ar = (p[0] * 16383 - HALF) >> 15
        ai = (p[1] * 16383 - HALF) >> 15
        p = ptr16(int(spectrum) + 1024 - (k << 2))
        br = (p[0] * 16383 - HALF) >> 15
        # The negated imaginary part, biased; -(-32768) stays -32768 in 16 bits.
        bi = (((0 - p[1]) & 65535) * 16383 - HALF) >> 15
        gr = ar - br
        gi = ai - bi
        ar += br
        ai += bi
        s = sines[k]
        c = sines[128 - k]
        tr = ((((gi * c - gr * s + ROUND) >> 15) + 32768) & 65535) - 32768
        ti = ((((ROUND - gr * c - gi * s) >> 15) + 32768) & 65535) - 32768
        re = (ar + tr) >> 1
        im = (ai + ti) >> 1
        energy[k] = re * re + im * im
        # Bin 128 is its own mirror: this second result stands, as in kissfft.
        if k >= 256 - LAST_BIN:
            re = (ar - tr) >> 1
            im = (ti - ai) >> 1
            energy[256 - k] = re * re + im * im
        k += 1


@micropython.viper
def channels(energy: ptr32, widths: ptr8, weights: ptr16, shift: int, signal: ptr32):
    # A 41-bit sum is kept as high * 4096 + low. Weights are 12 bits: high and low stay below 2**30.
    from_below_high = 0
    from_below_low = 0
    e_at = ptr32(int(energy) + 4 * FIRST_BIN)
    w_at = weights
    channel = 0
    while channel <= 40:
        total = 0
        high = 0
        low = 0
        n = widths[channel]
        i = 0
        while i < n:
            e = e_at[i]
            w = w_at[i]
            total += e
            high += w * (e >> 12)
            low += w * (e & 4095)
            i += 1
        e_at = ptr32(int(e_at) + (n << 2))
        w_at = ptr16(int(w_at) + (n << 1))

        if channel > 0:
            rest = low + from_below_low
            x = high + from_below_high + (rest >> 12)
            rest &= 4095
            # Digit by digit below 2**29; above, the root of the high part first, then six more bits by a division.
            wide = 1
            if x < 131072:
                x = (x << 12) | rest
                wide = 0
            bit = 1
            bit <<= 28
            while bit > x:
                bit >>= 2
            root = 0
            while bit > 0:
                # Without branches: the outcome is a coin toss that no processor predicts.
                root += bit
                no = (x - root) >> 31  # -1 where this bit does not fit, else 0
                x -= root & ~no
                root = (root + (bit & ~no) - (bit & no)) >> 1
                bit >>= 2
            if wide:
                x = (x << 12) | rest
                digits = x // (root << 7)
                x -= digits * (root << 7) + digits * digits
                root = (root << 6) + digits
                while x < 0:
                    x += root + root - 1
                    root -= 1
            # Round to nearest; 65535 stays, as TFLM's 32-bit shortcut has it.
            if x > root:
                if root != 65535:
                    root += 1
            signal[channel - 1] = root >> shift

        # The other part of each bin's weight goes to the next channel.
        from_below_high = total - high
        from_below_low = 0 - low
        channel += 1


@micropython.viper
def reduce_noise(signal: ptr32, noise: ptr32):
    smoothing = 409
    i = 0
    while i < 40:
        value = signal[i]
        scaled = value << 10
        estimate = noise[i]
        keep = 16384 - smoothing
        # (scaled * smoothing + estimate * keep) >> 14, by the 14 lower bits and the rest
        lower = (scaled & 16383) * smoothing + (estimate & 16383) * keep
        estimate = (scaled >> 14) * smoothing + (estimate >> 14) * keep + (lower >> 14)
        noise[i] = estimate
        above = (scaled - estimate) >> 10  # where negative, the floor takes its place
        floor = (value * 819) >> 14
        if above < floor:
            above = floor
        signal[i] = above
        smoothing = 1392 - smoothing
        i += 1


@micropython.viper
def gain_and_log(signal: ptr32, noise: ptr32, gains: ptr16, logs: ptr16, features: ptr16):
    lengths = ptr8(BIT_LENGTHS)
    i = 0
    while i < 40:
        x = noise[i]
        bits = 0
        top = x
        if top >= 65536:
            top >>= 16
            bits = 16
        if top >= 256:
            top >>= 8
            bits += 8
        if top >= 16:
            top >>= 4
            bits += 4
        bits += lengths[top]
        p = ptr16(int(gains) + 6 * bits)
        if bits < 11:
            fraction = (x << (11 - bits)) & 1023
        else:
            fraction = (x >> (bits - 11)) & 1023
        gain = (((p[2] - 32768) * fraction) >> 5) + ((p[1] - 32768) << 5)
        gain = ((gain * fraction + ROUND) >> 15) + p[0] - 32768

        # (value * gain) >> 6, by the 12 lower bits and the rest
        value = signal[i]
        value = (((value >> 12) * gain) << 6) + (((value & 4095) * gain) >> 6)
        if value < 8192:
            value = (value * value) >> 20
        else:
            value = (value >> 6) - 64
        value <<= 3

        log = 0
        if value > 1:
            bits = 0
            top = value
            if top >= 65536:
                top >>= 16
                bits = 16
            if top >= 256:
                top >>= 8
                bits += 8
            if top >= 16:
                top >>= 4
                bits += 4
            bits += lengths[top] - 1
            one = 1
            fraction = value - (one << bits)
            if bits < 16:
                fraction <<= 16 - bits
            else:
                fraction >>= bits - 16
            p = ptr16(int(logs) + ((fraction >> 9) << 1))
            correction = p[0]
            correction += ((p[1] - correction) * (fraction & 511)) >> 16
            log = (bits << 16) + fraction + correction
            # (45426 * log + 2**15) >> 16, by the 12 lower bits and the rest
            log = (45426 * (log >> 12) + ((45426 * (log & 4095) + 32768) >> 12)) >> 4
            log = ((log << 6) + 32768) >> 16
        features[i] = log
        i += 1


@micropython.viper
def quantize(features: ptr16, out: ptr8, offset: int, mode: int):
    i = 0
    while i < 40:
        value = features[i]
        if mode == 0:
            if value > 663:
                value = 127
            else:
                value = (value * 256 + 333) // 666 - 128
        else:
            value = (value * 22283 + 29081) // 58163 - 128
        out[offset] = value
        offset += 1
        i += 1
