"""The loader that a board runs first, under MicroPython in a folder that stands in for the board's filesystem."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.micropython import run_micropython

HERE = Path(__file__).parent


@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])
def test_journals_are_finished_and_boots_counted(tmp_path: Path, bits: int) -> None:
    ok, cuts = run_micropython(HERE / "mp_loader.py", tmp_path, bits=bits).split()
    assert ok == b"ok"
    assert int(cuts) > 50
