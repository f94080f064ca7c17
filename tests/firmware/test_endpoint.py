"""Endpointing: its rules on made-up features, and its accuracy on generated speech."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import pymicro
from support.asm import M0, run_build
from support.endpointing import (
    END,
    LONGEST,
    NONE,
    NOTHING,
    ONSET,
    ROLL,
    SCRIPT,
    Frames,
    Verdict,
    check_recorded,
    read_verdicts,
    recorded_requests,
    write_features,
)
from support.micropython import ROOT, run_micropython
from support.utterances import CONDITIONS, HELD_OUT, Utterance, generate, noise, to_pcm

BUILDS = [
    ("viper", 64),
    ("bytecode", 64),
    *(pytest.param(tier, 32, marks=pytest.mark.micropython32) for tier in ("asm", "viper", "bytecode")),
]
SETTLED = 120  # frames before anything happens


def decide(
    folder: Path, recordings: Sequence[tuple[Frames, int]], tier: str = "viper", bits: int = 64, **options: int
) -> list[Verdict]:
    """Run features with the frame after which each is armed through the endpointer under MicroPython."""
    path = folder / "features.bin"
    write_features(path, recordings)
    return read_verdicts(run_build(SCRIPT, tier, path, json.dumps(options), bits=bits))


def stream(*parts: tuple[int, int]) -> Frames:
    """Frames of one value in three neighbouring channels: (value, count) after (value, count)."""
    frames = np.zeros((sum(count for _, count in parts), 40), np.uint16)
    at = 0
    for value, count in parts:
        frames[at : at + count, 10:13] = value
        at += count
    return frames


def one(folder: Path, frames: Frames, arm: int, **options: int) -> Verdict:
    return decide(folder, [(frames, arm)], **options)[0]


# --- the rules, on features that are either speech or silence


def test_speech_after_a_pause_is_found_and_ends(tmp_path):
    verdict = one(tmp_path, stream((0, 300), (400, 100), (0, 200)), 200)
    assert verdict.code == END
    assert 300 - 6 <= verdict.onset <= 300
    assert 399 <= verdict.last_speech <= 405  # a patch of 9 frames stays loud a little longer
    assert verdict.decided == verdict.last_speech + 74


@pytest.mark.parametrize("pause_frames", [20, 50])
def test_pause_of_half_a_second_does_not_end_an_utterance(tmp_path, pause_frames):
    frames = stream((0, 300), (400, 60), (0, pause_frames), (400, 60), (0, 200))
    verdict = one(tmp_path, frames, 200)
    assert verdict.code == END
    assert verdict.last_speech >= 419 + pause_frames


@pytest.mark.parametrize("silence_ms", [510, 740, 750])
def test_trailing_silence_is_configurable(tmp_path, silence_ms):
    verdict = one(tmp_path, stream((0, 300), (400, 60), (0, 200)), 200, silence_ms=silence_ms)
    assert verdict.decided - verdict.last_speech == silence_ms // 10


@pytest.mark.parametrize("gap_frames", [60, 120, 200])
def test_two_seconds_between_wake_and_request_are_waited_for(tmp_path, gap_frames):
    # The wake word lasts until frame 200 and is decided 100 ms later, or 100 ms before its end.
    for arm in (190, 210):
        frames = stream((0, 140), (400, 60), (0, gap_frames), (400, 80), (0, 200))
        verdict = one(tmp_path, frames, arm)
        assert verdict.code == END
        assert 200 + gap_frames - 6 <= verdict.onset <= 200 + gap_frames
        assert verdict.last_speech >= 279 + gap_frames


def test_speech_that_goes_on_after_the_wake_is_the_request(tmp_path):
    verdict = one(tmp_path, stream((0, 140), (400, 160), (0, 200)), 210)
    assert verdict.code == END
    assert verdict.onset == 210
    assert 299 <= verdict.last_speech <= 305


@pytest.mark.parametrize("tail_frames", [0, 8, 15])
def test_tail_of_the_wake_word_is_no_request(tmp_path, tail_frames):
    verdict = one(tmp_path, stream((0, 140), (400, 60 + tail_frames), (0, 600)), 200)
    assert verdict.code == NOTHING


def test_nothing_said_is_told_at_the_time_out(tmp_path):
    verdict = one(tmp_path, stream((0, 1000)), 200)
    assert verdict.code == NOTHING
    assert verdict.decided == 600
    assert one(tmp_path, stream((0, 1000)), 200, nothing_ms=2500).decided == 450


def test_speech_begun_just_before_the_time_out_is_heard(tmp_path):
    verdict = one(tmp_path, stream((0, 590), (400, 50), (0, 200)), 200)
    assert verdict.code == END


def test_a_click_is_no_speech(tmp_path):
    # A click of 10 ms is in four windows and keeps its patch hot for 8 frames; it counts only where that is enough.
    frames = stream((0, 300), (600, 4), (0, 500))
    assert one(tmp_path, frames, 200, minimum_ms=90).code == NOTHING
    assert one(tmp_path, frames, 200, minimum_ms=10).code == END


def test_longest_utterance_is_cut(tmp_path):
    verdict = one(tmp_path, stream((0, 300), (400, 2000)), 200)
    assert verdict.code == LONGEST
    assert verdict.decided - verdict.onset == 1500
    assert verdict.last_speech == verdict.decided
    assert one(tmp_path, stream((0, 300), (400, 500)), 200, longest_ms=2000).code == LONGEST


def test_unarmed_tells_nothing(tmp_path):
    verdict = one(tmp_path, stream((0, 300), (400, 100), (0, 300)), -1)
    assert (verdict.code, verdict.decided) == (NONE, -1)


@pytest.mark.parametrize("look_back_ms", [100, 270, 420])
def test_onset_lies_no_further_back_than_the_audio_that_is_kept(tmp_path, look_back_ms):
    # Speech found shortly after the wake is taken to have begun at the wake, as far as audio is still there.
    verdict = one(tmp_path, stream((0, 240), (400, 80), (0, 200)), 205, look_back_ms=look_back_ms)
    assert verdict.code == END
    found = 240 + (4 - 1) + (8 - 1)  # 4 frames make a patch of 400 exceed 170, 8 in a row are speech
    assert verdict.onset == max(205, found - look_back_ms // 10)


def test_louder_ambience_raises_the_threshold(tmp_path):
    # A murmur of 200 counts as speech in a quiet room, and not where it was there all along; speech of 450 does.
    murmur = stream((0, 150), (200, 600), (450, 100), (200, 300))
    verdict = one(tmp_path, murmur, 700)
    assert verdict.code == END
    assert 750 - 6 <= verdict.onset <= 756
    assert verdict.last_speech <= 860
    quiet = stream((0, 700), (200, 100), (0, 300))
    assert one(tmp_path, quiet, 600).code == END


def test_what_is_said_before_a_wake_does_not_deafen(tmp_path):
    # Four seconds of speech with gaps, then the wake word, then a weaker request.
    talk = [(400, 40), (0, 25)] * 6
    verdict = one(tmp_path, stream((0, 150), *talk, (400, 60), (0, 50), (250, 80), (0, 200)), 605)
    assert verdict.code == END
    assert verdict.last_speech >= 700


# --- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"silence_ms": 400}, "silence_ms must be 510 to 750, not 400"),
        ({"silence_ms": 900}, "silence_ms must be 510 to 750, not 900"),
        ({"nothing_ms": 2000}, "nothing_ms must be 2010 to 60000, not 2000"),
        ({"longest_ms": "10"}, "longest_ms must be 1000 to 60000, not 10"),
        ({"patience_ms": 3}, "endpointing has no option patience_ms"),
    ],
)
def test_wrong_option_is_refused_with_its_range(options, message):
    source = f"""
from coproc.audio import endpoint, endpoint_bytecode
try:
    endpoint.Endpointer(endpoint_bytecode, {options!r})
except ValueError as error:
    print(error)
"""
    assert run_micropython(source).decode().strip() == message


# --- tiers, word sizes, memory


def random_recordings(count: int, seed: int) -> list[tuple[Frames, int]]:
    """Bursts and silences of any features, beyond what the front end gives as well."""
    rng = np.random.default_rng(seed)
    recordings = []
    for _ in range(count):
        frames = rng.integers(0, 800, (800, 40)) * np.repeat(rng.integers(0, 2, 8), 100)[:, None]
        spikes = rng.random(frames.shape) < 0.001
        frames[spikes] = rng.integers(2000, 65536, int(spikes.sum()))
        recordings.append((frames.astype(np.uint16), int(rng.integers(0, 300))))
    return recordings


def reference_level(frames: Frames) -> npt.NDArray[np.int64]:
    """The loudest patch of 9 frames by 3 channels, by its definition."""
    capped = np.minimum(frames.astype(np.int64), 2047)
    padded = np.concatenate([np.zeros((8, 40), np.int64), capped])
    patches = np.lib.stride_tricks.sliding_window_view(padded, (9, 3)).sum((2, 3))
    return np.asarray(patches.max(1), np.int64)


@pytest.mark.parametrize(("tier", "bits"), [*BUILDS, ("asm", M0)])
def test_every_tier_equals_the_definition(tmp_path, tier, bits):
    recordings = random_recordings(1 if bits == M0 else 12, 7)
    verdicts = decide(tmp_path, recordings, tier, bits)
    for (frames, _), verdict in zip(recordings, verdicts, strict=True):
        check = 0
        for level in reference_level(frames).tolist():
            check = (check * 31 + level) & 0xFFFFFF
        assert check == verdict.check
    assert END in {verdict.code for verdict in verdicts}


@pytest.mark.parametrize(("tier", "bits"), BUILDS)
def test_a_hop_allocates_nothing(tier, bits):
    script = ROOT / "tests" / "firmware" / "mp_endpoint_heap.py"
    lines = run_micropython(script, tier, bits=bits).decode().split("\n")[:3]
    # The third number is the sum of the codes: the last run was told of its onset, none of an end.
    assert lines == ["unarmed 0 0", "waiting 0 0", f"speaking 0 {ONSET}"]


# --- properties


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([0, 150, 400, 600]), st.integers(1, 120)), min_size=1, max_size=12),
        min_size=1,
        max_size=6,
    ),
    st.integers(SETTLED, 700),
)
def test_any_stream_gives_a_sound_verdict(tmp_path, streams, arm):
    recordings = [(stream((0, SETTLED), *parts), arm) for parts in streams]
    for (frames, _), verdict in zip(recordings, decide(tmp_path, recordings), strict=True):
        assert verdict.code in (NONE, END, NOTHING, LONGEST)
        if arm >= len(frames):
            assert verdict.code == NONE
            continue
        assert arm - 6 <= verdict.onset <= verdict.last_speech
        if verdict.code == END:
            levels = reference_level(frames)
            assert verdict.decided - verdict.last_speech == 74
            assert levels[verdict.last_speech] > 170 * 27
            assert levels[verdict.last_speech + 1 : verdict.decided + 1].max() <= 350 * 27  # the ceiling
        if verdict.code == NOTHING:
            assert verdict.decided - arm >= 400
        if verdict.code == LONGEST:
            assert verdict.decided - verdict.onset == 1500


def test_noise_alone_is_nothing_said(tmp_path):
    # 60 recordings of noise at levels 50 dB apart, armed 2.25 s after they begin.
    rng = np.random.default_rng(3)
    recordings = []
    for index in range(60):
        level = 10 ** rng.uniform(-3.5, -1)
        pcm = to_pcm(level * noise(("white", "pink")[index % 2], 16000 * 7, rng))
        recordings.append((pymicro.features(pcm), 222))
    codes = [verdict.code for verdict in decide(tmp_path, recordings)]
    assert codes.count(NOTHING) >= 59, codes


# --- accuracy on speech


def test_requests_of_the_recordings_end_where_their_truth_says(tmp_path):
    cases, truths = recorded_requests()
    check_recorded(truths, decide(tmp_path, cases))


class Measured(NamedTuple):
    """How a generated utterance was told, in seconds; `error_s` is None where no end was told."""

    error_s: float | None
    lag_s: float
    spanned: bool


def measure(utterance: Utterance, verdict: Verdict, arm: int) -> Measured:
    """Compare a verdict with the truth, and what the gate lets out with what was said."""
    if verdict.code != END:
        return Measured(None, 0.0, False)
    end_s = pymicro.frame_end_s(verdict.last_speech)
    first_block = max(verdict.onset - ROLL, arm + 3 - ROLL)
    spanned = first_block * 0.01 <= utterance.start_s + 1e-6 and end_s + ROLL * 0.01 >= utterance.end_s - 1e-6
    return Measured(end_s - utterance.end_s, (verdict.decided - verdict.last_speech) * 0.01, spanned)


def report(utterances: list[Utterance], measured: list[Measured], title: str) -> dict[str, float]:
    """Print the figures; returns the share within 250 ms per condition."""
    print(f"\n{title}")
    shares = {}
    for condition in CONDITIONS:
        chosen = [m for u, m in zip(utterances, measured, strict=True) if u.condition == condition]
        errors = np.array([m.error_s for m in chosen if m.error_s is not None])
        shares[condition] = float(np.sum(np.abs(errors) <= 0.25)) / len(chosen)
        spans = sum(m.spanned for m in chosen)
        print(
            f"  {condition:5s}  {len(chosen):4d} utterances  end within 250 ms {shares[condition]:6.1%}  median "
            f"{np.median(errors) * 1000:+4.0f} ms  spanned {spans / len(chosen):6.1%}"
        )
    for utterance, result in zip(utterances, measured, strict=True):
        if result.error_s is None or abs(result.error_s) > 0.25 or not result.spanned:
            told = "none" if result.error_s is None else f"{result.error_s * 1000:+.0f} ms"
            missed = "" if result.spanned else ", not spanned"
            print(f"    {utterance.condition} {utterance.voice.label}: {utterance.text!r}: end {told}{missed}")
    return shares


@pytest.mark.speech
def test_ends_of_generated_utterances(tmp_path_factory, soak):
    count = 1000 if soak else 200
    utterances = generate(HELD_OUT, count, 2024, tmp_path_factory.getbasetemp() / "speech")
    recordings = []
    for utterance in utterances:
        arm = int(np.ceil((utterance.wake_s - 0.03) * 100 - 1e-9))
        recordings.append((pymicro.features(utterance.pcm), arm))
    folder = tmp_path_factory.mktemp("endpoint")
    for look_back_ms in (270, 420):
        verdicts = decide(folder, recordings, look_back_ms=look_back_ms)
        measured = [
            measure(utterance, verdict, arm)
            for utterance, verdict, (_, arm) in zip(utterances, verdicts, recordings, strict=True)
        ]
        shares = report(utterances, measured, f"onset at most {look_back_ms} ms back")
        assert shares["clean"] >= 0.95
        assert min(shares["white"], shares["pink"]) >= 0.95
        assert max(m.lag_s for m in measured) < 1.0
        assert sum(m.spanned for m in measured) >= (0.995 if look_back_ms == 420 else 0.985) * count
