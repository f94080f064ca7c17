"""One board, one user, across processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bodydouble.boards.errors import BoardBusyError
from bodydouble.boards.locks import BoardLock, holder, spoken
from bodydouble.errors import ExitCode, InputError

KEY = "usb-1-1.4"

CHILD = """
import sys, time
from bodydouble.boards.locks import BoardLock
with BoardLock(sys.argv[1], board="pico:E6", purpose="stream hello.wav"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BODYDOUBLE_LOCKS", str(tmp_path / "locks"))
    return tmp_path / "locks"


@pytest.fixture
def other(folder: Path):
    """Another process that holds the board until its standard input ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.communicate()


def test_free_taken_and_free_again() -> None:
    assert holder(KEY) is None
    with BoardLock(KEY, board="pico", purpose="test"):
        who = holder(KEY)
        assert who is not None
        assert (who.pid, who.board, who.purpose) == (os.getpid(), "pico", "test")
        assert abs(who.since - time.time()) < 60
    assert holder(KEY) is None
    with BoardLock(KEY, board="pico"):
        pass


def test_a_second_user_is_told_who_has_it(other: subprocess.Popen[str]) -> None:
    with pytest.raises(BoardBusyError) as caught, BoardLock(KEY, board="pico:E6"):
        pass
    said = str(caught.value)
    assert said.startswith(f"the board pico:E6 is in use by -c {KEY} (process {other.pid}) for ")
    assert said.endswith(" s, to stream hello.wav (wait until it ends, or end it)")
    assert "\n" not in said
    assert caught.value.exit_code == ExitCode.NO_BOARD
    with BoardLock("usb-1-2", board="pico:E7"):  # another board is free
        pass


def test_also_within_one_process() -> None:
    with BoardLock(KEY, board="pico"), pytest.raises(BoardBusyError):
        BoardLock(KEY, board="pico").acquire()
    BoardLock(KEY, board="pico").acquire()


def test_a_killed_process_leaves_no_lock(other: subprocess.Popen[str], folder: Path) -> None:
    assert holder(KEY) is not None
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (folder / f"{KEY}.json").exists()  # its note is still there, and counts for nothing
    assert holder(KEY) is None
    with BoardLock(KEY, board="pico") as _:
        assert holder(KEY).pid == os.getpid()  # type: ignore[union-attr]


def test_a_process_number_that_another_process_bears_by_now(folder: Path) -> None:
    with BoardLock(KEY, board="pico"):
        note = json.loads((folder / f"{KEY}.json").read_text())
    (folder / f"{KEY}.json").write_text(json.dumps(note))
    assert holder(KEY) is not None
    (folder / f"{KEY}.json").write_text(json.dumps({**note, "started": note["started"] - 1000}))
    assert holder(KEY) is None


def test_waiting_for_it() -> None:
    held = BoardLock(KEY, board="pico")
    held.acquire()
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if now >= 2.0:
            held.release()

    with BoardLock(KEY, board="pico", wait_s=5.0, clock=lambda: now, sleep=sleep):
        assert now == pytest.approx(2.0, abs=0.11)
    held.acquire()
    now = 10.0
    held.release = lambda: None  # type: ignore[method-assign]
    with pytest.raises(BoardBusyError):
        BoardLock(KEY, board="pico", wait_s=5.0, clock=lambda: now, sleep=sleep).acquire()
    assert now == pytest.approx(15.0, abs=0.11)
    BoardLock.release(held)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"pid": "x"}'])
def test_a_damaged_note_is_nobody(text: str, folder: Path) -> None:
    with BoardLock(KEY, board="pico"):
        (folder / f"{KEY}.json").write_text(text)
        assert holder(KEY) is None
        with pytest.raises(BoardBusyError, match=r"in use by another program \(wait until it ends\)"):
            BoardLock(KEY, board="pico").acquire()


@pytest.mark.parametrize("key", ["/dev/ttyACM0", "..", "socket://127.0.0.1:99", "x" * 200, "COM3"])
def test_any_key_names_files_in_the_folder(key: str, folder: Path) -> None:
    with BoardLock(key, board="pico"):
        assert len(list(folder.iterdir())) == 2
        assert holder(key) is not None


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BODYDOUBLE_LOCKS", str(tmp_path / "file" / "locks"))
    with pytest.raises(InputError, match=r"cannot be made: Not a directory \(set BODYDOUBLE_LOCKS"):
        BoardLock(KEY, board="pico").acquire()


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (0.4, "0 s"), (119, "119 s"), (300, "5 min"), (7300, "2 h"), (2e5, "2 days")]
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
