"""The session's record: every event, request and note on the session's clock, bounded in memory."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bodydouble.clock import Clock, monotonic
from bodydouble.resources import write_atomically

MAX_RECORDS = 100_000
"""Records kept; older ones are dropped and counted, so that a day-long session does not grow."""


@dataclass(frozen=True)
class Record:
    """One thing that happened at `at_s` seconds of host time since the trace began."""

    at_s: float
    source: str
    kind: str
    data: dict[str, Any]


class Trace:
    """Collects records from board, link, host and cloud. No audio is ever kept in it."""

    def __init__(self, clock: Clock = monotonic, limit: int = MAX_RECORDS) -> None:
        self._clock = clock
        self._began = clock()
        self._records: deque[Record] = deque(maxlen=limit)
        self.dropped = 0

    def add(self, source: str, kind: str, *, at: float | None = None, **data: Any) -> Record:
        """Append a record; `at` is a host clock time, now where it is left out."""
        if len(self._records) == self._records.maxlen:
            self.dropped += 1
        record = Record(round((self._clock() if at is None else at) - self._began, 6), source, kind, data)
        self._records.append(record)
        return record

    def __iter__(self) -> Iterator[Record]:
        """Records in the order they were added."""
        return iter(self._records)

    def __len__(self) -> int:
        """Records kept."""
        return len(self._records)

    def write(self, path: Path) -> None:
        """Write the trace as JSON lines, replacing `path` in one step."""
        lines = [
            json.dumps({"at_s": record.at_s, "source": record.source, "kind": record.kind, **record.data})
            for record in self
        ]
        write_atomically(path, ("\n".join(lines) + "\n").encode())
