"""Plays audio into a board: recordings stream into a board, what it lets out is answered, and everything is timed.

A recording runs as fast as the board takes it unless `real_time` paces it. The session clock is the audio's up to
the decision that ended an utterance, and the host's from there on, plus what simulated parts would have taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bodydouble.boards.errors import RequestRefusedError
from bodydouble.clock import Clock, Timeline, monotonic
from bodydouble.errors import CloudError, TimedOutError
from bodydouble.link.wire import Channel
from bodydouble.session.desk import Desk, Job
from bodydouble.session.privacy import BLOCK_BYTES, BLOCK_S, Custody
from bodydouble.session.result import Request, Result, Wake, frame_time
from bodydouble.session.trace import Trace
from bodydouble.session.voice import NAME, VoiceModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bodydouble.boards.board import Board
    from bodydouble.link.events import Delivered
    from bodydouble.session.words import WakeWord

RATE_HZ = 16_000
FRAME_BYTES = 960
"""Audio per frame when streaming fast: three hops, so that the board never waits for half a hop."""
IDLE_S = 0.02
STALL_S = 10.0
"""A board that takes no audio for this long is given up."""

Observer = Callable[[str, dict[str, Any]], None]
"""Told of events as they happen: their kind and their facts. Runs on the session's thread; must be quick."""


@dataclass(frozen=True)
class Settings:
    """What a session is asked to do; times in milliseconds."""

    compat: str = "esphome"
    real_time: bool = False
    local_only: bool = False
    pre_roll_ms: int = 300
    post_roll_ms: int = 300
    endpoint: dict[str, int] = field(default_factory=dict)
    """Endpointing settings that differ from the board's defaults (see firmware/README.md)."""
    endpoint_by: str = "model"
    """What tells speech from noise: the board's own `rule` alone, or the voice-activity `model` where that fails."""
    stall_s: float = STALL_S
    """A board that takes no audio, or does not answer, for this many seconds is given up."""
    listen_at_s: tuple[float, ...] = ()
    """Press the board's button (an explicit gesture, no wake word) at these seconds of audio."""


@dataclass(frozen=True)
class Recording:
    """A stretch of the input: `start_s` seconds into the session's audio."""

    path: str
    start_s: float


class Player:
    """Streams audio into a board and answers what comes out; `result` holds whatever is known so far."""

    def __init__(
        self,
        board: Board,
        desk: Desk | None,
        settings: Settings | None = None,
        *,
        clock: Clock = monotonic,
        observer: Observer | None = None,
    ) -> None:
        self.board = board
        self.settings = settings or Settings()
        self.trace = Trace(clock)
        self._clock = clock
        self._observer = observer or (lambda kind, facts: None)
        self._desk = desk
        self.renew()

    def renew(self) -> None:
        """Forget what was played: the next audio begins at 0 with a result of its own."""
        self.result = Result()
        self._custody = Custody(pre_roll_s=self.settings.pre_roll_ms / 1e3)
        self._audio = bytearray()
        self._open: Request | None = None
        self._sent = 0
        self._began = 0.0
        self._held_s = 0.0
        self._recordings: list[Recording] = []
        self._presses = sorted(self.settings.listen_at_s)

    # --- running

    def load(self, words: Iterable[tuple[WakeWord, bytes, int]]) -> None:
        """Upload wake words: each with its compiled plan and the bytes of arena it needs."""
        self.board.request("unload")
        for word, plan, arena_bytes in words:
            reply = self.board.upload(word.name, plan, arena=arena_bytes, **word.rule(self.settings.compat))
            self._note("board", "loaded", model=word.name, heap_free=reply["heap_free"], plan_bytes=len(plan))

    def load_voice(self, model: VoiceModel, plan: bytes, arena_bytes: int) -> bool:
        """Upload the endpointer's model; False where the board refuses it, as for want of room: its rule decides."""
        try:
            reply = self.board.upload(NAME, plan, task="voice", arena=arena_bytes, **model.rule())
        except RequestRefusedError as error:
            self._note("board", "endpoint_by_rule", why=str(error))
            return False
        self._note("board", "loaded", model=NAME, heap_free=reply["heap_free"], plan_bytes=len(plan))
        return True

    def run(self, chunks: Iterable[NDArray[np.int16]], recordings: Callable[[], list[Recording]]) -> Result:
        """Stream int16 mono 16 kHz `chunks` to the end and wait for every answer.

        `recordings` tells which recordings the audio so far came from. Raises the first error that ends the
        session; `result` then says how far it got.
        """
        self._start()
        for chunk in chunks:
            self._began_to_play(recordings())
            self._feed(chunk.astype("<i2", copy=False).tobytes())
        self._finish()
        return self.result

    def attach(self, desk: Desk) -> None:
        """Have utterances answered by `desk`."""
        self._desk = desk

    def fail(self, error: BaseException | str, exit_code: int, status: str) -> None:
        """Write into the result why the session ended early."""
        outcome = self.result.outcome
        outcome.status, outcome.exit_code, outcome.error = status, exit_code, str(error)
        outcome.processed_s = round(self._sent / 2 / RATE_HZ, 3)
        self._privacy()

    def idle(self) -> None:
        """Attend to the board and to answers for a moment: there is no audio yet."""
        self._poll(IDLE_S)

    def announce(self, facts: dict[str, Any]) -> None:
        """Tell the observer what will play."""
        self._note("host", "input", **facts)

    # --- streaming

    def _start(self) -> None:
        settings = self.settings
        self.board.connection.sync_clock()
        self.board.request(
            "start",
            quantize=0 if settings.compat == "esphome" else 1,
            privacy="local-only" if settings.local_only else "normal",
            pre_roll_ms=settings.pre_roll_ms,
            post_roll_ms=settings.post_roll_ms,
            endpoint=settings.endpoint,
        )
        self._began = self._clock()
        self._note("host", "started", **self.board.info)

    def _began_to_play(self, recordings: list[Recording]) -> None:
        for recording in recordings[len(self._recordings) :]:
            self._note("host", "recording", path=recording.path, start_s=recording.start_s)
        self._recordings = recordings

    def _feed(self, data: bytes) -> None:
        real_time = self.settings.real_time
        step = BLOCK_BYTES if real_time else FRAME_BYTES
        at = 0
        while at < len(data):
            # Frames end where hops do, however the audio comes: half a hop would make the board wait for the rest.
            until = min(at + step - self._sent % step, len(data))
            if real_time:
                self._pace(self._sent + until - at)
            else:
                self._hold()
            room = self._room(until - at)
            if not real_time:
                # As many whole frames as there is credit for: each look at the link costs as much as a frame.
                until = min(until + (room - (until - at)) // step * step, len(data))
            self._press(self._sent + until - at)
            while at < until:
                piece = data[at : min(at + step - self._sent % step, until)]
                self.board.connection.send(Channel.AUDIO, piece)
                self._sent += len(piece)
                at += len(piece)
            self._poll(0.0)
            self._observer("progress", {"seconds": self._sent / 2 / RATE_HZ})

    def _room(self, least: int) -> int:
        # Bytes that the board takes now, at least `least` of them.
        connection = self.board.connection
        stalled_at = self._clock() + self.settings.stall_s
        while (room := connection.credit(Channel.AUDIO)) < least:
            self._poll(0.05)
            if self._clock() > stalled_at:
                raise TimedOutError(
                    f"the board took no audio for {self.settings.stall_s:g} s",
                    hint="reset it, then run this again",
                )
        return room

    def _pace(self, until_bytes: int) -> None:
        # A block goes out when its last sample would have been spoken.
        due = self._began + until_bytes / 2 / RATE_HZ
        while (wait := due - self._clock()) > 0:
            self._poll(wait)

    def _hold(self) -> None:
        # Faster than real time, the audio waits while a request is open at the host: else how much of the recording
        # passes before the answer would depend on the machine's speed.
        while self._desk and self._answer_pending(self._desk):
            began = self._clock()
            self._collect(0.02)
            self._poll(0.0)
            self._held_s += self._clock() - began

    def _answer_pending(self, desk: Desk) -> bool:
        # From a wake on, answering must also be warm: its start-up would disturb what is timed.
        return desk.busy or (self._open is not None and not desk.ready.is_set())

    def _press(self, until_bytes: int) -> None:
        # The board is told before the audio arrives, so that the press falls on the same hop in every run.
        while self._presses and until_bytes >= self._presses[0] * RATE_HZ * 2:
            block = round(self._presses.pop(0) / BLOCK_S)
            self.board.request("listen", block=block, timeout_s=self.settings.stall_s)

    def _finish(self) -> None:
        for seconds in self._presses:
            self._note("host", "warning", text=f"the audio ended before the button was pressed at {seconds:g} s")
        report = self.board.request("end", samples=self._sent // 2, timeout_s=self.settings.stall_s)
        streamed = self._clock() - self._began
        for delivered in self.board.poll(0.0):
            self._handle(delivered)
        while self._desk and self._desk.busy:
            self._collect(0.05)
        self.board.connection.sync_clock()
        self._report(report, streamed)
        self._privacy()
        self._custody.check()
        failed = [request for request in self.result.requests if request.error]
        self.result.outcome.processed_s = round(self._sent / 2 / RATE_HZ, 3)
        if failed:
            raise CloudError(
                f"{len(failed)} of {len(self.result.requests)} requests were not answered: {failed[0].error}"
            )
        self.result.outcome.status = "passed"

    # --- what comes back

    def _poll(self, timeout_s: float) -> None:
        for delivered in self.board.poll(timeout_s):
            self._handle(delivered)
        self._collect(0.0)

    def _handle(self, delivered: Delivered) -> None:
        if delivered.channel == Channel.UTTERANCE:
            self._custody.arrived(len(delivered.payload))
            self._audio += delivered.payload
        elif delivered.channel == Channel.EVENT:
            event = json.loads(delivered.payload)
            handler = getattr(self, f"_on_{event.pop('ev')}", None)
            if handler:
                handler(event, delivered.at)
        elif delivered.channel == Channel.LOG:
            level, text = delivered.payload[:1], delivered.payload[1:].decode(errors="replace")
            self._note("board", "log", at=delivered.at, level=int.from_bytes(level, "little"), text=text)

    def _on_wake(self, event: dict[str, Any], at: float) -> None:
        t = frame_time(event["frame"])
        opens = event["request"] is not None
        wake = Wake(
            model=event["model"],
            t=t,
            score=round(event["sum"] / (255 * event["outputs"]), 3),
            recording=self._recording(t).path,
            request=len(self.result.requests) if opens else None,
        )
        self.result.wakes.append(wake)
        self._note("board", "wake", at=at, model=wake.model, t=t, score=wake.score, request=wake.request)
        if opens:
            self._opened(t, wake.model)

    def _on_listen(self, event: dict[str, Any], at: float) -> None:
        t = frame_time(event["frame"])
        self._note("board", "listen", at=at, t=t)
        self._opened(t, "button")

    def _opened(self, t: float, reason: str) -> None:
        self._open = Request(t_wake=t, audio={"reason": reason, "recording": self._recording(t).path})
        self.result.requests.append(self._open)
        self._custody.opened()
        self._audio.clear()

    def _on_speech(self, event: dict[str, Any], at: float) -> None:
        self._note("board", "speech", at=at, t=frame_time(event["frame"]))

    def _on_endpoint(self, event: dict[str, Any], at: float) -> None:
        request, self._open = self._open, None
        if request is None:
            return
        request.t_endpoint = frame_time(event["frame"])
        request.t_decided = frame_time(event["decided"])
        request.reason = event["reason"]
        line = self._custody.closed(event["ledger"], request.t_wake, request.t_decided)
        if line:
            request.audio |= {"from_s": line["from_s"], "to_s": line["to_s"], "bytes": line["bytes"]}
        self._note(
            "board",
            "endpoint",
            at=at,
            reason=request.reason,
            t_endpoint=request.t_endpoint,
            t_decided=request.t_decided,
            bytes=request.audio.get("bytes", 0),
        )
        if not line:
            return
        timeline, spoken_at = self._timeline(request.t_endpoint, request.t_decided, event, at)
        if self._desk is None:
            timeline.stop()
            request.book(timeline, spoken_at)
        else:
            samples = np.frombuffer(bytes(self._audio), "<i2")
            self._desk.submit(Job(request, samples, timeline, spoken_at, self.settings.real_time))

    def _timeline(
        self, t_endpoint: float, t_decided: float, event: dict[str, Any], at: float
    ) -> tuple[Timeline, float]:
        # From the stamped end of speech to the moment the whole utterance was here, in adjacent spans; and the host
        # time of that end. In real time it is when the sample was due; faster, it lies before the deciding hop by as
        # much audio as lies between them.
        connection = self.board.connection
        heard, sent = connection.board_time(event["us"]), connection.board_time(event["sent_us"])
        timeline = Timeline(self._clock, start=t_endpoint)
        timeline.add("endpoint", t_decided - t_endpoint, "audio")
        timeline.add("board", max(0.0, sent - heard), "board")
        # In real time the deciding hop's own way to the board counts too: from when its last sample was spoken.
        spoken = self._began + t_decided if self.settings.real_time else heard
        timeline.add("link", max(0.0, heard - spoken) + max(0.0, at - sent), "host")
        timeline.enter("host", since=at)
        return timeline, spoken - (t_decided - t_endpoint)

    def _collect(self, timeout_s: float) -> None:
        job = self._desk.finished(timeout_s) if self._desk else None
        if job is None:
            return
        request = job.request
        index = self.result.requests.index(request)
        for kind, size in job.forwarded.items():
            self._custody.forwarded(kind, request.audio["reason"], size, index)
        self._note(
            "host",
            "answered",
            transcript=request.transcript,
            reply=request.reply,
            actions=request.actions,
            where=request.where,
            error=request.error,
            latency_ms=request.latency_ms,
            clocks=request.clocks,
            index=index,
        )

    # --- reporting

    def _recording(self, t: float) -> Recording:
        current = Recording("", 0.0)
        for recording in self._recordings:
            if recording.start_s <= t:
                current = recording
        return current

    def _note(self, source: str, kind: str, *, at: float | None = None, **facts: Any) -> None:
        self.trace.add(source, kind, at=at, **facts)
        self._observer(kind, facts)

    def _privacy(self) -> None:
        self.result.privacy = {
            "bytes_before_wake": self._custody.bytes_before_wake,
            "bytes_received": self._custody.received,
            "pre_roll_s": self._custody.pre_roll_s,
            "ledger": self._custody.ledger,
        }

    def _report(self, report: dict[str, Any], streamed_s: float) -> None:
        stats = report["stats"]
        hops = max(1, stats["hops"])
        seconds = stats["hops"] * BLOCK_S
        custody = self._custody
        custody.bytes_before_wake = max(custody.bytes_before_wake, report["bytes_before_wake"])
        self.result.digest = report["digest"]
        self.result.counters = {
            "dropped_samples": report["dropped_samples"],
            "late_hops": stats["late"],
            "heap_low_water": stats["heap_low"],
            **report["link"],
        }
        self.result.timing = {
            "board_ms_per_hop": {key: stats[f"{key}_us"] / 1e3 for key in ("p50", "p99", "max")},
            "board_us_per_hop": {
                part: round(stats[f"{part}_us"] / hops, 2) for part in ("frontend", "wake", "endpoint", "link")
            },
            "real_time_factor": round(seconds / max(1e-9, streamed_s - self._held_s), 2),
            "stream_s": round(streamed_s, 4),
            "held_s": round(self._held_s, 4),
            "clock_error_us": self.board.connection.clock_error_us,
        }
