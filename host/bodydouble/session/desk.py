"""Hands complete utterances to the phone's agent, one at a time, on a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bodydouble.clock import Clock, Timeline
from bodydouble.errors import BodydoubleError
from bodydouble.session.result import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bodydouble.phone.agent import Turn

Handle = Callable[["NDArray[np.int16]", Timeline], "Turn"]
Meter = Callable[[], dict[str, int]]
"""Bytes by kind that went on to the cloud since it was last asked."""


@dataclass
class Job:
    """One utterance on its way: int16 samples at 16 kHz, and the timeline that began on the board."""

    request: Request
    samples: NDArray[np.int16]
    timeline: Timeline
    spoken_at: float
    """Host time of the stamped end of speech: when it was due, or stood for under a faster stream."""
    real_time: bool = False
    turn: Turn | None = None
    error: BodydoubleError | None = None
    forwarded: dict[str, int] = field(default_factory=dict)
    """Bytes by kind that went on to the cloud."""


class Desk:
    """A queue and one worker: requests are answered in the order in which they were spoken.

    The worker is a daemon: a cloud that never answers cannot keep an interrupted session from ending.
    """

    def __init__(self, handle: Handle, meter: Meter, clock: Clock) -> None:
        self._handle = handle
        self._meter = meter
        self._clock = clock
        self.ready = threading.Event()
        """Set once answering is warmed up: what is slow only the first time has been done."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._open = 0
        self._crash: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="bodydouble-desk", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """True while a request is not answered yet."""
        return self._open > 0

    def submit(self, job: Job) -> None:
        """Queue an utterance."""
        self._open += 1
        self._jobs.put(job)

    def finished(self, timeout_s: float = 0.0) -> Job | None:
        """The next answered request, or None within `timeout_s`; re-raises what the worker could not handle."""
        try:
            job = self._finished.get(timeout=timeout_s) if timeout_s else self._finished.get_nowait()
        except queue.Empty:
            if self._crash is not None:
                raise self._crash from None
            return None
        self._open -= 1
        return job

    def close(self) -> None:
        """Let the worker end after the request it is at."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._answer(job)
            except BaseException as error:  # noqa: BLE001 - handed to the session's thread, which raises it
                self._crash = error
                return
            self._finished.put(job)

    def _answer(self, job: Job) -> None:
        request = job.request
        try:
            job.turn = self._handle(job.samples, job.timeline)
        except BodydoubleError as error:
            job.error = error
            request.error = str(error)
            # What was understood and done before it failed stays true.
            request.transcript = getattr(error, "transcript", None)
            request.actions = [dict(action) for action in getattr(error, "actions", ())]
        job.timeline.stop()
        job.forwarded = self._meter()
        if job.real_time:
            request.wall_ms = round((self._clock() - job.spoken_at) * 1e3, 3)
        request.book(job.timeline, job.spoken_at)
        if job.turn is not None:
            request.transcript = job.turn.transcript
            request.reply = job.turn.reply
            request.actions = [dict(action) for action in job.turn.actions]
            request.where = job.turn.where
            request.first_reply_ms = round(job.turn.first_reply_s * 1e3, 3)
