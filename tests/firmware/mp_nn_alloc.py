# ruff: noqa: PTH123  -- MicroPython has no pathlib, and % allocates least
# Loads plans and counts bytes: mp_nn_alloc.py TIER INVOKES PLAN ...
# Prints per plan: its bytes, the heap that loading it took, and the heap that INVOKES inferences and a reset took.
import gc
import sys

from coproc.nn import plan


def kernels(tier):
    return __import__("coproc.nn.kernels_" + tier, None, None, ("kernels",))


def read(path):
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        blob = bytearray(size)
        file.readinto(blob)
    return blob


def spend(model, invokes):
    for i in range(invokes):
        model.input[i % model.input_bytes] = i & 255
        model.invoke()
        model.output()
    model.reset()


def main(tier, invokes, *paths):
    tier = kernels(tier)
    invokes = int(invokes)
    kept = []
    plan.load(read(paths[0]), tier)  # imports the families that are needed
    for path in paths:
        gc.collect()
        before = gc.mem_alloc()
        model = plan.load(read(path), tier)
        gc.collect()
        loaded = gc.mem_alloc() - before
        kept.append(model)
        spend(model, 2)
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        spend(model, invokes)
        spent = gc.mem_alloc() - before
        gc.enable()
        print(len(model._blob), loaded, spent)


main(*sys.argv[1:])
