"""The egress gate lets out just the utterance with its rolls, whatever the pace of ring and link."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.micropython import run_micropython

HERE = Path(__file__).parent


@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])
def test_the_gate_lets_out_the_utterance_and_no_more(bits: int) -> None:
    scenarios = 40 if bits == 64 else 5
    passed = int(run_micropython(HERE / "mp_egress.py", 7, scenarios, bits=bits))
    print(f"{passed:,} bytes compared")
    assert passed > 320 * 100 * scenarios
