# ruff: noqa: PTH123  -- MicroPython has no pathlib, and % allocates least
# Times a plan: mp_nn_bench.py TIER PLAN ROUNDS PER_ROUND; prints the best round's nanoseconds per inference, then per
# operation. Inputs are pseudo-random and change, since what a ReLU cuts off costs less.
import sys
import time

from coproc.nn import plan


def kernels(tier):
    return __import__("coproc.nn.kernels_" + tier, None, None, ("kernels",))


def main(tier, path, rounds, per_round):
    with open(path, "rb") as file:
        model = plan.load(bytearray(file.read()), kernels(tier))
    seed = 12345
    for _ in range(64):  # fill the state
        for i in range(model.input_bytes):
            seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
            model.input[i] = 128 + (seed >> 16) % 200 & 255
        model.invoke()
    best = 0
    for _ in range(int(rounds)):
        start = time.ticks_us()
        for _ in range(int(per_round)):
            model.invoke()
        spent = time.ticks_diff(time.ticks_us(), start)
        best = min(best or spent, spent)
    print(best * 1000 // int(per_round))
    for op in range(model.op_count):
        best = 0
        for _ in range(int(rounds)):
            start = time.ticks_us()
            for _ in range(int(per_round)):
                model.run_op(op)
            spent = time.ticks_diff(time.ticks_us(), start)
            best = min(best or spent, spent)
        print(best * 1000 // int(per_round))


main(*sys.argv[1:])
