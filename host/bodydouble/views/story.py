"""Tells a session as it happens, so that someone who sees it first understands what happened."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bodydouble.link.wire import LogLevel
from bodydouble.streams.errors import shown
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
        self._recordings: list[tuple[float, str]] = []
        self._announced = 0
        self._happened = True

    def __call__(self, kind: str, facts: dict[str, Any]) -> None:
        """Print one event of the session; kinds without a line of their own are passed over."""
        if kind in ("wake", "listen"):
            self._reach(facts["t"])
            self._happened = True
        handler = getattr(self, f"_{kind}", None)
        if handler:
            handler(facts)

    def finish(self) -> None:
        """The session has ended: announce what has not been, because nothing happened in it."""
        self._reach(float("inf"))
        self._note_quiet()

    def title(self, index: int, path: str) -> Text:
        """The line that announces recording number `index` (from 0), played from `path`."""
        del index
        return Text(shown(path), "bold")

    def _recording(self, facts: dict[str, Any]) -> None:
        # Audio is sent ahead of what the board hears, so a recording is announced by its first event.
        self._recordings.append((facts["start_s"], facts["path"]))

    def _reach(self, seconds: float) -> None:
        while self._announced < len(self._recordings) and self._recordings[self._announced][0] <= seconds:
            self._note_quiet()
            self._console.print()
            self._console.print(
                Text("▶ ", "bold") + self.title(self._announced, self._recordings[self._announced][1])
            )
            self._announced += 1
            self._happened = False

    def _note_quiet(self) -> None:
        if self._announced and not self._happened:
            self._line("○", Text("no wake word heard: the board let nothing out"), "green")
            self._happened = True

    def _started(self, facts: dict[str, Any]) -> None:
        if not self._explain:
            return
        self._say(
            f"The board is MicroPython {facts.get('micropython')} on {facts.get('machine')}; "
            f"its kernels are the {facts.get('tier')} tier."
        )

    def _input(self, facts: dict[str, Any]) -> None:
        for warning in facts["warnings"]:
            self._line("!", Text(warning), "yellow")

    def _heap(self, facts: dict[str, Any]) -> None:
        text = f"these models need more than the board's {facts['own_bytes'] // 1024} KiB of heap: "
        text += f"it was given {facts['heap_bytes'] // 1024} KiB"
        self._line("!", Text(text), "yellow")

    def _endpoint_by_rule(self, facts: dict[str, Any]) -> None:
        self._line(
            "!", Text(f"requests end by the board's rule, without the voice-activity model: {facts['why']}"), "yellow"
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
        if not facts["bytes"]:
            self._line("■", Text("nobody said anything: nothing left the board"), "yellow")
            return
        size = facts["bytes"]
        line = Text(f"utterance until {facts['t_endpoint']:.2f} s, {REASONS[facts['reason']]}; ")
        line += Text(f"let out {size / 32000:.2f} s of audio ({size:,} bytes)", "bold")
        self._line("■", line, "yellow")

    def _answered(self, facts: dict[str, Any]) -> None:
        if facts["transcript"] is not None:
            self._line("“", Text(f"understood: {facts['transcript']}"), "cyan")
        for action in facts["actions"]:
            self._line("→", Text(f"did: {describe_action(action)}"), "magenta")
        if facts["error"]:
            self._line("✗", Text(facts["error"]), "red")
            return
        where = {"cloud": "the cloud", "phone": "the phone"}.get(facts["where"], facts["where"])
        self._line("”", Text(f"{where} answered: ") + Text(facts["reply"] or "", "bold"), "cyan")
        if self._explain:
            self._say("Where the time went, from the end of speech to the reply's last word:")
        self._console.print(Padding(waterfall(facts["latency_ms"], facts["clocks"]), (0, 0, 0, 4)))

    def _warning(self, facts: dict[str, Any]) -> None:
        self._line("!", Text(facts["text"]), "yellow")

    def _log(self, facts: dict[str, Any]) -> None:
        if facts["level"] >= LogLevel.WARNING:
            self._line("!", Text(f"board: {facts['text']}"), "yellow")

    def _line(self, mark: str, text: Text, style: str) -> None:
        row = Table.grid(padding=(0, 1))
        row.add_column(width=3, justify="right", no_wrap=True)
        row.add_column()
        text.style = style
        row.add_row(Text(mark, style), text)
        self._console.print(row)

    def _say(self, text: str) -> None:
        self._console.print(Padding(Text(text, "dim"), (0, 0, 0, 4)))
