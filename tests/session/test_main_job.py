"""The main job on recordings: wakes, what is let out, latencies that add up, and one result on every tier."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bodydouble.boards import open_board
from bodydouble.clock import Timeline
from bodydouble.errors import CloudError
from bodydouble.link.connection import Connection
from bodydouble.link.wire import Channel
from bodydouble.session.cloud import Cloud
from bodydouble.session.player import Player, Settings
from bodydouble.session.result import STAGES, Result, frame_time
from bodydouble.session.session import Session
from bodydouble.session.words import find_word, known_words
from bodydouble.streams import open_sources
from support import pymicro, tflm
from support.audit import audit
from support.job import DEMO, RECORDINGS, play
from support.micropython import micropython_command

TRUTH: list[dict[str, Any]] = json.loads((RECORDINGS / "truth.json").read_text())["recordings"]
DEMO_TRUTH: list[dict[str, Any]] = json.loads((DEMO / "truth.json").read_text())["recordings"]
ALL = [(RECORDINGS / entry["file"], entry) for entry in TRUTH] + [(DEMO / e["file"], e) for e in DEMO_TRUTH]
TOLERANCE_S = 0.06


def samples(path: Path) -> NDArray[np.int16]:
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == 16_000
    return pcm


def digest(values: NDArray[np.generic]) -> int:
    """The board's running check value, computed here from the golden reference's numbers."""
    state = 0
    for value in values.reshape(-1).tolist():
        state = (state * 31 + value) & 0xFFFFFF
    return state


def quantised(features: NDArray[np.uint16]) -> NDArray[np.int8]:
    """ESPHome's formula, clamped."""
    return np.clip((features.astype(np.int32) * 256 + 333) // 666 - 128, -128, 127).astype(np.int8)


def settled(result: Result) -> list[dict[str, Any]]:
    """Requests without what is measured on a clock that differs from run to run."""
    measured = ("latency_ms", "clocks", "first_reply_ms", "wall_ms")
    return [
        {key: value for key, value in vars(request).items() if key not in measured}
        | {stage: request.latency_ms[stage] for stage in ("endpoint", "cloud_prefill", "cloud_decode")}
        for request in result.requests
    ]


@pytest.fixture(scope="module")
def listened() -> Result:
    """Every recording in a row, all four words at once, nobody answering."""
    return play([path for path, _ in ALL], wake=("all",), gap_s=1.0)


def golden_wakes(pcm: NDArray[np.int16]) -> list[tuple[str, float]]:
    """ESPHome's formula and rule as the design words them, over tflite-micro's outputs: model and time."""
    rows = quantised(pymicro.features(pcm))
    inputs = rows[: len(rows) // 3 * 3].reshape(-1, 1, 3, 40)
    jobs = [tflm.Job(find_word(name).path.read_bytes(), inputs) for name in known_words()]
    wakes = []
    for name, golden in zip(known_words(), tflm.run_many(jobs), strict=True):
        window, last = [0] * 5, -1
        for frame, output in zip(range(2, len(rows), 3), golden.outputs.reshape(-1).tolist(), strict=False):
            window = [*window[1:], output]
            if sum(window) > int(find_word(name).probability_cutoff * 255) * 5 and frame - last > 74:
                wakes.append((name, frame_time(frame)))
                window, last = [0] * 5, frame
    return sorted(wakes, key=lambda wake: wake[1])


def test_a_long_run_wakes_exactly_where_the_golden_references_do(listened: Result) -> None:
    gap = np.zeros(16_000, np.int16)
    pcm = np.concatenate([part for path, _ in ALL for part in (samples(path), gap)][:-1])
    assert [(wake.model, wake.t) for wake in listened.wakes] == golden_wakes(pcm)
    print(f"{len(listened.wakes)} wakes in {len(pcm) / 16_000:.0f} s equal in model and hop")


@pytest.mark.parametrize(("path", "entry"), ALL, ids=lambda part: getattr(part, "stem", ""))
def test_each_recording_wakes_as_its_truth_says(path: Path, entry: dict[str, Any]) -> None:
    result = play([path], wake=("all",))
    assert [wake.model for wake in result.wakes] == [model for model, _ in entry["pymicro_wakes"]]
    for wake, (_, t) in zip(result.wakes, entry["pymicro_wakes"], strict=True):
        assert wake.t == pytest.approx(t, abs=TOLERANCE_S)


@pytest.mark.parametrize(("path", "entry"), ALL[:4] + ALL[-4:], ids=lambda part: getattr(part, "stem", ""))
def test_compat_pymicro_wakes_when_the_package_does(path: Path, entry: dict[str, Any]) -> None:
    result = play([path], wake=("all",), settings=Settings(compat="pymicro"))
    expected = [(wake.model, wake.t) for wake in pymicro.wakes_pymicro(pymicro.features(samples(path))).wakes]
    assert [wake.model for wake in result.wakes] == [model for model, _ in expected]
    for wake, (_, t) in zip(result.wakes, expected, strict=True):
        assert wake.t == pytest.approx(t, abs=TOLERANCE_S)


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_features_and_outputs_equal_the_golden_references_to_the_last_bit(tier: str) -> None:
    path = ALL[0][0] if tier == "viper" else DEMO / "01-kitchen-light.flac"
    result = play([path], wake=("alexa",), tier=tier)
    features = pymicro.features(samples(path))
    assert result.digest["features"] == digest(features)
    rows = quantised(features)
    inputs = rows[: len(rows) // 3 * 3].reshape(-1, 1, 3, 40)
    golden = tflm.run_many([tflm.Job(find_word("alexa").path.read_bytes(), inputs)])[0]
    assert result.digest["alexa"] == digest(golden.outputs)
    print(f"{features.size + golden.outputs.size:,} values compared through the running board ({tier})")


def test_the_tiers_agree_on_everything_but_time() -> None:
    paths = [DEMO / "02-weather-in-noise.flac", DEMO / "04-front-door.flac"]
    viper, bytecode = (play(paths, wake=("alexa", "okay_nabu"), tier=tier) for tier in ("viper", "bytecode"))
    assert (viper.board["tier"], bytecode.board["tier"]) == ("viper", "bytecode")
    assert viper.digest == bytecode.digest
    assert viper.wakes == bytecode.wakes
    assert settled(viper) == settled(bytecode)
    assert viper.privacy == bytecode.privacy


@pytest.mark.micropython32
@pytest.mark.parametrize("tier", ["asm", "viper"])
def test_a_32_bit_board_gives_the_same_bits_and_allocates_nothing(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (interpreter,) = micropython_command(32)
    recordings = [DEMO / "01-kitchen-light.flac", DEMO / "03-near-miss.flac"]
    here = play(recordings, wake=("alexa", "okay_nabu"))
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON", interpreter)
    there = play(recordings, wake=("alexa", "okay_nabu"), tier=tier)
    assert there.board["micropython"] != here.board["micropython"], "the other interpreter ran"
    assert there.board["tier"] == tier
    assert there.wakes
    ours, theirs = (result.options["plans"]["alexa"]["sha256"] for result in (here, there))
    assert (ours != theirs) == (tier == "asm"), "plans are packed for the assembler"
    assert there.digest == here.digest
    assert there.wakes == here.wakes
    assert settled(there) == settled(here)
    assert audit(["alexa", "okay_nabu"], hops=1000, tier=tier)["bytes"] == 0


@pytest.mark.micropython32
def test_a_thumb_board_takes_the_assembler_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON", *micropython_command(32))
    with open_board("unix") as board:
        assert board.info["tier"] == "asm"


def test_two_models_run_in_a_heap_like_a_picos_and_hops_allocate_nothing() -> None:
    report = audit(["alexa", "okay_nabu"], hops=1000)
    print(report)
    assert report["heap_bytes"] == 288 * 1024
    assert report["hops"] == 1000
    assert report["bytes"] == 0
    assert report["heap_low"] > 16 * 1024


def check_request(request: Any, real_time: bool = False) -> None:
    parts = [request.latency_ms[stage] for stage in STAGES]
    assert sum(parts) == pytest.approx(request.latency_ms["total"], abs=1.0)
    assert all(part >= 0 for part in parts)
    assert set(request.clocks) == {*STAGES, "total"}
    for stage in STAGES:
        assert (request.latency_ms[stage] == 0) or request.clocks[stage] != "none"
    if request.where == "cloud":
        assert request.clocks["cloud_prefill"] == request.clocks["cloud_decode"] == "simulated"
    assert request.latency_ms["endpoint"] == pytest.approx((request.t_decided - request.t_endpoint) * 1e3, abs=0.01)
    assert request.first_reply_ms <= request.latency_ms["total"] + 0.01
    if real_time:
        simulated = sum(request.latency_ms[s] for s in STAGES if request.clocks[s] == "simulated")
        assert request.latency_ms["total"] - simulated == pytest.approx(request.wall_ms, abs=20.0)


@pytest.fixture(scope="module")
def answered() -> Result:
    return play([DEMO / entry["file"] for entry in DEMO_TRUTH], cloud="sim")


def test_requests_are_understood_done_and_timed(answered: Result) -> None:
    assert [request.transcript for request in answered.requests] == [
        "turn on the kitchen light",
        "what is the weather today",
        "unlock the front door",
        "yes",
    ]
    assert [[action["tool"] for action in request.actions] for request in answered.requests] == [
        ["set_power"],
        ["weather"],
        ["unlock"],
        ["unlock"],
    ]
    assert answered.requests[2].actions[0]["result"]["status"] == "confirmation_required"
    assert answered.requests[3].actions[0]["result"]["status"] == "ok"
    for request in answered.requests:
        assert request.reply
        check_request(request)
    assert answered.outcome.status == "passed"


def test_the_ledger_is_what_arrived(answered: Result) -> None:
    privacy = answered.privacy
    assert privacy["bytes_before_wake"] == 0
    out = [line for line in privacy["ledger"] if line["destination"] == "phone"]
    assert sum(line["bytes"] for line in out) == privacy["bytes_received"] > 0
    assert len(out) == len(answered.requests) == 4
    for line, request in zip(out, answered.requests, strict=True):
        assert line["bytes"] == request.audio["bytes"] == round((line["to_s"] - line["from_s"]) * 32_000)
        assert line["from_s"] >= request.t_wake - 0.3 - 1e-9
    assert {line["kind"] for line in privacy["ledger"] if line["destination"] == "cloud"} == {"text", "home"}


def test_what_is_let_out_is_the_recordings_own_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    endpoint = Player._on_endpoint

    def keep(player: Player, event: dict[str, Any], at: float) -> None:
        kept.append(bytes(player._audio))
        endpoint(player, event, at)

    monkeypatch.setattr(Player, "_on_endpoint", keep)
    path = DEMO / "04-front-door.flac"
    result = play([path])
    assert len(kept) == 2
    for data, line in zip(kept, result.privacy["ledger"], strict=True):
        expected = samples(path)[round(line["from_s"] * 16_000) : round(line["to_s"] * 16_000)]
        assert data == expected.tobytes()


def test_real_time_agrees_with_the_wall() -> None:
    result = play([DEMO / "01-kitchen-light.flac"], cloud="sim", settings=Settings(real_time=True))
    assert result.timing["real_time_factor"] == pytest.approx(1.0, abs=0.1)
    assert result.requests
    for request in result.requests:
        check_request(request, real_time=True)


def test_recognition_in_the_cloud_takes_the_utterance_there() -> None:
    result = play([DEMO / "02-weather-in-noise.flac"], cloud="sim", asr="cloud")
    assert result.requests[0].transcript == "what is the weather today"
    audio = [line for line in result.privacy["ledger"] if line["destination"] == "cloud" and line["kind"] == "audio"]
    assert audio
    assert audio[0]["bytes"] >= result.requests[0].audio["bytes"]
    check_request(result.requests[0])


def test_two_runs_of_one_seed_differ_only_in_measured_times() -> None:
    first, second = (play([DEMO / "04-front-door.flac"], cloud="sim", seed=3) for _ in range(2))

    assert settled(first) == settled(second)
    assert first.digest == second.digest
    assert first.wakes == second.wakes


def test_the_button_opens_a_request_without_a_wake_word() -> None:
    path = RECORDINGS / "miss-lexus-kal16.flac"
    result = play([path], settings=Settings(listen_at_s=(0.6,)))
    assert not result.wakes
    assert [request.audio["reason"] for request in result.requests] == ["button"]
    assert result.requests[0].audio["bytes"] > 0
    assert result.privacy["bytes_before_wake"] == 0


def test_nothing_said_lets_nothing_out() -> None:
    result = play([RECORDINGS / "alexa-slt-no-request.flac"])
    assert [request.reason for request in result.requests] == ["nothing"]
    assert result.privacy["bytes_received"] == 0
    assert result.privacy["ledger"] == []


def test_a_recording_that_ends_inside_the_request() -> None:
    path = DEMO / "01-kitchen-light.flac"
    cut_s = play([path]).requests[0].t_endpoint
    assert cut_s is not None
    request = play([path], seconds=cut_s - 0.2).requests[0]
    assert request.reason == "stream_end"
    assert request.t_endpoint == pytest.approx(cut_s - 0.2, abs=0.1)


def test_known_words_load_together_within_the_heap() -> None:
    result = play([DEMO / "03-near-miss.flac"], wake=("all",))
    assert sorted(result.options["plans"]) == known_words()
    assert result.counters["heap_low_water"] > 0


def test_a_session_plays_again_from_the_start() -> None:
    with open_board("unix") as board, Session(board) as session:
        first = session.play(open_sources([DEMO / "04-front-door.flac"]))
        second = session.play(open_sources([DEMO / "01-kitchen-light.flac"]))
        third = session.play(open_sources([DEMO / "04-front-door.flac"]))
    assert len(first.wakes) == 2
    assert len(second.wakes) == 1
    assert third is not first
    assert (third.wakes, third.digest, third.privacy) == (first.wakes, first.digest, first.privacy)


def test_a_request_that_fails_keeps_what_was_understood_and_done() -> None:
    from bodydouble.session.run import Run, RunOptions

    recording = str(DEMO / "01-kitchen-light.flac")
    run = Run(RunOptions(recordings=(recording,)), Cloud.parse("sim", fault="throttle"))
    with pytest.raises(CloudError, match="1 of 1 requests were not answered"):
        run.execute()
    (request,) = run.result.requests
    assert request.transcript == "turn on the kitchen light"
    assert request.error
    assert run.result.outcome.exit_code == 5


@pytest.mark.parametrize("lost", ["board", "link", "endpoint"])
def test_a_span_that_is_lost_shows_in_the_sum(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add = Timeline.add

    def forget(line: Timeline, stage: str, seconds: float, clock: str) -> None:
        add(line, stage, 0.0 if stage == lost else seconds + 0.005, clock)

    monkeypatch.setattr(Timeline, "add", forget)
    (request,) = play([DEMO / "01-kitchen-light.flac"]).requests
    parts = sum(request.latency_ms[stage] for stage in STAGES)
    assert abs(parts - request.latency_ms["total"]) > 1.0


@pytest.mark.parametrize("real_time", [False, True])
def test_no_frame_of_audio_straddles_a_hop(real_time: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    send = Connection.send

    def keep(connection: Connection, channel: int, payload: bytes) -> None:
        if channel == Channel.AUDIO:
            sent.append(len(payload))
        send(connection, channel, payload)

    monkeypatch.setattr(Connection, "send", keep)
    # The source gives 8,192 samples at a time, which is no whole number of hops.
    play([DEMO / "03-near-miss.flac"], seconds=1.3, settings=Settings(real_time=real_time))
    assert sum(sent) == round(1.3 * 32_000)
    step = 320 if real_time else 960
    ends = list(itertools.accumulate(sent))
    # A frame may be filled by two pieces, where a chunk of the source ends; none reaches into the next.
    assert all((end - size) // step == (end - 1) // step for end, size in zip(ends, sent, strict=True))
    assert sent.count(step) > len(sent) // 2


def test_without_a_cloud_what_is_known_is_booked() -> None:
    requests = play([DEMO / "01-kitchen-light.flac", RECORDINGS / "alexa-slt-no-request.flac"]).requests
    spoken, quiet = requests
    assert spoken.latency_ms["endpoint"] > 500
    assert spoken.latency_ms["total"] == pytest.approx(sum(spoken.latency_ms[s] for s in STAGES), abs=1.0)
    assert quiet.reason == "nothing"
    assert set(quiet.latency_ms.values()) == {0.0}
