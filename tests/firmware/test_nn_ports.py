"""Inputs and outputs that show the same bytes: one twice, parts of one another, constants, what nobody reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bodydouble.compiler import compile_model
from support.micropython import run_micropython
from support.nn import DTYPES
from support.tflite_build import GraphBuilder

Array = NDArray[np.generic]
Ports = tuple[list[int], list[int]]
INFERENCES = 3
CONSTANT = np.arange(8).reshape(2, 4)

_RUN = """
import sys
from coproc.nn import kernels_viper, plan
for folder in sys.argv[1:]:
    with open(folder + "/plan", "rb") as file:
        model = plan.load(bytearray(file.read()), kernels_viper)
    arena = memoryview(model.arena)
    with open(folder + "/inputs", "rb") as source, open(folder + "/outputs", "wb") as out:
        while all([source.readinto(view) for view in model.input_views]):
            model.invoke()
            for port in model.outputs:
                out.write(arena[port.offset : port.offset + port.bytes])
"""


class _Graph:
    """A graph of one type, whose tensors all have the same scale."""

    def __init__(self, kind: str) -> None:
        self.b = GraphBuilder()
        self.kind = kind

    def tensor(self, *shape: int, data: Array | None = None) -> int:
        scale = None if self.kind in ("INT32", "FLOAT32") else 0.1
        return self.b.tensor(shape, scale, 0, self.kind, data)

    def reshape(self, x: int, *shape: int) -> int:
        y = self.tensor(*shape)
        self.b.op("RESHAPE", [x, self.b.constant(list(shape))], [y])
        return y

    def join(self, parts: list[int], axis: int, *shape: int) -> int:
        y = self.tensor(*shape)
        self.b.op("CONCATENATION", parts, [y], axis=axis)
        return y

    def halves(self, x: int) -> tuple[int, int]:
        first, second = self.tensor(2, 2), self.tensor(2, 2)
        self.b.op("SPLIT", [self.b.constant(1), x], [first, second], numSplits=2)
        return first, second


def _shown(g: _Graph, x: int, _unread: int) -> list[int]:
    y = g.reshape(x, 4, 2)
    return [y, x, g.reshape(y, 8), y]


def _unread(g: _Graph, _x: int, unread: int) -> list[int]:
    return [unread, unread]


def _with_itself(g: _Graph, x: int, _unread: int) -> list[int]:
    y = g.join([x, x], 0, 4, 4)
    return [g.reshape(y, 16), x, y]


def _constants(g: _Graph, x: int, _unread: int) -> list[int]:
    constant = g.tensor(2, 4, data=CONSTANT.astype(DTYPES[g.kind]))
    return [constant, g.join([x, constant], 1, 2, 8), constant]


def _swapped(g: _Graph, x: int, _unread: int) -> list[int]:
    first, second = g.halves(x)
    return [first, g.join([second, first], 1, 2, 4), x, second]


Numbers = Callable[[Array, Array], list[Array]]
CASES: dict[str, tuple[Callable[[_Graph, int, int], list[int]], Numbers]] = {
    "shown": (_shown, lambda x, _: [x, x, x, x]),
    "unread": (_unread, lambda _, unread: [unread, unread]),
    "with itself": (_with_itself, lambda x, _: [np.concatenate([x, x]), x, np.concatenate([x, x])]),
    "constants": (_constants, lambda x, _: [CONSTANT, np.concatenate([x, CONSTANT], 1), CONSTANT]),
    "swapped": (_swapped, lambda x, _: [x[:, :2], np.roll(x, 2, 1), x, x[:, 2:]]),
}


@pytest.mark.parametrize("kind", ["INT8", "INT16", "INT32", "FLOAT32"])
def test_every_output_has_its_value(kind: str, tmp_path: Path) -> None:
    dtype = DTYPES[kind]
    rng = np.random.default_rng(1)
    expected = []
    for name, (build, numbers) in CASES.items():
        g = _Graph(kind)
        x, unread = g.tensor(2, 4), g.tensor(3)
        outputs = build(g, x, unread)
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        (folder / "plan").write_bytes(compile_model(g.b.build([x, unread], outputs), name).blob)
        given, wanted = b"", b""
        for _ in range(INFERENCES):
            values, others = (rng.integers(-100, 100, shape).astype(dtype) for shape in ((2, 4), (3,)))
            given += values.tobytes() + others.tobytes()
            wanted += b"".join(value.astype(dtype).tobytes() for value in numbers(values, others))
        (folder / "inputs").write_bytes(given)
        expected.append((name, folder, wanted))
    run_micropython(_RUN, *(folder for _, folder, _ in expected))
    for name, folder, wanted in expected:
        assert (folder / "outputs").read_bytes() == wanted, name
