"""Nothing is unlocked without the user's word for it, whatever the model says.

A request to unlock is answered by a question and remembered. Only the very next thing that the user says can
answer it, within a minute, and only by a plain yes; anything else drops it. A model cannot confirm in the
user's place: what it asks for and what it claims within one turn never opens anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CONFIRM_WITHIN_S = 60.0
_SPACE = re.compile(r"[^a-z0-9']+")
WAKE_WORDS = ("alexa", "hey jarvis", "okay nabu", "hey mycroft")
_WAKE = re.compile(rf"(?:{'|'.join(WAKE_WORDS)}) ")
_YES = re.compile(
    r"(?:yes|yeah|yep|yup|sure|correct|confirm|confirmed|i confirm|go ahead|do it|of course|absolutely)"
    r"(?: please| sure| go ahead| do it| confirm| i confirm)?"
    r"(?: (?:unlock|open) (?:it|them|the (?P<name>[a-z0-9' ]+?)))?(?: please)?"
)


def normalise(text: str) -> str:
    """Lower case, words only, single spaces, without a wake word in front."""
    return _WAKE.sub("", _SPACE.sub(" ", text.casefold()).strip() + " ", count=1).strip()


def affirms(transcript: str, name: str) -> bool:
    """Whether `transcript` as a whole is a yes, and names no other lock than `name`."""
    match = _YES.fullmatch(normalise(transcript))
    return match is not None and match["name"] in (None, name)


@dataclass
class LockGuard:
    """Which unlocks the user was asked about, and whether what was said since confirms them.

    Call order of a turn: `begin_turn`, `heard` as soon as the transcript is known (never, when it is not),
    `may_unlock` for each request, `end_turn`.
    """

    _asked: dict[str, float] = field(default_factory=dict)  # in earlier turns: name -> session time of that turn
    _asking: dict[str, float] = field(default_factory=dict)  # in this turn
    _now_s: float = 0.0
    _transcript: str | None = None

    def begin_turn(self, now_s: float) -> None:
        """A user turn begins at `now_s`, seconds of session time."""
        self._asking.clear()  # of a turn that was broken off
        self._now_s, self._transcript = now_s, None
        self._asked = {name: at for name, at in self._asked.items() if 0 <= now_s - at <= CONFIRM_WITHIN_S}

    def heard(self, transcript: str) -> None:
        """What the user said in this turn: what is no yes drops every question."""
        self._transcript = transcript
        self._asked = {name: at for name, at in self._asked.items() if affirms(transcript, name)}

    def may_unlock(self, name: str, confirmed: bool) -> bool:
        """Whether `name` may open now, once; if not, the question counts as asked in this turn."""
        asked = self._asked.pop(name, None)
        if asked is not None and confirmed:
            return True
        self._asking[name] = self._now_s
        return False

    def end_turn(self) -> None:
        """The turn is over: what it asked can be answered by the next one, older questions cannot."""
        self._asked, self._asking = self._asking, {}

    def forget(self) -> None:
        """Drop every question: the turn failed, and nobody knows what the user has heard of it."""
        self._asked, self._asking = {}, {}
