"""Silicon profiles: their files, and what is projected from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.compiler.plan import compile_model
from bodydouble.session.model.library import find_model
from bodydouble.session.model.silicon import (
    BOUNDS,
    Silicon,
    SiliconError,
    Work,
    find_silicon,
    known_silicon,
    project,
    work,
)

PLAIN = 'name = "chip"\ntitle = "A chip"\nsources = ["a data sheet"]\n'


def chip(tmp_path: Path, text: str, name: str = "chip") -> Silicon:
    (tmp_path / f"{name}.toml").write_text(text)
    return find_silicon(name, tmp_path)


def test_every_profile_that_is_shipped_can_be_read() -> None:
    names = known_silicon()
    assert len(names) >= 3
    for name in names:
        found = find_silicon(name)
        assert found.peak_macs_per_s > 1e9
        assert all("read 20" in source for source in found.sources)


def test_each_operation_takes_as_long_as_its_slowest_part(tmp_path: Path) -> None:
    rates = "clock_hz = 1000000\nint8_macs_per_cycle = 2\nsram_bytes_per_s = 4000000\nweight_bytes_per_s = 1000000\n"
    silicon = chip(tmp_path, PLAIN + rates)
    done = [Work("CONV_2D", 200, 10, 100), Work("FULLY_CONNECTED", 20, 30, 8), Work("SOFTMAX", 0, 0, 40)]
    found = project(silicon, done)
    assert found.bound_us == pytest.approx({"compute": 100, "weights": 30, "activations": 10})
    assert found.us == pytest.approx(140)
    facts = found.facts(board_us=280)
    assert (facts["clock"], facts["ratio"]) == ("projected", pytest.approx(2))


def test_what_is_not_published_is_left_out(tmp_path: Path) -> None:
    silicon = chip(tmp_path, PLAIN + "int8_macs_per_s = 1000000\n")
    assert project(silicon, [Work("CONV_2D", 7, 10**9, 10**9)]).us == pytest.approx(7)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 10**9)] * 3), max_size=5))
def test_no_projection_beats_the_peak(parts: list[tuple[int, int, int]]) -> None:
    silicon = find_silicon("ethos-u55-128")
    done = [Work("CONV_2D", *part) for part in parts]
    found = project(silicon, done)
    assert found.us >= sum(one.macs for one in done) / silicon.peak_macs_per_s * 1e6 * (1 - 1e-9)
    assert set(found.bound_us) == set(BOUNDS)


def test_a_models_work_is_what_its_plan_computes() -> None:
    data = find_model("alexa").read()
    plan = compile_model(data, "alexa")
    done = work(data, plan)
    assert sum(one.macs for one in done) == plan.macs == 23_968
    # One byte of weight for each multiply-accumulate of a streaming model, and the biases.
    assert plan.macs < sum(one.weight_bytes for one in done) < plan.macs * 1.1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN, "give clock_hz and int8_macs_per_cycle, or int8_macs_per_s alone"),
        (PLAIN + "clock_hz = 5\n", "give clock_hz and int8_macs_per_cycle"),
        (PLAIN + "clock_hz = 5\nint8_macs_per_cycle = 5\nint8_macs_per_s = 5\n", "give clock_hz"),
        (PLAIN + "int8_macs_per_s = 0\n", "int8_macs_per_s: Input should be greater than 0"),
        (PLAIN + "int8_macs_per_s = 5\nwatts = 3\n", "watts: Extra inputs are not permitted"),
        (PLAIN.replace("chip", "chop", 1) + "int8_macs_per_s = 5\n", "describes 'chop'"),
        ("name = ", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SiliconError, match=said) as caught:
        chip(tmp_path, text)
    assert str(tmp_path / "chip.toml") in caught.value.message
    assert caught.value.exit_code == 2


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SiliconError, match="no silicon 'm4'") as caught:
        find_silicon("m4")
    assert "ethos-u55-128" in (caught.value.hint or "")
