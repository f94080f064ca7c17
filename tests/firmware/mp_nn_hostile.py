# ruff: noqa: PTH123, UP031  -- MicroPython has no pathlib, and % allocates least
# Feeds damaged and hostile plans to the loader: mp_nn_hostile.py TIER PLAN SEED ROUNDS
#
# Every truncation and every flipped byte must be refused. Then words are changed and the sha256 made right again:
# such a plan is refused or runs, and what runs must stay inside its arena: the bytecode tier's indexing would raise,
# and the arena stands between two stretches of canaries here.
import gc
import hashlib
import sys

from coproc.nn import check, plan

EDGE = 256
CANARY = b"\xa5" * EDGE
INTERESTING = (0, 1, 2, 3, 4, 7, 8, 255, 256, 4095, 65535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFC)


class Guard:
    whole = None


def guarded(size):
    Guard.whole = whole = bytearray(size + 2 * EDGE)
    whole[:EDGE] = CANARY
    whole[-EDGE:] = CANARY
    return memoryview(whole)[EDGE:-EDGE]


class Random:
    def __init__(self, seed):
        self.state = seed * 2654435761 & 0x3FFFFFFF or 1

    def below(self, limit):
        self.state = (self.state * 1103515245 + 12345) & 0x3FFFFFFF
        return (self.state >> 8) % limit


def refused(blob, kernels):
    try:
        plan.load(blob, kernels)
    except check.PlanError as error:
        if not str(error).startswith("bad plan: "):
            raise
        return True
    return False


def signed(blob):
    total = len(blob)
    for i in range(4):
        blob[8 + i] = total >> 8 * i & 255
    blob[16:48] = hashlib.sha256(memoryview(blob)[48:]).digest()
    return blob


def word(blob, at):
    return blob[at] | blob[at + 1] << 8 | blob[at + 2] << 16 | blob[at + 3] << 24


def mutate(blob, original, random, tensors_end):
    for _ in range(1 + random.below(3)):
        at = 48 + 4 * random.below((tensors_end - 48) // 4)
        how = random.below(4)
        value = word(original, at)
        if how == 0:
            value = INTERESTING[random.below(len(INTERESTING))]
        elif how == 1:
            value += random.below(65) - 32
        elif how == 2:
            value ^= 1 << random.below(32)
        else:
            value = word(original, 48 + 4 * random.below((tensors_end - 48) // 4))
        for i in range(4):
            blob[at + i] = value >> 8 * i & 255


def main(tier, path, seed, rounds):
    kernels = __import__("coproc.nn.kernels_" + tier, None, None, ("kernels",))
    with open(path, "rb") as file:
        original = bytearray(file.read())
    size = len(original)
    if refused(original, kernels):
        raise AssertionError("the whole plan was refused")
    for length in range(0, size, 1 if size < 4000 else 37):
        if not refused(original[:length], kernels):
            raise AssertionError("a plan cut to %d bytes was loaded" % length)
    if not refused(original + b"\0\0\0\0", kernels):
        raise AssertionError("a plan with bytes behind it was loaded")
    flips = 0
    for at in range(size):
        for mask in (1, 0xFF):
            blob = original
            blob[at] ^= mask
            if not refused(blob, kernels):
                raise AssertionError("byte %d flipped by %d was loaded" % (at, mask))
            blob[at] ^= mask
            flips += 1
    # From here on the hash is right, so only the checks of every record stand between the plan and the memory.
    check.MACS_MAX = 30000
    check.ARENA_BYTES_MAX = 1 << 17
    plan.bytearray = guarded
    random = Random(int(seed))
    ports = word(original, 72) + plan.TENSOR_BYTES * (word(original, 76) + word(original, 80))
    ran = 0
    for _ in range(int(rounds)):
        blob = bytearray(original)
        mutate(blob, original, random, ports)
        try:
            model = plan.load(signed(blob), kernels)
        except check.PlanError:
            continue
        model.input[:] = bytes([random.below(256)]) * model.input_bytes
        model.invoke()
        model.output()
        model.reset()
        whole = Guard.whole
        if whole[:EDGE] != CANARY or whole[-EDGE:] != CANARY:
            raise AssertionError("wrote outside the arena")
        ran += 1
        gc.collect()
    print(size, flips, ran)


main(*sys.argv[1:])
