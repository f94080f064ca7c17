"""The loader as the only guard: damaged plans, hostile plans, heap, and the time that a load may take."""

from __future__ import annotations

from pathlib import Path

import pymicro_wakeword
import pytest

from bodydouble.compiler import compile_model
from support.graphs import RandomGraph
from support.micropython import ROOT, run_micropython

FIRMWARE_TESTS = ROOT / "tests" / "firmware"
SOURCES = Path(pymicro_wakeword.__file__).parent / "models"


def _plan(folder: Path, name: str) -> Path:
    data = (SOURCES / f"{name}.tflite").read_bytes()
    path = folder / f"{name}.plan"
    path.write_bytes(compile_model(data, name).blob)
    return path


@pytest.mark.parametrize("tier", ["bytecode", "viper"])
def test_damaged_and_hostile_plans(tier: str, tmp_path: Path, soak: bool) -> None:
    """Every truncation and flipped byte is refused; with the hash made right, nothing leaves the arena."""
    flips = ran = 0
    for seed in (2, 15, 30, 88):  # between them: every kind of record, and a convolution that gathers
        plan = compile_model(RandomGraph(seed).build(), f"graph {seed}")
        assert plan.macs < 20_000
        path = tmp_path / "plan"
        path.write_bytes(plan.blob)
        rounds = 20_000 if soak else 600
        out = run_micropython(FIRMWARE_TESTS / "mp_nn_hostile.py", tier, path, seed, rounds, timeout_s=3000)
        _, flipped, survived = map(int, out.split())
        flips, ran = flips + flipped, ran + survived
    print(f"\n{tier}: {flips} flipped bytes refused, {ran} plans with a right hash ran inside their arena")
    assert flips > 10_000
    assert ran > 100


def _allocations(tier: str, folder: Path, bits: int, invokes: int) -> None:
    plans = [_plan(folder, name) for name in ("alexa", "okay_nabu")]
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
