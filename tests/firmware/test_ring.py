"""The audio memory's kernels on every tier: spans that wrap around or are empty, odd addresses, check values."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.asm import M0, run_build


@pytest.mark.parametrize(
    ("tier", "bits"),
    [
        ("viper", 64),
        ("bytecode", 64),
        ("asm", M0),
        *(pytest.param(tier, 32, marks=pytest.mark.micropython32) for tier in ("asm", "viper", "bytecode")),
    ],
)
def test_writing_reading_and_digests(tier: str, bits: int, soak: bool) -> None:
    for seed in range(50 if soak else 2):
        assert run_build(Path(__file__).parent / "mp_ring.py", tier, str(seed), bits=bits) == b"ok\n"
