"""Which kernels a board takes: the best of its port's tiers that runs there, and no other than the one forced."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodydouble.boards.firmware import Target
from bodydouble.boards.micropythons import find_micropython
from support.micropython import run_micropython

SCRIPT = Path(__file__).parent / "mp_tier.py"


def test_tiers_of_this_machine() -> None:
    native = find_micropython().target.runs("viper")
    assert run_micropython(SCRIPT, "viper" if native else "bytecode") == b"ok\n"


@pytest.mark.micropython32
def test_tiers_on_32_bit_arm() -> None:
    assert run_micropython(SCRIPT, "asm", bits=32) == b"ok\n"


@pytest.mark.parametrize(
    ("arch", "tiers"),
    [
        (None, ["bytecode"]),
        ("x64", ["viper", "bytecode"]),
        ("armv6", ["viper", "bytecode"]),  # of ARM code, not of Thumb
        ("armv6m", ["asm", "viper", "bytecode"]),
        ("armv7emsp", ["asm", "viper", "bytecode"]),
        ("rv32imc", ["viper", "bytecode"]),
    ],
)
def test_tiers_of_an_architecture(arch: str | None, tiers: list[str]) -> None:
    assert [name for name in ("asm", "viper", "bytecode") if Target(6, 3, arch).runs(name)] == tiers
