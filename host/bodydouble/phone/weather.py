"""A deterministic weather source: the same seed, place and date give the same day, on every machine."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import date

CONDITIONS = ("sunny", "partly cloudy", "cloudy", "windy", "foggy", "rainy", "snowy", "stormy")
_WETNESS = {"rainy": (60, 95), "snowy": (60, 95), "stormy": (70, 100), "cloudy": (15, 45), "foggy": (10, 30)}
_DRY = (0, 15)
FREEZING_C = 1  # no rain below, no snow above


@dataclass(frozen=True)
class Forecast:
    """One day: a word of CONDITIONS, whole degrees Celsius, the chance of rain or snow in percent."""

    day: date
    condition: str
    high_c: int
    low_c: int
    rain_percent: int


@dataclass(frozen=True)
class Weather:
    """Forecasts for one place; a mild mid-latitude year of the northern hemisphere, warmest in late July."""

    seed: int = 0
    place: str = "home"

    def forecast(self, day: date) -> Forecast:
        """The forecast for `day`."""
        # A digest, not random.Random: its stream is promised to stay the same between Python versions.
        digest = hashlib.sha256(f"{self.seed}|{self.place}|{day.isoformat()}".encode()).digest()
        season = math.cos(2 * math.pi * (day.timetuple().tm_yday - 205) / 365.25)
        high = round(15 + 10 * season + _pick(digest[0], -5, 5))
        low = high - _pick(digest[1], 5, 11)
        condition = CONDITIONS[digest[2] % len(CONDITIONS)]
        if condition == "snowy" and high > FREEZING_C:
            condition = "rainy"
        elif condition in ("rainy", "stormy") and high <= FREEZING_C:
            condition = "snowy"
        return Forecast(day, condition, high, low, _pick(digest[3], *_WETNESS.get(condition, _DRY)))


def _pick(byte: int, low: int, high: int) -> int:
    """A whole number of low..high (both included) from one byte."""
    return low + byte * (high - low + 1) // 256
