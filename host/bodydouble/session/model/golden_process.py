"""The child process of golden.py: `python -m bodydouble.session.model.golden_process RUNTIME FOLDER JOBS`.

It writes, per job's folder, `out.npz`, or `error` with a line of text.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class Micro:
    """tflite-micro's interpreter."""

    def __init__(self, data: bytes, watched: list[int]) -> None:
        runtime: Any = importlib.import_module("tflite_micro").runtime

        self._runtime = runtime
        self._data = data
        config = runtime.InterpreterConfig
        self._watching = bool(watched)
        self._mode = config.kPreserveAllTensors if watched else config.kAllocationRecording
        self.fresh()

    def fresh(self) -> None:
        # Its own reset() leaves out CALL_ONCE.
        size = max(len(self._data) * 10, 4 << 20)
        self.model = self._runtime.Interpreter.from_bytes(self._data, arena_size=size, intrepreter_config=self._mode)

    def feed(self, index: int, x: Any) -> None:
        detail = self.model.get_input_details(index)
        self.model.set_input(x.reshape(detail["shape"]).astype(detail["dtype"]), index)

    def invoke(self) -> None:
        self.model.invoke()

    def arena_bytes(self) -> int:
        """What its recording allocator says, on standard error only; 0 where every tensor was kept."""
        if self._watching:
            return 0
        with tempfile.TemporaryFile() as said:
            kept = os.dup(2)
            try:
                os.dup2(said.fileno(), 2)
                self.model.print_allocations()
            finally:
                os.dup2(kept, 2)
                os.close(kept)
            said.seek(0)
            found = re.search(rb"Arena allocation total (\d+) bytes", said.read())
        return int(found[1]) if found else 0

    def outputs(self) -> list[Any]:
        found: list[Any] = []
        while True:
            try:
                found.append(self.model.get_output(len(found)).copy())
            except Exception:  # noqa: BLE001 - its way to say that there are no more
                return found

    def tensor(self, index: int) -> Any:
        return self.model.GetTensor(index, 0)["tensor_data"].copy()


class Lite:
    """ai-edge-litert's or tflite-runtime's interpreter, with its reference kernels unless it is to be `fast`."""

    def __init__(self, data: bytes, watched: list[int], package: str, *, fast: bool) -> None:
        module: Any = importlib.import_module(f"{package}.interpreter")
        self._make: Callable[[], Any] = lambda: module.Interpreter(
            model_content=data,
            num_threads=1,
            experimental_op_resolver_type=getattr(module.OpResolverType, "AUTO" if fast else "BUILTIN_REF"),
            experimental_preserve_all_tensors=bool(watched),
        )
        self.fresh()

    def fresh(self) -> None:
        self.model: Any = self._make()
        self.model.allocate_tensors()

    def feed(self, index: int, x: Any) -> None:
        detail = self.model.get_input_details()[index]
        self.model.set_tensor(detail["index"], x.reshape(detail["shape"]).astype(detail["dtype"]))

    def invoke(self) -> None:
        self.model.invoke()

    def arena_bytes(self) -> int:
        """It has none."""
        return 0

    def outputs(self) -> list[Any]:
        return [self.model.get_tensor(detail["index"]).copy() for detail in self.model.get_output_details()]

    def tensor(self, index: int) -> Any:
        return self.model.get_tensor(index).copy()


def interpreter(runtime: str, data: bytes, watched: list[int], *, fast: bool) -> Micro | Lite:
    """The named runtime's."""
    if runtime == "tflite-micro":
        return Micro(data, watched)
    return Lite(data, watched, runtime.replace("-", "_"), fast=fast)


def work(runtime: str, folder: Path) -> None:
    """One job."""
    data = (folder / "model").read_bytes()
    with np.load(folder / "job.npz") as job:
        watched, resets = job["tensors"].tolist(), set(job["resets"].tolist())
        inputs = [job[name] for name in job.files if name.startswith("x")]
        fast = bool(job["fast"])
    model = interpreter(runtime, data, watched, fast=fast)
    outputs: list[list[Any]] = []
    seen: dict[int, list[Any]] = {index: [] for index in watched}
    best = float("inf")
    for number in range(len(inputs[0])):
        if number in resets:
            model.fresh()
        for index, rows in enumerate(inputs):
            model.feed(index, rows[number])
        start = time.perf_counter()
        model.invoke()
        best = min(best, time.perf_counter() - start)
        outputs.append(model.outputs())
        for index, values in seen.items():
            values.append(model.tensor(index))
    found = {f"y{i}": np.array([row[i] for row in outputs]) for i in range(len(outputs[0]))}
    found |= {f"t{index}": np.array(values) for index, values in seen.items()}
    np.savez(folder / "out.npz", count=len(outputs[0]), us_min=best * 1e6, arena_bytes=model.arena_bytes(), **found)  # type: ignore[arg-type]


def main(runtime: str, folder: str, jobs: str) -> None:
    """Every job; one that raises does not stop the others."""
    for number in range(int(jobs)):
        place = Path(folder, str(number))
        try:
            work(runtime, place)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text is the result
            (place / "error").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
