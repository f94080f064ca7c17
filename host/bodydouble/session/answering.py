"""Everything that answers an utterance: recogniser, agent, home and cloud, warmed up beside the board's start."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bodydouble.clock import Clock, Timeline
from bodydouble.errors import BodydoubleError
from bodydouble.phone.asr import Vocabulary
from bodydouble.phone.asr.sphinx import SphinxRecogniser
from bodydouble.phone.home import Home
from bodydouble.session.desk import Desk
from bodydouble.session.meter import MeteredClient

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bodydouble.cloud.brain.registry import Registry
    from bodydouble.cloud.service import Recognise
    from bodydouble.phone.agent import Agent, Turn
    from bodydouble.phone.asr import Recogniser
    from bodydouble.session.cloud import Cloud
    from bodydouble.session.local import LocalAgent


class Answering:
    """Builds the agent once, on a thread of its own, and lends it to a `desk`. Close it when the session ends.

    The cloud's options and the home's file are checked at once, so that a mistake in them is told before anything
    streams; what is slow (imports, acoustic models, the service) waits for `prewarm` or the first utterance.
    Under `local_only` the cloud is checked, never started, and nothing is made that could reach it.
    """

    def __init__(
        self,
        cloud: Cloud,
        *,
        asr: Literal["phone", "cloud"],
        home: Home | Path | None,
        seed: int,
        clock: Clock,
        local_only: bool = False,
    ) -> None:
        self._cloud = cloud
        self._asr: Literal["phone", "cloud"] = asr
        self._seed = seed
        self._clock = clock
        self._local_only = local_only
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._closed = False
        self._agent: Agent | LocalAgent | None = None
        self._client: MeteredClient | None = None
        # The acoustic models load on first use: making the recogniser costs nothing.
        self._recogniser = SphinxRecogniser(seed=seed) if asr == "phone" or cloud.kind == "sim" else None
        if asr == "cloud" and self._recogniser:
            cloud.recognise = _in_the_cloud(self._recogniser)
        cloud.check()
        if isinstance(home, Home):
            self.home = home
        else:
            self.home = self._stack.enter_context(Home(home))
        self.desk = Desk(self._handle, self._take, clock)

    def prewarm(self) -> None:
        """Do now what the first utterance would wait for; what goes wrong is told with that utterance."""
        try:
            self._built()
        except BodydoubleError:
            pass
        except Exception:
            if not self._closed:  # else what it was made of was closed under its hands
                raise
        finally:
            self.desk.ready.set()

    def close(self) -> None:
        """Stop the service and let go of the home; where they are being made still, as soon as that is over."""
        self.desk.close()
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._stack.close()
            finally:
                self._lock.release()

    def _handle(self, pcm: NDArray[np.int16], timeline: Timeline) -> Turn:
        return self._built().handle(pcm, timeline)

    def _take(self) -> dict[str, int]:
        return self._client.take() if self._client else {}

    def _built(self) -> Agent | LocalAgent:
        try:
            with self._lock:
                if self._agent is None:
                    self._agent = self._build()
                return self._agent
        finally:
            if self._closed:  # meanwhile, and it could not wait
                self._let_go()

    def _build(self) -> Agent | LocalAgent:
        from bodydouble.phone.agent import Agent  # noqa: PLC0415 - slow to import
        from bodydouble.phone.client import make_client  # noqa: PLC0415

        recogniser = self._recogniser
        if recogniser is not None:
            recogniser.prewarm(Vocabulary.of(self.home))
        if recogniser is not None and self._local_only:
            from bodydouble.session.local import LocalAgent  # noqa: PLC0415

            return LocalAgent(self.home, recogniser)
        cloud = self._stack.enter_context(self._cloud)
        cloud.prewarm()
        self._client = MeteredClient(make_client(cloud.url))
        return Agent(
            self._client,
            self.home,
            recogniser if self._asr == "phone" else None,
            cloud.model_id,
            asr=self._asr,
            clock=self._clock,
        )


def _in_the_cloud(recogniser: Recogniser) -> Recognise:
    # The service knows of the home what the request's tools name, and no more.
    def recognise(samples: NDArray[np.int16], names: Registry) -> str:
        vocabulary = Vocabulary(
            lights=names.lights,
            switches=names.switches,
            thermostats=names.thermostats,
            locks=names.locks,
            sensors=names.sensors,
            areas=names.areas,
        )
        return recogniser.recognise(samples, vocabulary).text

    return recognise
