"""Runs the real command in a process of its own, watches it, and sees that nothing is left of it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "tests" / "data" / "demo"
RECORDINGS = ROOT / "tests" / "data" / "recordings"
COMMAND = (sys.executable, "-m", "bodydouble.cli.main")
PATIENCE_S = 60.0
"""Longest wait for anything; a busy machine may need some of it."""
STEP_S = 0.01
MARK = "TEST_RUN_MARK"

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], what: str, timeout_s: float = PATIENCE_S) -> T:
    """Poll until `look` returns something true; fails the test after `timeout_s`."""
    until = time.monotonic() + timeout_s
    while not (found := look()):
        if time.monotonic() > until:
            pytest.fail(f"no {what} within {timeout_s:g} s")
        time.sleep(STEP_S)
    return found


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without options for the tool, then `changes`."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("BODYDOUBLE_") or key in ("BODYDOUBLE_CACHE", "BODYDOUBLE_MICROPYTHON")
    }
    return {**kept, "COLUMNS": "200", **changes}


@dataclass
class Done:
    """A run that has ended."""

    code: int
    out: str
    err: str
    seconds: float
    """From the last signal (else the start) to the end."""

    def one_line(self) -> str:
        """The one line on stderr, without its newline; fails where there is none or more."""
        lines = self.err.splitlines()
        assert len(lines) == 1, f"{len(lines)} lines on stderr:\n{self.err}"
        assert self.err.endswith("\n")
        return lines[0]


@dataclass
class Running:
    """A run that is under way: its output is read as it comes."""

    process: subprocess.Popen[str]
    started: float = field(default_factory=time.monotonic)
    _lines: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _out: list[str] = field(default_factory=list)
    _err: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        for stream, kept, told in (
            (self.process.stdout, self._out, True),
            (self.process.stderr, self._err, False),
        ):
            if stream is not None:
                thread = threading.Thread(target=self._read, args=(stream, kept, told), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _read(self, stream: IO[str], kept: list[str], told: bool) -> None:
        for line in stream:
            kept.append(line)
            if told:
                self._lines.put(line)
        if told:
            self._lines.put(None)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def err(self) -> str:
        return "".join(self._err)

    def says(self, text: str, timeout_s: float = PATIENCE_S) -> str:
        """Wait for a line of stdout that holds `text`."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"{text!r} was not printed within {timeout_s:g} s:\n{''.join(self._out)}{self.err}")
            if line is None:
                self.process.wait(PATIENCE_S)
                pytest.fail(f"ended before it printed {text!r}:\n{''.join(self._out)}{self.err}")
            if text in line:
                return line

    def board(self) -> psutil.Process:
        """The board's process, once there is one."""

        def look() -> psutil.Process | None:
            assert self.process.poll() is None, f"ended before there was a board: {self.err}"
            return next(iter(boards(self.pid)), None)

        return wait_for(look, "board")

    def send(self, number: signal.Signals) -> None:
        """Send a signal and start measuring."""
        self.started = time.monotonic()
        self.process.send_signal(number)

    def done(self, timeout_s: float = PATIENCE_S) -> Done:
        """Wait for the end."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {timeout_s:g} s:\n{''.join(self._out)}{self.err}")
        seconds = time.monotonic() - self.started
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return Done(code, "".join(self._out), self.err, seconds)


def boards(pid: int) -> list[psutil.Process]:
    """Children of `pid` that play a board (they run the firmware's main)."""
    try:
        return [child for child in psutil.Process(pid).children(recursive=True) if _plays(child)]
    except psutil.NoSuchProcess:
        return []


def _plays(child: psutil.Process) -> bool:
    try:
        command = child.cmdline()
    except psutil.Error:
        return False
    return "-m" in command and "main" in command and any(part.startswith("heapsize=") for part in command)


@contextmanager
def running(
    *arguments: str | Path,
    stdin: int | IO[Any] | None = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.PIPE,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    command: tuple[str, ...] = COMMAND,
) -> Iterator[Running]:
    """Start the tool; at the end, neither it nor any process that it started may be left."""
    # Whatever comes of this run inherits the mark: orphans are found by it, whoever their parent is by then.
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        cwd=cwd,
        env=environment(**{MARK: mark, **(env or {})}),
        preexec_fn=_hear_interrupts,  # noqa: PLW1509 - one call that takes no lock
    )
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        _must_be_gone(mark)


def _hear_interrupts() -> None:
    # Where the tests themselves run in the background, Ctrl-C is ignored, and would be in what they start.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _must_be_gone(mark: str) -> None:
    _, left = psutil.wait_procs([process for process in psutil.process_iter() if _has(process, mark)], timeout=5)
    for process in left:
        process.kill()
    assert not left, f"left behind: {left}"


def _has(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def run(*arguments: str | Path, timeout_s: float = PATIENCE_S, **options: Any) -> Done:
    """Run the tool to its end."""
    with running(*arguments, **options) as tool:
        return tool.done(timeout_s)


def read_json(path: Path) -> dict[str, Any]:
    """A written result: strict JSON, schema 1, with an outcome that is no longer `running`."""
    result = strict(path.read_text(encoding="utf-8"))
    assert result["outcome"]["status"] != "running"
    return result


def strict(text: str) -> dict[str, Any]:
    """Parse JSON that may not hold NaN or Infinity; checks the schema's version."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    result: dict[str, Any] = json.loads(text, parse_constant=refuse)
    assert next(iter(result)) == "schema"
    assert result["schema"] == 1
    return result
