"""Timeline: adjacent spans that lose and double no time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodydouble.clock import Timeline


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_spans_are_adjacent_and_sum_to_the_difference_of_the_stamps() -> None:
    hand = Hand()
    line = Timeline(hand, start=3.9)
    line.add("endpoint", 0.7, "audio")
    line.add("link", 0.002, "host")
    line.enter("host", since=99.9)
    hand.now += 0.1
    line.enter("network")
    hand.now += 0.02
    line.simulate("cloud_prefill", 0.3)
    line.enter("host")
    line.reassign("network", "host", 0.015)
    hand.now += 0.01
    end = line.stop()
    assert line.stopped_at == hand.now
    assert line.spans == pytest.approx(
        {"endpoint": 0.7, "link": 0.002, "host": 0.2 + 0.01 + 0.015, "network": 0.005, "cloud_prefill": 0.3}
    )
    assert end - line.start == pytest.approx(sum(line.spans.values()))
    assert line.clocks["cloud_prefill"] == "simulated"
    assert line.clocks["endpoint"] == "audio"


def test_reassign_never_makes_a_span_negative() -> None:
    hand = Hand()
    line = Timeline(hand, start=0.0)
    line.enter("network")
    hand.now += 0.01
    line.enter("host")
    line.reassign("network", "host", 5.0)
    assert line.spans["network"] == 0.0
    assert line.spans["host"] == pytest.approx(0.01)


def test_add_after_enter_is_a_programming_error() -> None:
    line = Timeline(Hand(), start=0.0)
    line.enter("host")
    with pytest.raises(RuntimeError, match="before the first enter"):
        line.add("board", 1.0, "board")


STEP = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from(["host", "network", "tools"]), st.floats(0, 10)),
    st.tuples(st.just("simulate"), st.sampled_from(["cloud_prefill", "cloud_decode"]), st.floats(0, 10)),
    st.tuples(st.just("reassign"), st.sampled_from(["host", "network"]), st.floats(0, 10)),
)


@given(st.lists(STEP), st.floats(0, 1000))
def test_any_sequence_sums_to_its_total(steps: list[tuple[str, str, float]], start: float) -> None:
    hand = Hand()
    line = Timeline(hand, start=start)
    line.add("endpoint", 0.5, "audio")
    line.enter("host")
    for what, stage, seconds in steps:
        if what == "enter":
            hand.now += seconds
            line.enter(stage)
        elif what == "simulate":
            line.simulate(stage, seconds)
        else:
            line.reassign(stage, "tools", seconds)
        assert line.now() == pytest.approx(start + 0.5 + (hand.now - 100.0) + line.simulated)
    end = line.stop()
    assert sum(line.spans.values()) == pytest.approx(end - start, abs=1e-6)
    assert all(length >= -1e-9 for length in line.spans.values())
    assert line.stop() == end, "stopping twice changes nothing"
