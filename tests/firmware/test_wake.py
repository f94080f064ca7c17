"""The wake rule as the design states it, and the board's own statistics."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.micropython import run_micropython


@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])
def test_rule_windows_holds_and_percentiles(bits: int) -> None:
    assert run_micropython(Path(__file__).parent / "mp_wake.py", bits=bits) == b"ok\n"
