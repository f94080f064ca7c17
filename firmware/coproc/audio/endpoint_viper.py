# Kernel of endpointing, viper tier. Same contract as endpoint_bytecode.py, bit for bit.
import micropython


@micropython.viper
def level(features: ptr16, rows: ptr16, at: int, sums: ptr16) -> int:
    # The loudest patch of the last frames: 9 frames by 3 neighbouring channels, summed, the maximum over channels.
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
        if i > 1:
            patch = left + middle + right
            if patch > best:
                best = patch
        left = middle
        middle = right
        i += 1
    return best
