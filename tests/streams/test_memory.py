"""Long recordings stream in little memory, and big rubbish is refused at once; measured in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streams.making import speechlike, wav, write

LIMIT_MB = 50
"""What streaming may add to a process that has only imported its libraries."""

_SCRIPT = """
import json, resource, sys, time
import numpy, soundfile, soxr
from bodydouble.streams import RecordingError, open_source
def peak_mb():
    try:  # ru_maxrss begins with the parent's on Linux, and would hide everything
        status = open("/proc/self/status").read()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
before = peak_mb()
began = time.perf_counter()
samples, error = 0, ""
try:
    with open_source(sys.argv[1]) as source:
        for chunk in source:
            samples += len(chunk)
except RecordingError as failure:
    error = str(failure)
spent = time.perf_counter() - began
print(json.dumps({"mb": peak_mb() - before, "s": spent, "samples": samples, "error": error}))
"""


def play(path: Path | str, **options: object) -> dict[str, float | str]:
    """Stream `path` in a fresh process; MB added to its peak, seconds, samples, and the error it met."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(path)], capture_output=True, text=True, check=True, timeout=60, **options
    )
    assert done.stderr == ""
    print(path, done.stdout)
    return json.loads(done.stdout)


def sparse(path: Path, header: bytes, size: int) -> Path:
    """A file of `size` bytes that begins with `header` and takes no room on the disk."""
    path.write_bytes(header)
    os.truncate(path, size)
    return path


def test_three_hours_of_wav(tmp_path: Path) -> None:
    samples = 3 * 3_600 * 16_000
    header = wav(b"", data_bytes=2 * samples, riff_bytes=2 * samples + 36)
    found = play(sparse(tmp_path / "a.wav", header, len(header) + 2 * samples))
    assert (found["samples"], found["error"]) == (samples, "")
    assert 0.1 < found["mb"] < LIMIT_MB


def test_ten_minutes_of_wide_wav_from_a_pipe(tmp_path: Path) -> None:
    frames, block = 600 * 48_000, 2 * 3
    header = wav(b"", rate_hz=48_000, channels=2, bits=24, data_bytes=0xFFFFFFFF, riff_bytes=0xFFFFFFFF)
    found = play(sparse(tmp_path / "a.wav", header, len(header) + frames * block))
    assert (found["samples"], found["error"]) == (frames // 3, "")
    assert found["mb"] < LIMIT_MB


def test_half_an_hour_of_mp3(tmp_path: Path) -> None:
    raw = write(tmp_path / "a.mp3", speechlike(64_000, 16_000), 16_000, "mp3").read_bytes()
    frames = raw[raw.index(b"\xff\xf3", 60) :]
    (tmp_path / "b.mp3").write_bytes(frames * 450)
    found = play(tmp_path / "b.mp3")
    assert found["error"] == ""
    assert found["samples"] == pytest.approx(1_800 * 16_000, rel=0.03)
    assert found["mb"] < LIMIT_MB


@pytest.mark.parametrize(
    "head", [b"", b"RIFF\xff\xff\xff\x3fWAVE", b"fLaC", b"OggS\0\2", b"ID3\4\0\0\0\0\0\1", b"\xff\xfb\x90\xc4"]
)
def test_a_gigabyte_of_random_bytes(tmp_path: Path, head: bytes) -> None:
    random = np.random.default_rng(len(head))
    path = sparse(tmp_path / "a.wav", head + random.bytes(2_000_000), 1 << 30)
    with path.open("r+b") as file:
        file.seek(-2_000_000, os.SEEK_END)
        file.write(random.bytes(2_000_000))
    found = play(path)
    assert found["error"] != ""
    assert found["mb"] < LIMIT_MB
    assert found["s"] < 1


def test_endless_random_bytes_through_a_pipe(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    source = subprocess.Popen(["cat", "/dev/urandom"], stdout=write_end)
    os.close(write_end)
    try:
        found = play(f"/dev/fd/{read_end}", pass_fds=[read_end])
    finally:
        source.kill()
        source.wait()
        os.close(read_end)
    assert "is no recording" in str(found["error"])
    assert found["s"] < 1


def test_importing_is_light() -> None:
    script = (
        "import sys, bodydouble.streams; print([m for m in ('soundfile', 'soxr', 'sounddevice') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
