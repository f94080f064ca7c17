"""Golden runs: tflite-micro in a process of its own, since a model may crash it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_RUNNER = """
import sys
import numpy as np
from tflite_micro import runtime

def work(folder):
    data = open(folder + "/model", "rb").read()
    job = np.load(folder + "/job.npz")
    config = runtime.InterpreterConfig
    watched = job["tensors"].tolist()
    mode = config.kPreserveAllTensors if watched else config.kAllocationRecording
    arena = max(len(data) * 10, 1 << 20)

    def fresh():
        return runtime.Interpreter.from_bytes(data, arena_size=arena, intrepreter_config=mode)

    model = fresh()
    kind = model.get_input_details(0)
    outputs, seen = [], {i: [] for i in watched}
    resets = set(job["resets"].tolist())
    for i, x in enumerate(job["inputs"]):
        if i in resets:
            model = fresh()  # its own reset() leaves out CALL_ONCE
        model.set_input(x.reshape(kind["shape"]).astype(kind["dtype"]), 0)
        model.invoke()
        outputs.append(model.get_output(0).copy())
        for index in watched:
            seen[index].append(model.GetTensor(index, 0)["tensor_data"].copy())
    np.savez(folder + "/out.npz", outputs=np.array(outputs), **{f"t{i}": np.array(v) for i, v in seen.items()})

for number in range(int(sys.argv[2])):
    try:
        work(f"{sys.argv[1]}/{number}")
    except Exception as error:
        print(f"{number}: {error}", file=sys.stderr)
"""


@dataclass(frozen=True)
class Job:
    """Inputs [inferences, ...] for a model; tensors to watch; the inferences before which it starts afresh."""

    model: bytes
    inputs: NDArray[np.generic]
    tensors: Sequence[int] = ()
    resets: Sequence[int] = ()


@dataclass(frozen=True)
class Golden:
    """Outputs [inferences, ...], and the watched tensors by index, likewise."""

    outputs: NDArray[np.generic]
    tensors: dict[int, NDArray[np.generic]] = field(default_factory=dict)


def run_many(jobs: Sequence[Job], timeout_s: float = 300) -> list[Golden]:
    """Run every job in one process; raises RuntimeError where tflite-micro refuses or crashes."""
    with tempfile.TemporaryDirectory(prefix="bodydouble-tflm-") as name:
        for number, job in enumerate(jobs):
            folder = Path(name, str(number))
            folder.mkdir()
            (folder / "model").write_bytes(job.model)
            np.savez(
                folder / "job.npz",
                inputs=job.inputs,
                tensors=np.array(job.tensors, int),
                resets=np.array(job.resets, int),
            )
        done = subprocess.run(
            [sys.executable, "-c", _RUNNER, name, str(len(jobs))], capture_output=True, timeout=timeout_s, check=False
        )
        found = []
        for number in range(len(jobs)):
            path = Path(name, str(number), "out.npz")
            if not path.exists():
                tail = done.stderr.decode(errors="replace")[-2000:]
                raise RuntimeError(f"tflite-micro did not run model {number} (exit {done.returncode}): {tail}")
            with np.load(path) as out:
                found.append(Golden(out["outputs"], {int(k[1:]): out[k] for k in out.files if k != "outputs"}))
        return found


def run(model: bytes, inputs: NDArray[np.generic], tensors: Sequence[int] = (), resets: Sequence[int] = ()) -> Golden:
    """Stream `inputs` through one model."""
    return run_many([Job(model, inputs, tensors, resets)])[0]


_ARENAS = """
import sys
import numpy as np
from tflite_micro import runtime

for path in sys.argv[1:]:
    model = runtime.Interpreter.from_file(path, arena_size=1 << 22)
    kind = model.get_input_details(0)
    model.set_input(np.zeros(kind["shape"], kind["dtype"]), 0)
    model.invoke()
    model.print_allocations()
"""


def arena_bytes(paths: Sequence[Path]) -> list[int]:
    """What tflite-micro's own arena takes for each model, its interpreter's data included."""
    done = subprocess.run(
        [sys.executable, "-c", _ARENAS, *map(str, paths)], capture_output=True, text=True, timeout=60, check=True
    )
    found = [int(size) for size in re.findall(r"Arena allocation total (\d+) bytes", done.stderr)]
    if len(found) != len(paths):
        raise RuntimeError(f"tflite-micro told {len(found)} sizes of {len(paths)}: {done.stderr[-500:]}")
    return found
