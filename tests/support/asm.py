"""The firmware's assembler tier under CPython: each assembler function runs on an emulated Cortex-M0+."""

from __future__ import annotations

import builtins
import importlib
import io
import sys
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from bodydouble.compiler import Plan
from support.micropython import FIRMWARE, ROOT, run_micropython
from support.thumb import Function, functions

SCRIPTS = ROOT / "tests" / "firmware"
M0 = 0  # in the place of a MicroPython's word size: the emulated Cortex-M0+

_machine_code = lru_cache(maxsize=None)(functions)


def asm_modules() -> list[Path]:
    """Every module of the firmware that holds assembler."""
    return [path for path in sorted(FIRMWARE.rglob("*_asm.py")) if "@micropython.asm_thumb" in path.read_text()]


@contextmanager
def micropython(firmware: Path = FIRMWARE) -> Iterator[dict[str, Function]]:
    """Lets CPython import the firmware's modules; the assembler functions that are met, by name."""
    met: dict[str, Function] = {}

    def asm_thumb(function: Callable[..., Any]) -> Function:
        # The Python function is never called: only its name counts. Viper runs as the Python that it also is.
        source = Path(function.__code__.co_filename)
        met[function.__name__] = Function(_machine_code(source)[function.__name__])
        return met[function.__name__]

    micropython, uctypes = ModuleType("micropython"), ModuleType("uctypes")
    vars(micropython).update(const=lambda value: value, asm_thumb=asm_thumb, viper=lambda function: function)
    vars(uctypes).update(addressof=lambda _: 0)
    with (
        patch.object(sys, "path", [str(firmware), str(SCRIPTS), *sys.path]),
        patch.multiple(
            builtins, create=True, const=lambda value: value, ptr8=bytearray, ptr16=bytearray, ptr32=bytearray
        ),
        patch.dict(sys.modules, {"micropython": micropython, "uctypes": uctypes}),
    ):
        yield met  # what was imported meanwhile is forgotten afterwards


def run_build(
    script: Path,
    tier: str,
    *args: str | Path,
    bits: int,
    stdin: bytes = b"",
    path: Path = FIRMWARE,
    timeout_s: float = 300,
) -> bytes:
    """Run a script with kernels of `tier` on a MicroPython of 64 or 32 bits, or its assembler emulated on CPython."""
    if bits == M0:
        return run_emulated(script, tier, *args, stdin=stdin, path=path)
    return run_micropython(script, tier, *args, bits=bits, stdin=stdin, path=path, timeout_s=timeout_s)


def run_emulated(script: Path, *args: str | Path, stdin: bytes = b"", path: Path = FIRMWARE) -> bytes:
    """Run a script of ours for MicroPython under CPython with the assembler emulated; returns its standard output."""
    sink = io.TextIOWrapper(io.BytesIO(), write_through=True)
    source = io.TextIOWrapper(io.BytesIO(stdin))
    with (
        micropython(path),
        patch.object(sys, "argv", [script.name, *map(str, args)]),
        patch.object(sys, "stdin", source),
        patch.object(sys, "stdout", sink),
    ):
        exec(compile(script.read_text(), str(script), "exec"), {"__name__": "__main__"})  # noqa: S102  ours
    return sink.buffer.getvalue()  # type: ignore[attr-defined,no-any-return]


def cycles_of_a_hop(samples: bytes) -> dict[str, float]:
    """Cycles per hop of each assembler function of the front end, over whole hops of int16 samples."""
    with micropython() as met:
        kernels = importlib.import_module("coproc.audio.frontend_asm")
        front_end = importlib.import_module("coproc.audio.frontend").FrontEnd(kernels)
        block, row = array("h", samples), bytearray(40)
        hops = len(block) // 160
        for hop in range(hops):
            if front_end.hop(block, hop * 160):
                kernels.quantize(front_end.features, row, 0, 0)
    return {name: function.cycles / function.calls for name, function in met.items()}


def cycles_of_an_inference(plan: Plan, rows: bytes) -> list[int]:
    """Cycles of each of a model's records in assembler (0: none are), in the last of the inferences on `rows`."""
    with micropython() as met:
        kernels = importlib.import_module("coproc.nn.kernels_asm")
        model = importlib.import_module("coproc.nn.plan").load(bytearray(plan.blob), kernels)
        found = [0] * model.op_count
        for start in range(0, len(rows), model.input_bytes):
            model.input[:] = rows[start : start + model.input_bytes]
            for op in range(model.op_count):
                before = sum(function.cycles for function in met.values())
                model.run_op(op)
                found[op] = sum(function.cycles for function in met.values()) - before
    return found
