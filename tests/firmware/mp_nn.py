# ruff: noqa: PTH123  -- MicroPython has no pathlib, and % allocates least
# Streams inferences through plans: mp_nn.py TIER JOBS, each line of JOBS being FOLDER [trace] [reset=N ...]
#
# FOLDER holds `plan` and `inputs` (whole inputs one after the other); `outputs` gets each inference's output bytes
# and, when tracing, the whole arena after 0, 1, 2, ... operations. reset=N resets the model before inference N.
import gc
import sys

from coproc.nn import plan


def kernels(tier):
    return __import__("coproc.nn.kernels_" + tier, None, None, ("kernels",))


def read(path):
    with open(path, "rb") as file:
        return bytearray(file.read())


def run(tier, folder, *options):
    model = plan.load(read(folder + "/plan"), kernels(tier))
    trace = "trace" in options
    resets = [int(o[6:]) for o in options if o.startswith("reset=")]
    count = 0
    with open(folder + "/inputs", "rb") as source, open(folder + "/outputs", "wb") as out:
        while source.readinto(model.input):
            if count in resets:
                data = bytes(model.input)
                model.reset()
                model.input[:] = data
            if trace:
                out.write(model.arena)
                for i in range(model.op_count):
                    model.run_op(i)
                    out.write(model.arena)
            else:
                model.invoke()
            out.write(model.output_view)
            count += 1


def main(tier, jobs):
    with open(jobs) as file:
        for line in file:
            run(tier, *line.split())
            gc.collect()


main(*sys.argv[1:])
