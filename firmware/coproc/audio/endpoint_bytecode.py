# Kernel of endpointing, bytecode tier: the readable reference of endpoint_viper.py.


def level(features, rows, at, sums):
    # The loudest patch of the last frames: 9 frames by 3 neighbouring channels, summed, the maximum over channels.
    # `rows` is the ring of the last 9 frames, whose oldest, at `at`, the new one replaces; `sums` holds each
    # channel's sum over it. Features are capped at 2047, so that 9 of them fit 16 bits; speech stays below 700.
    best = 0
    left = 0
    middle = 0
    i = 0
    while i < 40:
        feature = features[i]
        if feature > 2047:
            feature = 2047
        right = sums[i] + feature - rows[at + i]
        rows[at + i] = feature
        sums[i] = right
        if i > 1 and left + middle + right > best:
            best = left + middle + right
        left = middle
        middle = right
        i += 1
    return best
