"""Board ticks on the host's clock, with an error bound that holds.

A ping leaves at host time a, reaches the board at b (board ticks), is answered at c (board ticks) and the answer is
read at d. The board's clock is then ahead of the host's by at least c - d and at most b - a: whatever the link's
delays and asymmetry were, the truth lies between. The middle is the estimate and half the width the bound; both
clocks may drift apart by `drift_ppm` from then on, which widens it. Of the kept exchanges the narrowest counts.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from bodydouble.link.events import ClockExchange

KEPT = 64


class _Sample(NamedTuple):
    at_us: float
    offset_us: float
    bound_us: float


class ClockSync:
    """The offset of a board's ticks, which wrap at 2**ticks_bits microseconds, to the host's clock in seconds."""

    def __init__(self, *, ticks_bits: int = 62, drift_ppm: float = 100.0) -> None:
        self._period = 1 << ticks_bits
        self._drift = drift_ppm * 1e-6
        self._samples: deque[_Sample] = deque(maxlen=KEPT)
        self._wraps_us = 0
        self._last_us: int | None = None

    def add(self, exchange: ClockExchange) -> None:
        """Learn from a ping that came back."""
        received_us = self._unwrap(exchange.board_received_us % self._period)
        sent_us = received_us + (exchange.board_sent_us - exchange.board_received_us) % self._period
        # A tick stands for the microsecond that follows it.
        most = received_us + 1 - exchange.sent * 1e6
        least = sent_us - exchange.received * 1e6
        if most >= least:
            self._samples.append(_Sample(exchange.received * 1e6, (most + least) / 2, (most - least) / 2))

    @property
    def synced(self) -> bool:
        """Whether a ping has come back."""
        return bool(self._samples)

    def error_us(self, now: float) -> float:
        """Bound of the error of a conversion around host time `now`; infinite before the first exchange."""
        best = self._best(now)
        return self._width(best, now * 1e6) if best else float("inf")

    def offset_us(self, now: float) -> float:
        """Board ticks (unwrapped) less host microseconds, as estimated at host time `now`."""
        best = self._best(now)
        return best.offset_us if best else 0.0

    def host_time(self, ticks_us: int, now: float) -> float:
        """Host seconds of a board's tick: of the times that it may stand for, the one nearest to `now`.

        Right for ticks within half a wrap of now: 9 minutes on 32-bit boards.
        """
        offset = self.offset_us(now)
        behind = (now * 1e6 + offset - ticks_us) % self._period
        if behind > self._period / 2:
            behind -= self._period
        # With a 62-bit period the subtraction above would lose the microseconds; the plain way does not.
        if self._period > 1 << 50:
            return (ticks_us - offset) / 1e6
        return now - behind / 1e6

    def _unwrap(self, ticks_us: int) -> int:
        if self._last_us is not None and ticks_us < self._last_us:
            self._wraps_us += self._period
        self._last_us = ticks_us
        return ticks_us + self._wraps_us

    def _width(self, sample: _Sample, now_us: float) -> float:
        return sample.bound_us + abs(now_us - sample.at_us) * self._drift

    def _best(self, now: float) -> _Sample | None:
        return min(self._samples, key=lambda sample: self._width(sample, now * 1e6), default=None)
