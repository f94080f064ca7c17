"""What a session found out, as it is written by `--json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from bodydouble.clock import Timeline

SCHEMA = 1
"""Version of the written result; it changes when a field is removed or changes its meaning."""

STAGES = (
    "endpoint",
    "board",
    "link",
    "host",
    "network",
    "cloud_service",
    "cloud_queue",
    "cloud_prefill",
    "cloud_decode",
    "tools",
    "tts",
)
"""Adjacent spans of a request's critical path, in the order they are shown in."""


def frame_time(frame: int) -> float:
    """Seconds from the recording's start to the end of feature frame `frame`'s 30 ms window."""
    return round(0.03 + 0.01 * frame, 2)


@dataclass
class Wake:
    """A wake word was heard at `t` seconds; `score` is the window's mean output, 0 to 1."""

    model: str
    t: float
    score: float
    recording: str = ""
    request: int | None = None
    """Index of the request that it opened; None where one was open already, or another word won."""


@dataclass
class Request:
    """What followed a wake: the utterance, where it went, and what came of it. Times in seconds of audio."""

    t_wake: float
    t_endpoint: float | None = None
    t_decided: float | None = None
    reason: str = ""
    """Why the utterance ended: silence, longest, nothing, stream_end."""
    where: str = "none"
    """Who answered: cloud, phone or none."""
    transcript: str | None = None
    reply: str | None = None
    actions: list[dict[str, Any]] = field(default_factory=list)
    latency_ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*STAGES, "total"), 0.0))
    first_reply_ms: float | None = None
    clocks: dict[str, str] = field(default_factory=lambda: dict.fromkeys((*STAGES, "total"), "none"))
    wall_ms: float | None = None
    """The wall's own measure of `total` less its simulated spans, under `--real-time` only."""
    audio: dict[str, Any] = field(default_factory=dict)
    """What was let out: from and to in seconds of audio, and bytes."""
    error: str | None = None

    def book(self, timeline: Timeline, spoken_at: float) -> None:
        """Fill in the latencies from a stopped `timeline`; `spoken_at` is the host time of the end of speech."""
        latency_ms = {stage: round(timeline.spans.get(stage, 0.0) * 1e3, 3) for stage in STAGES}
        clocks = {stage: timeline.clocks.get(stage, "none") for stage in STAGES}
        # Not the sum of the entries but the difference of two stamps, so that a span that was lost would show.
        latency_ms["total"] = round((timeline.stopped_at - spoken_at + timeline.simulated) * 1e3, 3)
        clocks["total"] = "session"
        self.latency_ms, self.clocks = latency_ms, clocks


@dataclass
class Outcome:
    """How the session ended, and how far it got."""

    status: str = "running"
    exit_code: int = 0
    error: str | None = None
    processed_s: float = 0.0


@dataclass
class Result:
    """Everything a session reports; `to_json` is what `--json` writes, valid however far the session got."""

    board: dict[str, Any] = field(default_factory=dict)
    input: dict[str, Any] = field(default_factory=dict)
    wakes: list[Wake] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    privacy: dict[str, Any] = field(default_factory=lambda: {"bytes_before_wake": 0, "ledger": []})
    timing: dict[str, Any] = field(default_factory=dict)
    digest: dict[str, int] = field(default_factory=dict)
    """Running check values over all features and each model's outputs: equal on every board and tier."""
    counters: dict[str, int] = field(default_factory=dict)
    cloud: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, schema version first."""
        return {"schema": SCHEMA, **asdict(self)}

    def to_json(self) -> str:
        """The result as indented JSON; never NaN or infinity, which JSON does not know."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)
