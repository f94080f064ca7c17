"""Golden runs: tflite-micro in a process of its own, since a model may crash it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_RUNNER = """
import sys
import numpy as np
from tflite_micro import runtime

folder = sys.argv[1]
data = open(folder + "/model", "rb").read()
job = np.load(folder + "/job.npz")
config = runtime.InterpreterConfig
watched = job["tensors"].tolist()
mode = config.kPreserveAllTensors if watched else config.kAllocationRecording
arena = max(len(data) * 10, 1 << 20)
model = runtime.Interpreter.from_bytes(data, arena_size=arena, intrepreter_config=mode)
kind = model.get_input_details(0)
outputs, seen = [], {i: [] for i in watched}
resets = set(job["resets"].tolist())
for i, x in enumerate(job["inputs"]):
    if i in resets:
        model.reset()
    model.set_input(x.reshape(kind["shape"]).astype(kind["dtype"]), 0)
    model.invoke()
    outputs.append(model.get_output(0).copy())
    for index in watched:
        seen[index].append(model.GetTensor(index, 0).copy())
np.savez(folder + "/out.npz", outputs=np.array(outputs), **{f"t{i}": np.array(v) for i, v in seen.items()})
"""


@dataclass(frozen=True)
class Golden:
    """Outputs [inferences, ...], and the watched tensors by index, likewise."""

    outputs: NDArray[np.generic]
    tensors: dict[int, NDArray[np.generic]]


def run(
    model: bytes,
    inputs: NDArray[np.generic],
    tensors: Sequence[int] = (),
    resets: Sequence[int] = (),
    timeout_s: float = 300,
) -> Golden:
    """Stream `inputs` [inferences, ...] through `model`; `resets` are the inferences before which it is reset."""
    with tempfile.TemporaryDirectory(prefix="bodydouble-tflm-") as folder:
        Path(folder, "model").write_bytes(model)
        np.savez(
            Path(folder, "job.npz"), inputs=inputs, tensors=np.array(tensors, int), resets=np.array(resets, int)
        )
        done = subprocess.run(
            [sys.executable, "-c", _RUNNER, folder], capture_output=True, timeout=timeout_s, check=False
        )
        if done.returncode:
            raise RuntimeError(f"tflite-micro ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        with np.load(Path(folder, "out.npz")) as out:
            return Golden(out["outputs"], {int(k[1:]): out[k] for k in out.files if k != "outputs"})
