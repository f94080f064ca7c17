"""Memory of the host process: under 300 MB, whatever is played, and it does not grow with the length."""

from __future__ import annotations

import random
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from support.processes import Done, Running, read_json, running

LIMIT_BYTES = 300e6
GROWTH_BYTES = 16e6
LOOK_EVERY_S = 0.02

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory as Linux counts it")


class Watch:
    """Looks at one process's resident memory, again and again, on a thread of its own."""

    def __init__(self, tool: Running) -> None:
        self.samples: list[tuple[float, int]] = []
        """Seconds since the start, bytes."""
        self._process = psutil.Process(tool.pid)
        self._tool = tool
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            try:
                size = self._process.memory_info().rss
            except psutil.Error:
                return
            if size:
                self.samples.append((time.monotonic() - self._tool.started, size))

    def peak(self) -> int:
        """The highest seen; the kernel's own high-water mark cannot be asked for after the end."""
        self._ended.set()
        self._thread.join()
        return max(size for _, size in self.samples)


@contextmanager
def sparse_wav(path: Path, seconds: int) -> Iterator[Path]:
    """A WAV of digital silence that takes no room on the disk."""
    size = seconds * 32_000
    header = (
        b"RIFF"
        + (size + 36).to_bytes(4, "little")
        + b"WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data"
        + size.to_bytes(4, "little")
    )
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)
    yield path
    path.unlink()


def play(recording: Path, report: Path, timeout_s: float) -> tuple[Done, Watch]:
    with running("stream", recording, "--json", report) as tool:
        watch = Watch(tool)
        return tool.done(timeout_s), watch


def test_a_gigabyte_of_random_bytes(tmp_path: Path) -> None:
    block = random.Random(1).randbytes(1 << 20)
    noise = tmp_path / "noise.wav"
    report = tmp_path / "out.json"
    try:
        with noise.open("wb") as file:
            for _ in range(1024):
                file.write(block)
        done, watch = play(noise, report, 60)
    finally:
        noise.unlink(missing_ok=True)
    assert done.code == 2
    assert str(noise) in done.one_line() and done.one_line().endswith(")")
    assert done.seconds < 10
    assert watch.peak() < LIMIT_BYTES
    assert read_json(report)["outcome"]["exit_code"] == 2


@pytest.mark.soak
def test_a_long_recording(tmp_path: Path, soak: bool) -> None:
    seconds = 3 * 3600 if soak else 600
    report = tmp_path / "out.json"
    with sparse_wav(tmp_path / "long.wav", seconds) as recording:
        done, watch = play(recording, report, 1200 if soak else 120)
    assert done.code == 0, done.err
    result = read_json(report)
    assert result["outcome"]["processed_s"] == result["input"]["seconds"] == seconds
    assert watch.peak() < LIMIT_BYTES
    # The last third against what was reached by a third of the way: streaming only, the start-up left out.
    streaming = result["timing"]["stream_s"]
    end = watch.samples[-1][0]
    early = max(size for at, size in watch.samples if at <= end - streaming * 2 / 3)
    late = max(size for at, size in watch.samples if at > end - streaming / 3)
    print(f"{seconds} s of audio: {early / 1e6:.0f} MB after a third, {late / 1e6:.0f} MB at the end")
    assert late - early < GROWTH_BYTES


def test_what_the_tests_measure_by_is_right() -> None:
    # The kernel's high-water mark of all children so far is at least what a watch has seen of one.
    with running("--version") as tool:
        watch = Watch(tool)
        assert tool.done().code == 0
    if watch.samples:
        assert watch.peak() <= resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
