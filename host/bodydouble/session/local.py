"""Answers a request where nothing may go to the cloud: the phone hears it, and says what it cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodydouble.phone.agent import UNHEARD_REPLY, Turn, Usage
from bodydouble.phone.asr import Recogniser, Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bodydouble.clock import Timeline
    from bodydouble.phone.home import Home

LOCAL_REPLY = "I must keep that on this phone, and I cannot answer it without the cloud."


class LocalAgent:
    """Takes utterances as the agent does, and has no client that it could send them by."""

    def __init__(self, home: Home, recogniser: Recogniser) -> None:
        self._home = home
        self._recogniser = recogniser

    def handle(self, pcm: NDArray[np.int16], timeline: Timeline) -> Turn:
        """Recognise int16 samples at 16 kHz on the phone; the reply says that the cloud is not asked."""
        timeline.enter("host")
        transcript = self._recogniser.recognise(pcm, Vocabulary.of(self._home)).text.strip()
        end_s = timeline.stop()
        return Turn(
            transcript=transcript,
            reply=LOCAL_REPLY if transcript else UNHEARD_REPLY,
            actions=[],
            stop_reason="local_only" if transcript else "unheard",
            usage=Usage(),
            first_reply_s=end_s - timeline.start,
            end_s=end_s,
            where="phone",
        )
