"""A whole run from plain options: opens input, board, cloud and home, plays, and always leaves a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bodydouble.boards import Board
from bodydouble.errors import BodydoubleError, ExitCode
from bodydouble.session.cloud import Cloud
from bodydouble.session.player import Observer, Settings
from bodydouble.session.result import Result
from bodydouble.session.roomy import open_roomy_board
from bodydouble.session.session import Asr, Session, heap_needed
from bodydouble.session.trace import Trace
from bodydouble.streams import Source, open_sources


@dataclass(frozen=True)
class RunOptions:
    """What a run is made of. `recordings` are paths, or `-` for raw 16 kHz int16 on standard input."""

    recordings: tuple[str, ...] = ()
    gap_s: float = 5.0
    microphone: str | None = None
    """Capture from the host's microphone instead: a device's name, or "" for the default one."""
    seconds: float | None = None
    board: str = "unix"
    tier: str | None = None
    heap_bytes: int | None = None
    wake: tuple[str, ...] = ("alexa",)
    asr: Asr = "phone"
    home: Path | None = None
    seed: int = 0
    settings: Settings = field(default_factory=Settings)


class Run:
    """One execution of `options`; `result` and `trace` hold what is known, also after an error."""

    def __init__(self, options: RunOptions, cloud: Cloud, observer: Observer | None = None) -> None:
        self._options = options
        self._cloud = cloud
        self.observer: Observer = observer or (lambda kind, facts: None)
        self.result = Result()
        self.trace = Trace()

    def execute(self) -> Result:
        """Play everything; raises what ended the run early, once the result says so too."""
        try:
            return self._execute()
        except KeyboardInterrupt:
            self._failed("interrupted", "interrupted", ExitCode.INTERRUPTED)
            raise
        except BodydoubleError as error:
            self._failed(str(error), type(error).__name__, error.exit_code)
            raise
        except Exception as error:
            # Not the session's own: standard output that takes no more, say, or a defect.
            self._failed(str(error), type(error).__name__, ExitCode.EXPECTATION)
            raise

    def _execute(self) -> Result:
        options = self._options
        # What the user may have mistyped is told before anything starts.
        needed = heap_needed(options.wake, options.settings.endpoint_by)
        self._cloud.check()
        with self._source() as source, self._board(needed) as board:
            session = Session(
                board,
                self._cloud,
                wake=options.wake,
                asr=options.asr,
                home=options.home,
                settings=options.settings,
                seed=options.seed,
                observer=self.observer,
            )
            self.result, self.trace = session.result, session.trace
            with session:
                return session.play(source)

    def _board(self, needed_bytes: int) -> Board:
        options = self._options

        def grown(own_bytes: int, heap_bytes: int) -> None:
            self.observer("heap", {"words": len(options.wake), "own_bytes": own_bytes, "heap_bytes": heap_bytes})

        return open_roomy_board(
            options.board, needed_bytes, tier=options.tier, heap_bytes=options.heap_bytes, grown=grown
        )

    def _source(self) -> Source:
        options = self._options
        return open_sources(
            options.recordings, gap_s=options.gap_s, microphone=options.microphone, seconds=options.seconds
        )

    def _failed(self, error: str, status: str, code: ExitCode) -> None:
        outcome = self.result.outcome
        if outcome.status == "running":
            outcome.status, outcome.error, outcome.exit_code = status, error, int(code)
