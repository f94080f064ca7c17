"""The weather source: the same everywhere, and plausible."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.phone.weather import CONDITIONS, Forecast, Weather


def test_same_seed_place_and_day_give_the_same_everywhere() -> None:
    # Written down once: another machine, another Python, must agree.
    assert Weather(0, "home").forecast(date(2026, 11, 25)) == GOLDEN
    assert Weather(1).forecast(date(2026, 11, 25)) != GOLDEN
    assert Weather(0, "away").forecast(date(2026, 11, 25)) != GOLDEN


GOLDEN = Forecast(date(2026, 11, 25), "stormy", 7, 1, 98)


@settings(max_examples=100, deadline=None)
@given(st.dates(), st.integers(), st.text(max_size=10))
def test_plausible(day: date, seed: int, place: str) -> None:
    forecast = Weather(seed, place).forecast(day)
    assert forecast.condition in CONDITIONS
    assert -5 <= forecast.high_c <= 30
    assert 5 <= forecast.high_c - forecast.low_c <= 11
    assert 0 <= forecast.rain_percent <= 100
    wet = forecast.condition in ("rainy", "snowy", "stormy")
    assert (forecast.rain_percent >= 50) == wet
    assert forecast.condition != "snowy" or forecast.high_c <= 1


def test_every_condition_comes_within_a_year() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    assert {Weather().forecast(day).condition for day in days} == set(CONDITIONS)
