"""Bars that neither vanish nor overflow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bodydouble.views.waterfall import WIDTH, bar, describe_action, waterfall


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 10_000))
def test_a_bar_is_never_empty_and_never_leaves_its_column(start: float, length: float, total: float) -> None:
    drawn = bar(start * total, min(length, 1 - start) * total, total)
    assert 1 <= len(drawn) <= WIDTH
    assert drawn.strip(" ") == "█" * drawn.count("█") != ""


def test_nothing_to_draw() -> None:
    assert bar(0, 0, 0) == ""


def test_the_waterfall_names_each_span_with_its_clock() -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(
        waterfall(
            {"endpoint": 700.0, "host": 80.0, "cloud_prefill": 20.0, "tts": 0.0, "total": 800.0},
            {"endpoint": "audio", "host": "host", "cloud_prefill": "simulated", "tts": "none"},
        )
    )
    lines = console.export_text().splitlines()
    assert len(lines) == 4
    assert "700.0 ms audio" in lines[0]
    assert "simulated" in lines[2]
    assert lines[3].startswith("total")


def test_an_action_in_one_line() -> None:
    action = {"tool": "set_power", "input": {"name": "kitchen light", "state": "on"}, "result": {"status": "ok"}}
    assert describe_action(action) == "set_power(name=kitchen light, state=on) → ok"
