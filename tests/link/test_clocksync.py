"""Board time on the host's clock, and a bound that holds."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodydouble.link.clocksync import ClockSync
from bodydouble.link.events import ClockExchange


@given(
    seed=st.integers(0, 2**32),
    bits=st.sampled_from([30, 62]),
    start_us=st.integers(0, 2**30 - 1),
    drift_ppm=st.floats(-100, 100),
    slow=st.floats(0, 1),
)
def test_the_bound_holds_whatever_the_delays(
    seed: int, bits: int, start_us: int, drift_ppm: float, slow: float
) -> None:
    random = Random(seed)
    sync = ClockSync(ticks_bits=bits, drift_ppm=100)
    now = random.uniform(0, 1e5)
    began = now

    def board_us(at: float) -> float:
        return start_us + (at - began) * 1e6 * (1 + drift_ppm * 1e-6)

    for _ in range(30):
        now += random.expovariate(0.1)  # ten seconds between exchanges
        sent = math.floor(now * 1e6) / 1e6
        # Asymmetric on purpose: one way may take a hundred times the other.
        received_at = now + random.expovariate(1e4)
        answered_at = received_at + random.expovariate(1e5)
        back = answered_at + random.expovariate(1e4 / (1 + 100 * slow))
        ticks = [math.floor(board_us(at)) % (1 << bits) for at in (received_at, answered_at)]
        sync.add(ClockExchange(sent, ticks[0], ticks[1], back))
        asked = back + random.uniform(0, 5)
        truth = max(began, asked - random.uniform(0, 60 if bits == 30 else 1000))
        told = sync.host_time(math.floor(board_us(truth)) % (1 << bits), asked)
        drifted_us = abs(asked - truth) * 100
        assert abs(told - truth) * 1e6 <= sync.error_us(asked) + drifted_us + 1.01
        now = back


def test_equal_clocks_are_found_equal() -> None:
    random = Random(1)
    sync = ClockSync(drift_ppm=0)
    now = 5000.0
    for _ in range(10_000):
        sent = math.floor(now * 1e6) / 1e6
        there = now + random.uniform(5e-6, 4e-4)
        back = there + random.uniform(5e-6, 4e-4)
        sync.add(ClockExchange(sent, int(there * 1e6), int(there * 1e6), back))
        assert abs(sync.offset_us(now)) <= sync.error_us(now)
        now = back + 1e-3
    assert sync.error_us(now) < 60


def test_before_the_first_exchange_nothing_is_claimed() -> None:
    sync = ClockSync()
    assert not sync.synced
    assert sync.error_us(1.0) == math.inf


def test_the_bound_widens_with_age() -> None:
    sync = ClockSync(drift_ppm=100)
    sync.add(ClockExchange(10.0, 500, 510, 10.0001))
    assert sync.error_us(10.0001) == pytest.approx(45.5)
    assert sync.error_us(20.0001) == pytest.approx(45.5 + 1000)


def test_an_impossible_answer_is_not_believed() -> None:
    sync = ClockSync()
    sync.add(ClockExchange(10.0, 500, 5000, 10.0001))  # answered later than it came back
    assert not sync.synced
