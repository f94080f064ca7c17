"""`bodydouble stream` and `demo` from outside: what goes to stdout, to stderr and into the report."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bodydouble.session.result import STAGES
from support.processes import COMMAND, DEMO, RECORDINGS, Done, environment, read_json, run, strict

LIGHT = DEMO / "01-kitchen-light.flac"
WEATHER = DEMO / "02-weather-in-noise.flac"
MISS = RECORDINGS / "miss-electra-f2.flac"


def result_of(*arguments: str | Path, **options: Any) -> tuple[dict[str, Any], Done]:
    """The result that `--json -` prints, and the run."""
    done = run("stream", *arguments, "--json", "-", **options)
    return strict(done.out), done


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `bodydouble` is the tool."""
    tool = f'bodydouble() {{ {shlex.join(COMMAND)} "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", tool + line], capture_output=True, text=True, env=environment(), check=False, timeout=60
    )


# --- the report


def test_the_report_holds_what_the_main_job_promises() -> None:
    result, done = result_of(WEATHER)
    assert done.code == 0, done.err
    assert "heard alexa" in done.err  # text for people makes way for the JSON
    assert {"type", "machine", "micropython", "tier", "firmware"} <= result["board"].keys()
    assert len(result["board"]["firmware"]) == 64
    assert result["input"]["path"] == str(WEATHER)
    assert result["input"]["sample_rate"] == 16_000
    assert result["input"]["seconds"] == pytest.approx(soundfile.info(WEATHER).duration, abs=0.001)
    (wake,) = result["wakes"]
    assert wake["model"] == "alexa" and 2.0 < wake["t"] < 2.4 and 0.5 < wake["score"] <= 1
    (request,) = result["requests"]
    assert request["t_wake"] == wake["t"] < request["t_endpoint"] < request["t_decided"]
    assert request["where"] == "cloud"
    assert "weather" in request["transcript"]
    assert request["reply"]
    assert request["actions"][0]["tool"] == "weather" and isinstance(request["actions"][0]["input"], dict)
    spans = request["latency_ms"]
    stages = list(STAGES)
    assert list(spans) == [*stages, "total"]
    assert sum(spans[stage] for stage in stages) == pytest.approx(spans["total"], abs=1)
    assert all(spans[stage] >= 0 for stage in stages)
    assert 0 < request["first_reply_ms"] <= spans["total"] + 0.001
    assert request["clocks"].keys() == spans.keys()
    assert (request["clocks"]["board"], request["clocks"]["cloud_prefill"]) == ("board", "simulated")
    assert spans["endpoint"] == pytest.approx((request["t_decided"] - request["t_endpoint"]) * 1e3, abs=1)
    privacy = result["privacy"]
    assert privacy["bytes_before_wake"] == 0
    to_phone = [line["bytes"] for line in privacy["ledger"] if line["destination"] == "phone"]
    assert sum(to_phone) == privacy["bytes_received"] == request["audio"]["bytes"]
    timing = result["timing"]
    assert {"p50", "p99", "max"} == timing["board_ms_per_hop"].keys()
    assert timing["real_time_factor"] > 1 and timing["clock_error_us"] >= 0
    assert result["outcome"] == {
        "status": "passed",
        "exit_code": 0,
        "error": None,
        "processed_s": pytest.approx(result["input"]["seconds"], abs=0.001),
    }


def test_json_to_a_file_leaves_stdout_to_people(tmp_path: Path) -> None:
    report, trace = tmp_path / "out.json", tmp_path / "trace.jsonl"
    done = run("stream", WEATHER, "--cloud", "none", "--json", report, "--trace", trace)
    assert (done.code, done.err) == (0, "")
    assert "heard alexa" in done.out
    assert read_json(report)["wakes"]
    kinds = [strict_line["kind"] for strict_line in map(_line, trace.read_text().splitlines())]
    assert {"input", "started", "wake", "endpoint"} <= set(kinds)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "trace.jsonl"]


def _line(text: str) -> dict[str, Any]:
    return strict('{"schema": 1, ' + text[1:])


def test_the_same_command_gives_the_same_decisions() -> None:
    first, _ = result_of(WEATHER, "--seed", "7")
    second, _ = result_of(WEATHER, "--seed", "7")
    assert first["digest"] == second["digest"]
    assert first["wakes"] == second["wakes"]
    for key in ("t_endpoint", "t_decided", "transcript", "reply", "actions"):
        assert first["requests"][0][key] == second["requests"][0][key]


# --- inputs


def test_standard_input_is_the_same_as_the_file(tmp_path: Path) -> None:
    samples, rate = soundfile.read(LIGHT, dtype="int16")
    assert rate == 16_000
    raw = tmp_path / "light.raw"
    raw.write_bytes(samples.astype("<i2").tobytes())
    from_file, _ = result_of(LIGHT, "--cloud", "none")
    # In uneven pieces, as pipes give them.
    script = (
        f"{{ head -c 12345 {raw}; tail -c +12346 {raw}; }} | dd bs=777 status=none | "
        "bodydouble stream - --cloud none --json -"
    )
    from_pipe = strict(shell(script).stdout)
    assert from_pipe["digest"] == from_file["digest"]
    assert from_pipe["wakes"][0].pop("recording") == "-"
    assert from_file["wakes"][0].pop("recording") == str(LIGHT)
    assert from_pipe["wakes"] == from_file["wakes"]
    for key in ("t_wake", "t_endpoint", "t_decided"):
        assert from_pipe["requests"][0][key] == from_file["requests"][0][key]
    assert from_pipe["input"]["seconds"] == from_file["input"]["seconds"]


def test_several_recordings_in_a_row() -> None:
    alone, _ = result_of(LIGHT, "--cloud", "none")
    both, _ = result_of(LIGHT, MISS, WEATHER, "--gap", "0.5", "--cloud", "none")
    starts = [part["start_s"] for part in both["input"]["recordings"]]
    lengths = [soundfile.info(path).duration for path in (LIGHT, MISS)]
    assert starts == pytest.approx([0, lengths[0] + 0.5, sum(lengths) + 1.0], abs=0.001)
    assert [part["path"] for part in both["input"]["recordings"]] == [str(LIGHT), str(MISS), str(WEATHER)]
    assert [wake["recording"] for wake in both["wakes"]] == [str(LIGHT), str(WEATHER)]
    assert both["wakes"][0]["t"] == alone["wakes"][0]["t"]
    weather, _ = result_of(WEATHER, "--cloud", "none")
    # Not to the hop: the noise estimate goes on from what came before.
    assert both["wakes"][1]["t"] - starts[2] == pytest.approx(weather["wakes"][0]["t"], abs=0.1)
    assert [request["audio"]["recording"] for request in both["requests"]] == [str(LIGHT), str(WEATHER)]


def test_seconds_ends_it_early() -> None:
    result, done = result_of(LIGHT, "--seconds", "1.5", "--cloud", "none")
    assert done.code == 0
    assert result["wakes"] == []
    assert result["outcome"]["processed_s"] == result["input"]["seconds"] == 1.5


def test_a_press_is_a_request_without_a_wake() -> None:
    result, done = result_of(LIGHT, "--press", "0.5", "--wake", "okay_nabu")
    assert done.code == 0, done.err
    assert result["wakes"] == []
    (request,) = result["requests"]
    assert request["audio"]["reason"] == "button"
    assert request["t_wake"] == pytest.approx(0.5, abs=0.1)
    assert request["t_endpoint"] > 1.5
    assert result["privacy"]["bytes_before_wake"] == 0
    assert result["privacy"]["bytes_received"] == request["audio"]["bytes"] > 0


def test_ten_milliseconds(tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, np.zeros(160, np.int16), 16_000)
    one = tmp_path / "one.wav"
    soundfile.write(one, np.ones(1, np.int16), 16_000)
    for recording, seconds in ((short, 0.01), (one, 0.0)):
        result, done = result_of(recording)
        assert done.code == 0, done.err
        assert (result["wakes"], result["requests"]) == ([], [])
        assert result["outcome"]["status"] == "passed"
        assert result["outcome"]["processed_s"] == seconds


# --- privacy


def test_local_only_asks_no_cloud(tmp_path: Path) -> None:
    result, done = result_of(WEATHER, "--privacy", "local-only")
    assert done.code == 0, done.err
    (request,) = result["requests"]
    assert request["where"] == "phone"
    assert "weather" in request["transcript"]  # heard on the phone itself
    assert request["reply"] == "I must keep that on this phone, and I cannot answer it without the cloud."
    assert request["actions"] == []
    assert request["error"] is None
    assert result["cloud"] == {"kind": "none"}
    assert {line["destination"] for line in result["privacy"]["ledger"]} == {"phone"}
    assert all(request["latency_ms"][key] == 0 for key in ("network", "cloud_queue", "cloud_prefill", "cloud_decode"))


def test_local_only_opens_no_connection() -> None:
    # Port 1 refuses: a request that went there would fail with exit code 5.
    result, done = result_of(WEATHER, "--privacy", "local-only", "--cloud", "http://127.0.0.1:1")
    assert done.code == 0, done.err
    assert result["requests"][0]["where"] == "phone"


def test_the_ledger_tells_what_went_on_to_the_cloud() -> None:
    result, _ = result_of(WEATHER)
    cloud = [line for line in result["privacy"]["ledger"] if line["destination"] == "cloud"]
    # What was said, as words, and what the tools told the model of the home.
    assert [line["kind"] for line in cloud] == ["text", "home"]
    assert {line["request"] for line in cloud} == {0}
    result, _ = result_of(WEATHER, "--asr", "cloud")
    cloud = [line for line in result["privacy"]["ledger"] if line["destination"] == "cloud"]
    audio = sum(line["bytes"] for line in cloud if line["kind"] == "audio")
    assert audio >= result["privacy"]["bytes_received"]


# --- outputs that end early


def test_a_reader_that_goes_away() -> None:
    done = shell(f"bodydouble stream {LIGHT} {MISS} --cloud none | head -n 2; echo ${{PIPESTATUS[0]}}")
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"
    assert LIGHT.name in done.stdout


def test_a_reader_that_goes_away_leaves_a_report(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    shell(f"bodydouble stream {LIGHT} {MISS} --cloud none --json {report} | head -n 1")
    assert read_json(report)["outcome"]["status"] in ("passed", "BrokenPipeError")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [[], ["--json", "-"], ["--json", "/dev/full"]])
def test_a_full_disk(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("stream", MISS, "--cloud", "none", *arguments, stdout=full)
    assert done.code == 2
    assert "o space left" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_nobody_hears_an_error() -> None:
    # stderr closed: the exit code is all that is left.
    done = shell("bodydouble stream /no/such.wav 2>&-; echo $?")
    assert done.stdout == "2\n"
    done = shell("bodydouble stream /no/such.wav <&- 2>&- >&-")
    assert done.returncode == 2
    done = shell(f"bodydouble stream {MISS} --cloud none <&- 2>&- >&-")
    assert done.returncode == 0


def test_no_bar_and_no_colour_where_no_terminal_is() -> None:
    done = run("stream", MISS, "--cloud", "none")
    assert "\x1b" not in done.out + done.err
    assert "\r" not in done.out + done.err


# --- demo


def test_the_demo_tells_its_story(tmp_path: Path) -> None:
    report = tmp_path / "demo.json"
    done = run("demo", "--json", report)
    assert (done.code, done.err) == (0, "")
    for words in (
        "heard alexa",
        "understood:",
        "the cloud answered:",
        "no wake word heard",
        "0 bytes left the board",
    ):
        assert words in done.out
    result = read_json(report)
    assert len(result["wakes"]) == len(result["requests"]) == 4
    assert all(request["error"] is None for request in result["requests"])


@pytest.mark.skipif(sys.platform != "linux", reason="terminals as Linux has them")
def test_a_terminal_gets_a_bar() -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "stream", str(MISS), "--cloud", "none", "--json", "-"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env=environment(TERM="xterm"),
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert strict(out.decode())["outcome"]["status"] == "passed"
    assert b"s of audio" in shown
