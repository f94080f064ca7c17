"""The assembler is ARMv6-M's and keeps to its rules; what emulates it here does notice when it does not."""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

import numpy as np
import pymicro_wakeword
import pytest

from bodydouble.compiler import compile_model
from bodydouble.compiler.packing import COLUMNS
from support.asm import asm_modules, cycles_of_a_hop, cycles_of_an_inference
from support.thumb import FaultError, Function, NotArmv6mError, functions

RETURN = 0xBDF2  # pop {r1, r4-r7, pc}, as every function of MicroPython's ends
ENTRY = 0xB5F2


def function(*halfwords: int) -> Function:
    return Function(struct.pack(f"<{len(halfwords) + 2}H", ENTRY, *halfwords, RETURN))


@pytest.mark.parametrize("module", asm_modules(), ids=lambda path: path.stem)
def test_a_pico_knows_every_instruction(module: Path) -> None:
    found = functions(module)
    assert found
    for code in found.values():
        Function(code)
    print({name: len(code) for name, code in found.items()})


@pytest.mark.parametrize(
    "instruction",
    [
        ("it eq", 0xBF08),
        ("cbz r0", 0xB100),
        ("udiv r0, r0, r1", 0xFBB0, 0xF0F1),
        ("umull r0, r1, r2, r3", 0xFBA2, 0x0103),
        ("movw r0, 1", 0xF240, 0x0001),
        ("push {r8}", 0xE92D, 0x0100),
        ("blx r0", 0x4780),
    ],
    ids=lambda instruction: instruction[0],
)
def test_what_a_pico_lacks_is_found(instruction: tuple[str, int]) -> None:
    with pytest.raises(NotArmv6mError):
        function(*instruction[1:])


def test_what_a_pico_lacks_does_not_assemble(tmp_path: Path) -> None:
    source = tmp_path / "wide_asm.py"
    source.write_text("import micropython\n@micropython.asm_thumb\ndef count(r0):\n    clz(r0, r0)\n")
    with pytest.raises(NotArmv6mError, match="clz"):
        functions(source)


def test_arithmetic_and_flags() -> None:
    difference = function(0x1A40)  # sub r0, r0, r1
    assert difference(5, 7) == -2
    assert difference(-(2**31), 1) == 2**31 - 1
    rounded = function(0x2100, 0x13C0, 0x4148)  # mov r1, 0; asr r0, r0, 15; adc r0, r1
    for value in (0, 16383, 16384, -16384, -16385, 2**31 - 1, -(2**31)):
        assert rounded(value) == (value + 16384) >> 15
    wider = function(0xB200)  # sxth r0, r0
    assert [wider(value) for value in (0x8000, 0x17FFF)] == [-32768, 32767]
    for opcode, turned in ((0xBA00, 0x81828384), (0xBA40, 0x83848182), (0xBAC0, 0xFFFF8182)):  # rev, rev16, revsh
        assert function(opcode)(0x84838281) & 0xFFFFFFFF == turned
    less = function(0x2200, 0x4288, 0xDA00, 0x2201, 0x4610)  # mov r2, 0; cmp r0, r1; bge 1f; mov r2, 1; 1: mov r0, r2
    for x in (-(2**31), -1, 0, 1, 2**31 - 1):
        assert [less(x, y) for y in (-(2**31), -1, 0, 2**31 - 1)] == [x < y for y in (-(2**31), -1, 0, 2**31 - 1)]


def test_cycles_are_the_cortex_m0s() -> None:
    empty = function()
    empty()
    for halfwords, arguments, cycles in (
        ((0x3801, 0xD1FD), (100,), 299),  # sub r0, 1; bne: 3, and 2 where it falls through
        ((0x4348,), (3, 4), 1),  # mul r0, r1
        ((0xB403, 0xBC03), (), 6),  # push and pop of two
        ((0x6801, 0x6001), (array("I", [1]),), 4),  # ldr, str
        ((0xC806,), (array("I", [1, 2]),), 3),  # ldmia of two
    ):
        counted = function(*halfwords)
        counted(*arguments)
        assert counted.cycles - empty.cycles == cycles


def test_what_a_pico_would_not_do_is_a_fault() -> None:
    words = array("I", bytes(16))
    with pytest.raises(FaultError, match="4 bytes at"):
        function(0x3002, 0x6800)(words)  # add r0, 2; ldr r0, [r0]
    with pytest.raises(FaultError, match="written behind"):
        function(0x6101)(words)  # str r1, [r0, 16]
    with pytest.raises(FaultError, match="not what it was"):
        function(0x4680)(words)  # mov r8, r0
    with pytest.raises(FaultError, match="4 bytes at 0x0"):
        function(0x2000, 0x6800)()  # mov r0, 0; ldr r0, [r0]


def test_a_hop_leaves_a_pico_time_for_the_rest() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 160 * 12).clip(-32768, 32767).astype("<i2").tobytes()
    cycles = cycles_of_a_hop(noise)
    total = sum(cycles.values())
    print({name: round(count) for name, count in cycles.items()}, f"{total:,.0f} cycles, {total / 125_000:.2f} ms")
    assert total < 85_000


def test_a_wake_model_leaves_a_pico_time_for_the_rest() -> None:
    data = (Path(pymicro_wakeword.__file__).parent / "models" / "alexa.tflite").read_bytes()
    plan = compile_model(data, "alexa", packing=COLUMNS)
    rows = np.random.default_rng(1).normal(-60, 40, (4, 120)).clip(-128, 127).astype(np.int8)
    cycles = cycles_of_an_inference(plan, rows.tobytes())
    convolutions = [(op.macs, count) for op, count in zip(plan.ops, cycles, strict=True) if op.label == "conv_2d"]
    macs, spent = map(sum, zip(*convolutions, strict=True))
    total = sum(cycles)
    print(f"{spent / macs:.2f} cycles a multiply-accumulate of the convolutions, requantisation included; ", end="")
    print(f"{total:,} an inference, {total / 125_000:.2f} ms, {total / plan.macs:.2f} a multiply-accumulate")
    assert spent < 4.3 * macs
    assert total < 5.6 * plan.macs
