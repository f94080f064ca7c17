"""One run: a board, its inputs, a cloud, and the result and trace that came out."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from bodydouble.clock import Clock, monotonic
from bodydouble.errors import BodydoubleError, ExitCode, InputError
from bodydouble.session.ahead import live
from bodydouble.session.cloud import Cloud
from bodydouble.session.player import RATE_HZ, Observer, Player, Recording, Settings
from bodydouble.session.result import Result
from bodydouble.session.voice import DETECTORS, NAME, find_voice_model
from bodydouble.session.words import COMPATIBILITIES, find_words

if TYPE_CHECKING:
    from bodydouble.boards.board import Board
    from bodydouble.phone.home import Home
    from bodydouble.streams import Source

DEFAULT_WAKE = ("alexa",)
LOADED_BYTES = 4096
"""What a loaded plan takes on the board beside its bytes and its arena."""
SPARE_BYTES = 24 * 1024
"""What must stay free on the board for its events and the link."""
Asr = Literal["phone", "cloud"]


class Session:
    """Plays recordings into `board` and answers what it lets out; a context manager.

    `cloud` says who answers (None: nobody, wakes only). `wake` names the words that are listened for; `home` is the
    simulated home that tools act on, a fresh one in memory where it is left out. `seed` makes the recogniser's and
    the cloud's random choices repeatable. Raises InputError for options that do not fit together.
    """

    def __init__(
        self,
        board: Board,
        cloud: Cloud | None = None,
        *,
        wake: Iterable[str] = DEFAULT_WAKE,
        asr: Asr = "phone",
        home: Home | Path | None = None,
        settings: Settings | None = None,
        seed: int = 0,
        observer: Observer | None = None,
        clock: Clock = monotonic,
    ) -> None:
        settings = settings or Settings()
        if settings.compat not in COMPATIBILITIES:
            raise InputError(f"--compat {settings.compat!r} is not known", hint=f"use {' or '.join(COMPATIBILITIES)}")
        if settings.endpoint_by not in DETECTORS:
            raise InputError(
                f"--endpoint {settings.endpoint_by!r} is not known", hint=f"use {' or '.join(DETECTORS)}"
            )
        if asr == "cloud" and settings.local_only:
            raise InputError("--asr cloud sends audio to the cloud, which local-only forbids", hint="use --asr phone")
        self._cloud = cloud or Cloud(kind="none")
        self._words = find_words(list(wake))
        # Bedrock's own models take no recordings: the phone recognises.
        self._asr: Asr = "phone" if self._cloud.kind == "bedrock" else asr
        self._home = home
        self._seed = seed
        self._clock = clock
        self._settings = settings
        self._stack = ExitStack()
        self._plans: dict[str, dict[str, Any]] = {}
        self._endpoint_by = "rule"
        self._played = False
        self._player = Player(board, None, settings, clock=clock, observer=observer)
        self.board = board
        self.trace = self._player.trace
        self._describe(settings)

    @property
    def result(self) -> Result:
        """What the newest `play` found out so far."""
        return self._player.result

    def __enter__(self) -> Session:
        """Start the cloud and load the wake words."""
        try:
            self._open()
        except BodydoubleError as error:
            self._player.fail(error, int(error.exit_code), type(error).__name__)
            self._stack.close()
            raise
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the cloud; the board stays open."""
        self._stack.close()

    def play(self, source: Source) -> Result:
        """Play `source` to its end and wait for every answer; again and again, each time with a result of its own.

        Raises the first BodydoubleError that ends the session early, or KeyboardInterrupt; `result` then says how
        far it got.
        """
        player = self._player
        if self._played:
            player.renew()
            self._describe(self._settings)
        self._played = True
        self.result.input = _describe_input(source)
        player.announce(self.result.input)
        try:
            player.run(live(source, player.idle) if _waits(source) else source, lambda: _recordings(source))
        except KeyboardInterrupt:
            player.fail("interrupted", 130, "interrupted")
            raise
        except BodydoubleError as error:
            player.fail(error, int(error.exit_code), type(error).__name__)
            raise
        except Exception as error:
            player.fail(error, int(ExitCode.EXPECTATION), type(error).__name__)
            raise
        finally:
            self.result.input = _describe_input(source)
        return self.result

    def _open(self) -> None:
        from bodydouble.compiler.cache import load_plan  # noqa: PLC0415 - only when something is loaded
        from bodydouble.compiler.packing import best_packing  # noqa: PLC0415 - as above

        if self._cloud.kind == "none":
            self._cloud.check()
        else:
            self._answering()
        packing = best_packing(self.board.info.get("packings", ()))
        plans = [load_plan(word.path, packing=packing) for word in self._words]
        self._player.load((word, plan.blob, plan.arena_bytes) for word, plan in zip(self._words, plans, strict=True))
        for word, plan in zip(self._words, plans, strict=True):
            self._plans[word.name] = {
                "plan_bytes": len(plan.blob),
                "arena_bytes": plan.arena_bytes,
                "tensor_arena_size": word.tensor_arena_size,
                "sha256": plan.sha256,
            }
        if self._settings.endpoint_by == "model":
            model = find_voice_model()
            plan = load_plan(model.path, name=NAME, packing=packing)
            if self._player.load_voice(model, plan.blob, plan.arena_bytes):
                self._endpoint_by = "model"
        self._describe(self._settings)

    def _answering(self) -> None:
        # Slow imports happen on a thread of their own while the board starts and the first audio streams.
        from bodydouble.session.answering import Answering  # noqa: PLC0415

        answering = Answering(
            self._cloud,
            asr=self._asr,
            home=self._home,
            seed=self._seed,
            clock=self._clock,
            local_only=self._settings.local_only,
        )
        self._stack.callback(answering.close)
        threading.Thread(target=answering.prewarm, name="bodydouble-prewarm", daemon=True).start()
        self._player.attach(answering.desk)

    def _describe(self, settings: Settings) -> None:
        self.result.board = dict(self.board.info)
        self.result.cloud = (Cloud(kind="none") if settings.local_only else self._cloud).describe()
        self.result.options = {
            "wake": [word.name for word in self._words],
            "compat": settings.compat,
            "endpoint_by": self._endpoint_by,
            "asr": self._asr,
            "real_time": settings.real_time,
            "privacy": "local-only" if settings.local_only else "normal",
            "seed": self._seed,
            "plans": self._plans,
        }


def heap_needed(wake: Iterable[str], endpoint_by: str = "model") -> int:
    """Bytes of free heap that a board needs to listen for these words, and to load the voice-activity model."""
    from bodydouble.compiler.cache import load_plan  # noqa: PLC0415 - only when something is loaded

    plans = [load_plan(word.path) for word in find_words(list(wake))]
    if endpoint_by == "model":
        plans.append(load_plan(find_voice_model().path, name=NAME))
    return sum(len(plan.blob) + plan.arena_bytes + LOADED_BYTES for plan in plans) + SPARE_BYTES


def _waits(source: Source) -> bool:
    # Whether its audio may be still in the making; `--seconds` gives such a source a length too.
    return source.seconds is None or source.path == "-" or source.kind == "microphone"


def _recordings(source: Source) -> list[Recording]:
    return [Recording(part.path, part.offset_s) for part in source.parts]


def _describe_input(source: Source) -> dict[str, Any]:
    return {
        "path": source.path or source.label,
        "seconds": source.seconds if source.seconds is not None else source.position_samples / RATE_HZ,
        "sample_rate": RATE_HZ,
        "native_rate_hz": source.native_rate_hz,
        "channels": source.channels,
        "recordings": [{"path": part.path, "start_s": part.offset_s} for part in source.parts],
        "warnings": list(source.warnings),
    }
