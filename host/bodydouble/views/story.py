"""Tells a session as it happens, so that someone who sees it first understands what happened."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bodydouble.views.waterfall import describe_action, waterfall

REASONS = {
    "silence": "then silence",
    "longest": "cut at the longest utterance",
    "nothing": "nobody said anything",
    "stream_end": "the recording ended",
}


class Story:
    """An observer of a session that prints what was heard, what was let out, what was done and where time went.

    `explain` adds the sentences that a first-time reader needs.
    """

    def __init__(self, console: Console, *, explain: bool = False) -> None:
        self._console = console
        self._explain = explain
        self._quiet_before = 0.0

    def __call__(self, kind: str, facts: dict[str, Any]) -> None:
        """Print one event of the session; kinds without a line of their own are passed over."""
        handler = getattr(self, f"_{kind}", None)
        if handler:
            handler(facts)

    def recording(self, name: str, text: str = "") -> None:
        """Announce the recording that plays next."""
        line = Text("▶ ", "bold") + Text(name, "bold")
        if text:
            line += Text(f"  {text}", "italic")
        self._console.print()
        self._console.print(line)

    def _started(self, facts: dict[str, Any]) -> None:
        if not self._explain:
            return
        self._say(
            f"The board is MicroPython {facts.get('micropython')} on {facts.get('machine')}; "
            f"its kernels are the {facts.get('tier')} tier."
        )

    def _wake(self, facts: dict[str, Any]) -> None:
        line = Text("heard ") + Text(facts["model"], "bold green") + Text(f" at {facts['t']:.2f} s")
        line += Text(f", score {facts['score']:.2f}", "dim")
        if facts["request"] is None:
            line += Text(" (a request is open already: it stays part of it)", "dim")
        self._line("●", line, "green")

    def _listen(self, facts: dict[str, Any]) -> None:
        self._line("●", Text(f"button pressed at {facts['t']:.2f} s"), "green")

    def _endpoint(self, facts: dict[str, Any]) -> None:
        if facts["reason"] == "nothing":
            self._line("■", Text("nobody said anything: nothing left the board"), "yellow")
            return
        size = facts["bytes"]
        line = Text(f"utterance until {facts['t_endpoint']:.2f} s, {REASONS[facts['reason']]}; ")
        line += Text(f"let out {size / 32000:.2f} s of audio ({size:,} bytes)", "bold")
        self._line("■", line, "yellow")

    def _answered(self, facts: dict[str, Any]) -> None:
        if facts["error"]:
            self._line("✗", Text(facts["error"], "red"), "red")
            return
        if facts["transcript"] is not None:
            self._line("“", Text(f"understood: {facts['transcript']}"), "cyan")
        for action in facts["actions"]:
            self._line("→", Text(f"did: {describe_action(action)}"), "magenta")
        where = {"cloud": "the cloud", "phone": "the phone"}.get(facts["where"], facts["where"])
        self._line("”", Text(f"{where} answered: ") + Text(facts["reply"] or "", "bold"), "cyan")
        if self._explain:
            self._say("Where the time went, from the end of speech to the reply's last word:")
        self._console.print(Padding(waterfall(facts["latency_ms"], facts["clocks"]), (0, 0, 0, 4)))

    def _log(self, facts: dict[str, Any]) -> None:
        self._line("·", Text(f"board: {facts['text']}", "dim"), "dim")

    def _line(self, mark: str, text: Text, style: str) -> None:
        self._console.print(Text(f"  {mark} ", style) + text)

    def _say(self, text: str) -> None:
        self._console.print(Padding(Text(text, "dim"), (0, 0, 0, 4)))
