"""The loader as the only guard: damaged plans, hostile plans, heap, and the time that a load may take."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pymicro_wakeword
import pytest

from bodydouble.compiler import compile_model
from bodydouble.compiler.packing import COLUMNS, PAIRS, ROWS
from support.graphs import RandomGraph
from support.micropython import ROOT, run_micropython
from support.tflite_build import GraphBuilder

FIRMWARE_TESTS = ROOT / "tests" / "firmware"
SOURCES = Path(pymicro_wakeword.__file__).parent / "models"


def _plan(folder: Path, name: str, packing: int = ROWS) -> Path:
    data = (SOURCES / f"{name}.tflite").read_bytes()
    path = folder / f"{name}.plan"
    path.write_bytes(compile_model(data, name, packing=packing).blob)
    return path


@pytest.mark.parametrize(
    ("tier", "bits", "packing"),
    [
        ("bytecode", 64, ROWS),
        ("viper", 64, ROWS),
        pytest.param("asm", 32, COLUMNS, marks=pytest.mark.micropython32),
        pytest.param("asm", 32, PAIRS, marks=pytest.mark.micropython32),
    ],
)
def test_damaged_and_hostile_plans(tier: str, bits: int, packing: int, tmp_path: Path, soak: bool) -> None:
    """Every truncation and flipped byte is refused; with the hash made right, nothing leaves the arena."""
    flips = ran = 0
    # Between them: every kind of record, and a convolution that gathers. An emulated processor takes its time.
    for seed in (2, 15, 30, 88) if bits == 64 else (2,):
        plan = compile_model(RandomGraph(seed).build(), f"graph {seed}", packing=packing)
        assert plan.macs < 20_000
        path = tmp_path / "plan"
        path.write_bytes(plan.blob)
        rounds = 20_000 if soak else 600 if bits == 64 else 200
        script = FIRMWARE_TESTS / "mp_nn_hostile.py"
        out = run_micropython(script, tier, path, seed, rounds, bits=bits, timeout_s=3000)
        _, flipped, survived = map(int, out.split())
        flips, ran = flips + flipped, ran + survived
    print(f"\n{tier}: {flips} flipped bytes refused, {ran} plans with a right hash ran inside their arena")
    assert flips > (10_000 if bits == 64 else 1000)
    assert ran > 20


_REFUSED = """
from coproc.nn import check, kernels_asm, plan
for name in ("padded", "odd"):
    with open({folder!r} + "/" + name, "rb") as file:
        blob = bytearray(file.read())
    try:
        plan.load(blob, kernels_asm)
        raise SystemExit("loaded " + name)
    except check.PlanError as error:
        assert "points outside the plan" in str(error), error
"""


def test_packed_weights_lie_inside_the_plan(tmp_path: Path) -> None:
    """Blocks of 4 channels are read whole, and by words: what is missing behind 5 channels is outside."""
    b = GraphBuilder()
    x = b.tensor((1, 8), 1.0, 0)
    w = b.tensor((5, 8), 1.0, 0, data=np.ones((5, 8), np.int8))
    y = b.tensor((1, 5), 8.0, 0)
    b.op("FULLY_CONNECTED", [x, w], [y])
    blob = compile_model(b.build([x], [y]), "m", packing=COLUMNS).blob
    (at,) = (at for at in range(96, len(blob), 4) if struct.unpack_from("<I", blob, at)[0] == 22 << 16 | 0x10)
    for name, weights in (("padded", len(blob) - 7 * 8), ("odd", len(blob) - 8 * 8 - 2)):
        moved = bytearray(blob)
        struct.pack_into("<I", moved, at + 68, weights)
        moved[16:48] = hashlib.sha256(moved[48:]).digest()
        (tmp_path / name).write_bytes(moved)
    run_micropython(_REFUSED.format(folder=str(tmp_path)))


_SHIFTS = """
from coproc.nn.check import Checker, PlanError
from coproc.nn.check_move import CHECKS
for entries, words in ((0, 2), (1, 5), (2, 8), (2, 5), (1 << 31, 2)):
    record = (words << 16 | 2, entries) + (0, 4, 4) * ((words - 2) // 3)
    try:
        CHECKS[2][1](Checker(b"", 8, 1), record, 0)
        assert words == 2 + 3 * entries and entries, (entries, words)
    except PlanError:
        assert words != 2 + 3 * entries or not entries, (entries, words)
"""


def test_a_shift_of_nothing_is_refused() -> None:
    """Its kernels move first and count then."""
    run_micropython(_SHIFTS)


def _allocations(tier: str, folder: Path, bits: int, invokes: int, packing: int = ROWS) -> None:
    plans = [_plan(folder, name, packing) for name in ("alexa", "okay_nabu")]
    out = run_micropython(FIRMWARE_TESTS / "mp_nn_alloc.py", tier, invokes, *plans, heap="288k", bits=bits)
    for name, line in zip(plans, out.decode().splitlines(), strict=True):
        size, loaded, spent = map(int, line.split())
        print(f"\n{tier} {bits}-bit {name.stem}: plan {size} B, heap {loaded} B, {invokes} inferences {spent} B")
        assert spent == 0
        assert loaded < size * 1.25


def test_nothing_is_allocated(tmp_path: Path) -> None:
    _allocations("viper", tmp_path, 64, 200)


def test_nothing_is_allocated_on_the_bytecode_tier(tmp_path: Path) -> None:
    _allocations("bytecode", tmp_path, 64, 200)


@pytest.mark.micropython32
def test_nothing_is_allocated_on_32_bits(tmp_path: Path) -> None:
    _allocations("viper", tmp_path, 32, 200)


@pytest.mark.micropython32
@pytest.mark.parametrize("packing", [COLUMNS, PAIRS])
def test_nothing_is_allocated_in_assembler(packing: int, tmp_path: Path) -> None:
    _allocations("asm", tmp_path, 32, 200, packing)


_USE = """
from coproc.nn import check, plan, kernels_viper
with open({path!r}, "rb") as file:
    blob = bytearray(file.read())
model = plan.load(blob, kernels_viper)
first = []
for i in range(40):
    model.input[:] = bytes([i * 5 % 256]) * model.input_bytes
    model.invoke()
    first.append((model.output(), bytes(model.output_view)))
model.reset()
other = plan.load(bytearray(blob), kernels_viper)
assert bytes(model.arena) != bytes(other.arena)  # what is no state need not be cleared
for i in range(40):
    for one in (model, other):
        one.input[:] = bytes([i * 5 % 256]) * one.input_bytes
        one.invoke()
        assert (one.output(), bytes(one.output_view)) == first[i]
print(model.name, model.stride, model.input_bytes, model.arena_bytes, model.macs, model.inputs[0].shape,
      model.inputs[0].zero_point, round(model.inputs[0].scale, 6), model.outputs[0].type)
for bad, why in (
    (b"", "does not start"), (b"BDPL" + bytes(200), "version 0"), (bytes(blob[:-4]), "bytes of"),
    (bytes(blob[:60]) + b"x" + bytes(blob[61:]), "sha256"),
):
    try:
        plan.load(bytearray(bad), kernels_viper)
        raise SystemExit("loaded " + why)
    except check.PlanError as error:
        assert why in str(error), (why, str(error))
class Other:
    TABLES = {{9: (kernels_viper.MODULES,)}}
try:
    plan.load(blob, Other)
except check.PlanError as error:
    assert "packed for other kernels" in str(error)
"""


def test_a_model_in_use(tmp_path: Path) -> None:
    """Names, shapes and descriptors; reset equals a fresh load; the loader's words for what is wrong."""
    out = run_micropython(_USE.format(path=str(_plan(tmp_path, "alexa")))).decode().split()
    assert out[:3] == ["alexa", "3", "120"]
    assert out[4:] == ["23968", "(1,", "3,", "40)", "-128", "0.101961", "1"]


_FROM_FLASH = """
import gc
import uctypes
from coproc.nn import plan, kernels_viper
with open({path!r}, "rb") as file:
    data = file.read()
kept = bytearray(data)
plan.load(kept, kernels_viper)
first = None
# As a board's flash shows it: bytes that nobody may write, at an address.
for blob in (kept, data, memoryview(data), uctypes.bytearray_at(uctypes.addressof(data), len(data))):
    gc.collect()
    before = gc.mem_alloc()
    model = plan.load(blob, kernels_viper)
    gc.collect()
    taken = gc.mem_alloc() - before
    assert taken < model.arena_bytes + 6000, taken
    found = []
    for i in range(20):
        model.input[:] = bytes([i * 11 % 256]) * model.input_bytes
        model.invoke()
        found.append(bytes(model.output_view))
    first = first or found
    assert found == first
assert data == kept
"""


def test_a_plan_may_stay_in_flash(tmp_path: Path) -> None:
    """Weights are read where they lie: loading takes the arena and a little, never a copy of the plan."""
    run_micropython(_FROM_FLASH.format(path=str(_plan(tmp_path, "alexa"))))
