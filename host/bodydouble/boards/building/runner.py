"""Runs the commands of a build: output into a log, and nothing left running however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import which
from types import TracebackType

from bodydouble.boards import launcher
from bodydouble.boards.building.errors import BuildFailedError
from bodydouble.boards.signals import hold_interrupts, release_interrupts

END_S = 5.0
"""So long may a command take to end when it is told to."""
TAIL_BYTES = 65536
_TELLING = re.compile(r"\berror\b|^E: |\bfatal\b|No space left|Permission denied|command not found", re.IGNORECASE)
_MAKE = re.compile(r"^g?make(\[\d+\])?: ")


class Runner:
    """A build's log, and what runs into it; a context manager."""

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._file = log.open("ab")

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def note(self, text: str) -> None:
        """Write a line of our own into the log."""
        self._file.write(f"--- {text}\n".encode())
        self._file.flush()

    def run(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> None:
        """Run `command` to its end. BuildFailedError tells the line of its output that says why, and the log."""
        self.note(" ".join(command))
        began = self._file.tell()
        code, _ = self._execute(command, cwd, environment, output=False)
        if code:
            said = self._said(began)
            raise BuildFailedError(
                f"{Path(command[0]).name} failed ({'signal' if code < 0 else 'exit code'} {abs(code)}): {said}",
                hint=f"its log is {self.log}; the same command goes on from here",
            )

    def ask(self, command: Sequence[str], cwd: Path) -> str:
        """Standard output of a command; "" where it fails."""
        self.note(" ".join(command))
        code, output = self._execute(command, cwd, None, output=True)
        return output.decode(errors="replace") if code == 0 else ""

    def _execute(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None, *, output: bool
    ) -> tuple[int, bytes]:
        path = which(command[0])
        if path is None:
            raise BuildFailedError(f"{command[0]} was not found", hint="install it, or correct PATH")
        # By the launcher: it dies with us, and takes the signals that are held while it is born.
        started = [sys.executable, "-I", "-S", str(launcher.__file__), str(os.getpid()), "exec", path, *command[1:]]
        held = hold_interrupts()
        try:
            process = subprocess.Popen(
                started,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if output else self._file,
                stderr=self._file,
                cwd=cwd,
                env={**os.environ, **(environment or {}), "LC_ALL": "C"},
                start_new_session=True,
            )
        except BaseException:
            release_interrupts(held)
            raise
        try:
            release_interrupts(held)
            said, _ = process.communicate()
        except BaseException:
            _end(process)
            raise
        return process.returncode, said or b""

    def _said(self, since: int) -> str:
        # The compiler's or apt's own complaint is worth more than make's echo of it, or than the last line.
        with self.log.open("rb") as file:
            file.seek(max(since, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if _TELLING.search(line) and not _MAKE.match(line)]
        return (telling or lines or ["it said nothing"])[0 if telling else -1][:300]


def _end(process: subprocess.Popen[bytes]) -> None:
    # The whole session: make's compilers too. make and gcc remove what they have half made.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
            break
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout:
        process.stdout.close()
    process.wait()
