"""The trace is bounded, ordered and readable."""

from __future__ import annotations

import json
from pathlib import Path

from bodydouble.session.trace import Trace


def test_records_carry_the_time_since_the_trace_began(tmp_path: Path) -> None:
    now = [5.0]
    trace = Trace(clock=lambda: now[0])
    now[0] = 6.25
    trace.add("board", "wake", model="alexa")
    trace.add("host", "answered", at=6.0, reply="done")
    trace.write(tmp_path / "trace.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert lines == [
        {"at_s": 1.25, "source": "board", "kind": "wake", "model": "alexa"},
        {"at_s": 1.0, "source": "host", "kind": "answered", "reply": "done"},
    ]


def test_the_oldest_records_go_first_and_are_counted() -> None:
    trace = Trace(clock=lambda: 0.0, limit=3)
    for number in range(5):
        trace.add("host", "tick", number=number)
    assert [record.data["number"] for record in trace] == [2, 3, 4]
    assert trace.dropped == 2
    assert len(trace) == 3
