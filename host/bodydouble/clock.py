"""The session's clock and the adjacent spans of a request's critical path on it.

Session time runs with the host's monotonic clock, plus the time that simulated parts would have taken: those
do not sleep, they advance the session. Every span names the clock that its length comes from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]
"""A monotonic clock: seconds since an arbitrary epoch. Injected everywhere, so that tests never sleep."""

monotonic: Clock = time.monotonic


@dataclass
class Timeline:
    """Adjacent spans of one request, in seconds of session time.

    `start` is the session time that the first span begins at; `clock` is the host's. Entering a stage ends the
    one before it at the same instant, so no time is lost between spans or counted twice.
    """

    clock: Clock
    start: float
    spans: dict[str, float] = field(default_factory=dict)
    clocks: dict[str, str] = field(default_factory=dict)
    simulated: float = 0.0
    stopped_at: float = 0.0
    """Host time of the last `stop`."""
    _stage: str = ""
    _since: float = 0.0
    _origin: float = 0.0
    _ahead: float = 0.0

    def add(self, stage: str, seconds: float, clock: str) -> None:
        """Append a span whose length was measured elsewhere (on the board, or in audio time)."""
        if self._stage:
            raise RuntimeError("add() goes before the first enter()")
        self._book(stage, seconds, clock)
        self._ahead += seconds

    def enter(self, stage: str, clock: str = "host", *, since: float | None = None) -> None:
        """End the running span now (or at the host time `since`) and begin `stage` at the same instant."""
        now = self.clock() if since is None else since
        if self._stage:
            self.spans[self._stage] += now - self._since
        else:
            self._origin = now
        self._stage, self._since = stage, now
        self._book(stage, 0.0, clock)

    def simulate(self, stage: str, seconds: float) -> None:
        """Advance session time by a simulated part's `seconds`, without waiting for them."""
        self._book(stage, seconds, "simulated")
        self.simulated += seconds

    def reassign(self, source: str, target: str, seconds: float, clock: str = "host") -> None:
        """Move up to `seconds` that were booked under `source` to `target` (total unchanged)."""
        seconds = max(0.0, min(seconds, self.spans.get(source, 0.0)))
        self._book(source, -seconds, self.clocks.get(source, clock))
        self._book(target, seconds, clock)

    def now(self) -> float:
        """Session time at this instant, in seconds."""
        elapsed = self.clock() - self._origin if self._stage else 0.0
        return self.start + self._ahead + elapsed + self.simulated

    def stop(self) -> float:
        """End the running span; returns the session time of the end, the stamp that `total` is measured to."""
        now = self.clock()
        if self._stage:
            self.spans[self._stage] += now - self._since
            self._ahead += now - self._origin
            self._stage = ""
            self.stopped_at = now
        return self.now()

    def _book(self, stage: str, seconds: float, clock: str) -> None:
        self.spans[stage] = self.spans.get(stage, 0.0) + seconds
        self.clocks[stage] = clock
