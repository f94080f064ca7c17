"""What of the Pico's port runs without a Pico: its byte stream, and attention on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from link.vectors import PATH
from support.micropython import run_micropython

HERE = Path(__file__).parent


@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])
def test_the_stream_never_waits_for_bytes_that_may_not_come(bits: int) -> None:
    ok, frames = run_micropython(HERE / "mp_rp2.py", PATH, bits=bits).split()
    assert ok == b"ok"
    assert int(frames) > 800
