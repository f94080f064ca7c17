"""What a person sees on a real terminal: the story's lines, and no piece of a progress bar between them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.processes import COMMAND, DEMO, environment

LIGHT = DEMO / "01-kitchen-light.flac"
COLUMNS = 100
TOKEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")
BAR = re.compile(r"\d s of audio +[━╸╺]")


class Screen:
    """As much of a terminal as rich uses: it does not scroll, so that nothing gets lost."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        for parameters, command, home, feed, plain in TOKEN.findall(text):
            if command == "A":
                self.row = max(0, self.row - int(parameters or 1))
            elif command == "K":
                assert parameters == "2"
                self.lines[self.row] = ""
            elif command:
                assert command in "hlm", command
            elif home:
                self.column = 0
            elif feed:
                self._down()
            else:
                self._write(plain)

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _write(self, text: str) -> None:
        for character in text:
            if self.column == COLUMNS:
                self.column = 0
                self._down()
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1


def on_a_terminal(arguments: Sequence[str | Path], *, out: Path | None = None) -> str:
    """The bytes that a terminal gets which is the command's stderr, and its stdout too unless `out` takes it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    variables = {**environment(), "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    stdout = os.open(out, os.O_WRONLY | os.O_CREAT) if out else os.dup(theirs)
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=theirs, stdout=stdout, stderr=theirs, env=variables
    )
    os.close(theirs)
    os.close(stdout)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # how Linux says that the other side closed
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=60) == 0, seen
    return seen.decode()


@pytest.mark.parametrize("json", [False, True], ids=["story on stdout", "story on stderr"])
def test_the_bar_leaves_nothing_between_the_lines(json: bool, tmp_path: Path) -> None:
    # With --json - the story goes to stderr, which is the bar's terminal as well.
    out = tmp_path / "out.json" if json else None
    seen = on_a_terminal(["stream", LIGHT, *(["--json", "-"] if json else [])], out=out)
    assert BAR.search(re.sub(r"\x1b\[[\d;]*m", "", seen)), "there was no bar to see"
    screen = Screen()
    screen.feed(seen)
    shown = "\n".join(line.rstrip() for line in screen.lines)
    assert not BAR.search(shown), shown
    for start in ("▶ ", "  ● heard alexa", "  ■ utterance until", "  ” the cloud answered"):
        assert f"\n{start}" in shown, shown


def test_a_story_that_goes_elsewhere_leaves_the_terminal_to_the_bar(tmp_path: Path) -> None:
    out = tmp_path / "story.txt"
    seen = on_a_terminal(["stream", LIGHT, "--cloud", "none"], out=out)
    assert "s of audio" in seen
    assert "heard alexa" in out.read_text() and "\x1b" not in out.read_text()
    screen = Screen()
    screen.feed(seen)
    assert "".join(screen.lines).strip() == ""  # the bar goes when the run ends
