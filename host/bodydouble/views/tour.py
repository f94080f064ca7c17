"""The demo's script: the shipped recordings, announced one by one, with what each is there to show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bodydouble.session.result import Result
from bodydouble.views.story import Story

INTRODUCTION = (
    "An AI phone has a small co-processor that always listens, and big models far away. Here MicroPython on a board "
    "stands in for the co-processor, this computer for the phone, and a simulated accelerator for the cloud. The "
    "board hears recordings as a microphone would; nothing may leave it before it has heard its wake word."
)


@dataclass(frozen=True)
class Chapter:
    """One recording of the demo: what is said in it, in which noise, and how many wakes it should give."""

    path: Path
    said: tuple[str, ...]
    noise: str
    wakes: int

    @property
    def title(self) -> str:
        """What is heard, in quotes, and the noise where it matters."""
        text = ", then ".join(f"“{words}”" for words in self.said)
        return f"{text} ({self.noise})" if self.noise else text


def chapters(folder: Path) -> list[Chapter]:
    """The demo's recordings in the order of their names, from the truth file beside them."""
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    found = []
    for recording in sorted(truth["recordings"], key=lambda entry: str(entry["file"])):
        turns = recording["turns"]
        said = tuple(", ".join(filter(None, (turn["wake_word"], turn["text"]))) for turn in turns)
        loud = recording["noise"] and recording["snr_db"] < 30
        noise = f"in {recording['noise']} noise, {recording['snr_db']:g} dB below the voice" if loud else ""
        wakes = sum(1 for turn in turns if turn["wake_word"])
        found.append(Chapter(folder / recording["file"], said, noise, wakes))
    return found


class Tour(Story):
    """Tells the demo: announces each recording when the board reaches it, then what came of it."""

    def __init__(self, console: Console, script: list[Chapter]) -> None:
        super().__init__(console, explain=True)
        self._script = script

    def introduce(self) -> None:
        """What this is all about, before anything happens."""
        self._console.print(Padding(Text(INTRODUCTION), (1, 0, 0, 0)))

    def title(self, index: int, path: str) -> Text:
        """What is said in the recording, beside its name."""
        return Text(self._script[index].title, "bold") + Text(f"  {Path(path).name}", "dim")


def as_told(result: Result, script: list[Chapter]) -> list[str]:
    """What did not go as the script says, one line each; empty when all did."""
    problems = []
    for chapter in script:
        heard = sum(1 for wake in result.wakes if Path(wake.recording).name == chapter.path.name)
        if heard != chapter.wakes:
            problems.append(f"{chapter.path.name}: {heard} wakes instead of {chapter.wakes}")
    answered = sum(1 for request in result.requests if request.reply and not request.error)
    expected = sum(chapter.wakes for chapter in script)
    if answered != expected:
        problems.append(f"{answered} requests answered instead of {expected}")
    return problems
