"""The board's end of the link, under MicroPython."""

from __future__ import annotations

from pathlib import Path

import pytest

from link.vectors import PATH
from support.asm import run_emulated
from support.micropython import run_micropython

HERE = Path(__file__).parent
BITS = pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])


@BITS
def test_the_vectors_are_read_and_written_on_every_tier(bits: int) -> None:
    ok, tiers, checked = run_micropython(HERE / "mp_link_vectors.py", PATH, bits=bits).split()
    assert ok == b"ok"
    assert bits == 64 or int(tiers) == 3
    assert int(checked) > 100 * int(tiers)


def test_the_vectors_are_read_and_written_by_an_emulated_cortex_m0() -> None:
    assert run_emulated(HERE / "mp_link_vectors.py", PATH).startswith(b"ok 3 ")


@pytest.mark.parametrize(
    ("tier", "bits"),
    [("viper", 64), *(pytest.param(tier, 32, marks=pytest.mark.micropython32) for tier in ("asm", "viper"))],
)
def test_a_running_link_allocates_nothing(tier: str, bits: int) -> None:
    assert run_micropython(HERE / "mp_link_alloc.py", tier, bits=bits, heap="192k").startswith(b"ok 408")


@BITS
def test_sessions_step_by_step(bits: int) -> None:
    assert run_micropython(HERE / "mp_link_session.py", bits=bits).startswith(b"ok")


@BITS
def test_hostile_input_neither_breaks_nor_grows_it(bits: int, soak: bool) -> None:
    turns = 1_000_000 // 8 if soak else 1500 if bits == 64 else 300
    ok, mutations, delivered = run_micropython(
        HERE / "mp_link_fuzz.py", "1", str(turns), bits=bits, timeout_s=3600
    ).split()
    assert ok == b"ok"
    assert int(mutations) > turns
    assert int(delivered) > turns // 4
