# Streams inferences through a plan: mp_nn.py TIER PLAN INPUTS OUTPUTS [trace] [reset=N ...]
#
# INPUTS holds whole inputs one after the other; OUTPUTS gets the output's bytes of each inference and, when tracing, the
# whole arena after 0, 1, 2, ... operations. reset=N resets the model before inference N.
import gc
import sys

from coproc.nn import plan


def kernels(tier):
    return __import__("coproc.nn.kernels_" + tier, None, None, ("kernels",))


def read(path):
    with open(path, "rb") as file:
        return bytearray(file.read())


def main(tier, plan_path, inputs_path, outputs_path, *options):
    model = plan.load(read(plan_path), kernels(tier))
    trace = "trace" in options
    resets = [int(o[6:]) for o in options if o.startswith("reset=")]
    count = 0
    with open(inputs_path, "rb") as source, open(outputs_path, "wb") as out:
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
    gc.collect()
    print(count, model.name, model.arena_bytes, model.stride, model.input_bytes, model.output())


main(*sys.argv[1:])
