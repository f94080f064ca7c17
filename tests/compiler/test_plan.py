"""What the compiler makes of the wake models: steps, arena, sizes, the cache."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pymicro_wakeword
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.compiler import ModelFileError, compile_model, load_plan
from bodydouble.compiler.fold import fold
from bodydouble.compiler.lower import Lowering
from bodydouble.compiler.memory import plan_arena
from bodydouble.compiler.plan import RULES
from bodydouble.compiler.reader import read_model
from bodydouble.errors import ExitCode
from support import tflm
from support.graphs import RandomGraph
from support.tflite_build import GraphBuilder

SOURCES = Path(pymicro_wakeword.__file__).parent / "models"
MODELS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")


def _data(name: str) -> bytes:
    return (SOURCES / f"{name}.tflite").read_bytes()


@pytest.mark.parametrize(
    ("name", "macs", "state"), [("alexa", 23968, 3024), ("hey_jarvis", 21630, 2840), ("okay_nabu", 36480, 3408)]
)
def test_wake_models(name: str, macs: int, state: int) -> None:
    """The published figures of the models, and an arena far below what their manifests ask for."""
    plan = compile_model(_data(name), name)
    manifest = json.loads((SOURCES / f"{name}.json").read_text())["micro"]
    print(f"\n{name}: {len(plan.blob)} B of plan, arena {plan.arena_bytes} B, not {manifest['tensor_arena_size']}")
    assert plan.macs == macs
    assert state <= plan.state_bytes < plan.arena_bytes < manifest["tensor_arena_size"] / 4
    assert plan.weight_bytes < macs * 1.05
    assert len(plan.blob) < plan.weight_bytes * 1.4
    assert (plan.input.shape, plan.input.type, plan.input.zero_point, plan.stride) == ((1, 3, 40), "INT8", -128, 3)
    assert (plan.output.shape, plan.output.type, plan.output.scale) == ((1, 1), "UINT8", 1 / 256)
    assert hashlib.sha256(plan.blob).hexdigest() == plan.sha256
    assert plan.blob == compile_model(_data(name), name).blob


def test_streaming_costs_one_move() -> None:
    """State is shifted in place, and every new row is written where it is read: no copy but the input's."""
    ops = compile_model(_data("alexa"), "alexa").ops
    assert [op.label for op in ops[:2]] == ["stream", "input"]
    assert {op.label for op in ops[2:]} == {"conv_2d", "depthwise_conv_2d", "fully_connected", "logistic"}
    # okay_nabu splits channels and joins them again: still no copy.
    assert [op.kind for op in compile_model(_data("okay_nabu"), "okay_nabu").ops].count("copy") == 1


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_storages_alive_at_once_share_no_byte(seed: int) -> None:
    program = Lowering(fold(read_model(RandomGraph(seed, ("shape",)).build(), "m"), RULES), RULES).run()
    total = plan_arena(program.setup, program.steps, program.inputs, program.outputs)
    touched: dict[object, list[int]] = {}
    for index, step in enumerate(program.steps):
        for storage in step.storages():
            touched.setdefault(storage, []).append(index)
    for port in program.inputs:
        touched.setdefault(port.view.storage, []).append(-1)
    for port in program.outputs:
        touched.setdefault(port.view.storage, []).append(len(program.steps))
    spans = []
    for storage, at in touched.items():
        first, last = (-1, len(program.steps)) if storage.persistent else (min(at), max(at))
        assert storage.offset >= 0
        assert storage.offset + storage.size <= total
        spans.append((first, last, storage))
    for i, (first, last, storage) in enumerate(spans):
        for other_first, other_last, other in spans[i + 1 :]:
            apart = storage.offset + storage.size <= other.offset or other.offset + other.size <= storage.offset
            if first <= other_last and other_first <= last and not apart:
                # Only where one step ends the one and begins the other, and writes exactly where it reads.
                meeting = max(first, other_first)
                assert meeting == min(last, other_last)
                pair = program.steps[meeting].in_place()
                assert pair is not None
                assert {view.storage for view in pair} == {storage, other}
                assert pair[0].address == pair[1].address


def test_what_nothing_else_needs_is_flipped_in_place() -> None:
    """One buffer does for input, output and what lies between, where each step reads just what it writes."""
    b = GraphBuilder()
    x, y, z = (b.tensor((1, 40), scale, 3) for scale in (0.1, 0.2, 0.3))
    b.op("QUANTIZE", [x], [y])
    b.op("QUANTIZE", [y], [z])
    assert compile_model(b.build([x], [z]), "m").arena_bytes == 40
    assert compile_model(b.build([x], [z, y]), "m").arena_bytes == 80
    b = GraphBuilder()
    x, y = b.tensor((1, 40), 0.1, 3), b.tensor((40,), 0.1, 3)
    b.op("RESHAPE", [x, b.constant([40])], [y])
    assert compile_model(b.build([x], [y]), "m").arena_bytes == 40


def test_arenas_are_smaller_than_tflite_micros() -> None:
    """Of the wake models, and of others where the data is at hand."""
    paths = sorted(SOURCES.glob("*.tflite"))
    data = os.environ.get("BODYDOUBLE_DATA")
    if data:
        paths += sorted(Path(data, "models").glob("*.tflite")) + sorted(Path(data, "mlperf_tiny").glob("*.tflite"))
    for path, theirs in zip(paths, tflm.arena_bytes(paths), strict=True):
        ours = compile_model(path.read_bytes(), path.stem).arena_bytes
        print(f"\n{path.stem}: {ours} B, tflite-micro {theirs} B", end="")
        assert ours < theirs, path


def _branches(kind: str) -> bytes:
    """Two convolutions, their channels joined, with a border around that."""
    b = GraphBuilder()
    x = b.tensor((1, 4, 5, 2), 0.1, 0, kind)
    parts = []
    for channels in (3, 2):
        w = b.tensor((channels, 1, 1, 2), 0.1, 0, data=np.ones((channels, 1, 1, 2), np.int8))
        parts.append(b.tensor((1, 4, 5, channels), 0.1, 0, kind))
        b.op("CONV_2D", [x, w], [parts[-1]], padding=1, strideH=1, strideW=1)
    joined, y = b.tensor((1, 4, 5, 5), 0.1, 0, kind), b.tensor((1, 6, 7, 5), 0.1, 0, kind)
    b.op("CONCATENATION", parts, [joined], axis=3)
    b.op("PAD", [joined, b.constant([[0, 0], [1, 1], [1, 1], [0, 0]])], [y])
    return b.build([x], [y])


@pytest.mark.parametrize("kind", ["INT8", "INT16"])
def test_parts_are_written_where_they_end_up(kind: str) -> None:
    labels = [op.label for op in compile_model(_branches(kind), "m").ops]
    assert [label for label in labels if label not in ("input", "output")] == ["pad", "conv_2d", "conv_2d"]


def test_compiling_is_quick() -> None:
    compile_model(_data("alexa"), "alexa")
    best = min(_timed(lambda: compile_model(_data("okay_nabu"), "okay_nabu")) for _ in range(3))
    print(f"\nokay_nabu compiled in {best * 1000:.0f} ms")
    assert best < 0.3


def _timed(call: object) -> float:
    start = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - start


def test_a_cached_plan_needs_no_heavy_import(tmp_path: Path) -> None:
    path = SOURCES / "alexa.tflite"
    load_plan(path, tmp_path)
    script = (
        "import sys\nfrom pathlib import Path\nfrom bodydouble.compiler import load_plan\n"
        f"plan = load_plan({str(path)!r}, Path({str(tmp_path)!r}))\n"
        "print(plan.sha256, *sorted({'numpy', 'tflite'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert out == [load_plan(path, tmp_path).sha256]


def test_cache(tmp_path: Path) -> None:
    """The same plan comes back, everything about it included; a damaged entry is made again; other names differ."""
    path, folder = SOURCES / "hey_mycroft.tflite", tmp_path / "cache"
    fresh = load_plan(path, folder)
    assert fresh == compile_model(path.read_bytes(), "hey_mycroft")
    (entry,) = folder.iterdir()
    assert load_plan(path, folder) == fresh
    whole = entry.read_bytes()
    for damaged in (b"", whole[:-1], b"x" + whole[1:], whole[:500] + b"\0" + whole[501:], whole[:70]):
        entry.write_bytes(damaged)
        assert load_plan(path, folder) == fresh
        assert entry.read_bytes() == whole
    renamed = load_plan(path, folder, name="mycroft")
    assert renamed.name == "mycroft"
    assert len(list(folder.iterdir())) == 2


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """It is done without."""
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert load_plan(SOURCES / "alexa.tflite", tmp_path / "cache") == compile_model(_data("alexa"), "alexa")


def test_cache_without_a_model(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.tflite", "no such model file"), (tmp_path, "cannot be read")):
        with pytest.raises(ModelFileError, match=words) as caught:
            load_plan(path, tmp_path / "cache")
        assert caught.value.exit_code == ExitCode.USAGE
        assert str(path) in str(caught.value)
    large = tmp_path / "large.tflite"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelFileError, match="larger than"):
        load_plan(large, tmp_path / "cache")
