"""Endpointing by the voice-activity model: on the board as on the host, and its accuracy where the rule fails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bodydouble.compiler import compile_model
from bodydouble.session.voice import find_voice_model
from models.training import vad_data
from models.training.evaluate_vad import decide, replayed
from support import pymicro, tflm
from support.endpointing import (
    END,
    NOTHING,
    SCRIPT,
    Frames,
    Verdict,
    check_recorded,
    read_verdicts,
    recorded_requests,
    write_features,
)
from support.micropython import ROOT, run_micropython
from support.utterances import CONDITIONS, HELD_OUT, Samples, flite, generate, silence, synthesise, to_pcm


@cache
def plan() -> bytes:
    model = find_voice_model()
    return compile_model(model.path.read_bytes(), "vad", str(model.path)).blob


def on_board(
    folder: Path, recordings: Sequence[tuple[Frames, int]], tier: str = "viper", bits: int = 64, rule: bool = False
) -> list[Verdict]:
    """Run features with the frame after which each is armed through the endpointer under MicroPython."""
    write_features(folder / "features.bin", recordings)
    (folder / "plan").write_bytes(plan())
    model = find_voice_model()
    by = [] if rule else [folder / "plan", *map(str, model.rule().values())]
    return read_verdicts(run_micropython(SCRIPT, tier, folder / "features.bin", "{}", *by, bits=bits))


def on_host(recordings: Sequence[tuple[Frames, int]]) -> list[Verdict]:
    """The same by tflite-micro's outputs and the firmware's source, run here."""
    model = find_voice_model()
    data = model.path.read_bytes()
    found = []
    for frames, arm in recordings:
        rows = np.clip((frames.astype(np.int64) * 256 + 333) // 666 - 128, -128, 127).astype(np.int8)
        outputs = tflm.run(data, rows[: len(rows) // 3 * 3].reshape(-1, 1, 3, 40)).outputs.reshape(-1)
        said = decide(frames, arm, replayed(outputs, model.rule()))
        check = 0
        for output in outputs.tolist():
            check = (check * 31 + output) & 0xFFFFFF
        found.append(Verdict(said.code, said.onset, said.last_speech, said.decided, check))
    return found


def heard(sound: Samples) -> Frames:
    return pymicro.features(to_pcm(sound))


def scene(kind: str, seed: int, seconds: float = 6.0) -> Samples:
    """Noise alone."""
    return 0.05 * np.asarray(vad_data.background(kind, round(seconds * 16000), np.random.default_rng(seed)))


def request(kind: str, seed: int) -> tuple[Samples, float]:
    """A sentence in noise 15 dB below it, 5 s after the beginning; and where it ends, in seconds."""
    said = synthesise("what is on my calendar for thursday", flite("rms"))
    sound = np.concatenate([silence(5.0), said, silence(3.0)])
    behind = vad_data.background(kind, sound.size, np.random.default_rng(seed))
    return sound + 0.1 * 10 ** (-15 / 20) * behind, 5.0 + said.size / 16000


@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])
def test_boards_and_host_agree(tmp_path, bits):
    rng = np.random.default_rng(6)
    recordings = [(heard(scene(kind, 3)), 150) for kind in ("beat", "bangs", "chirps")]
    recordings += [(rng.integers(0, 900, (300, 40)).astype(np.uint16), 100)]
    recordings = recordings if bits == 64 else recordings[-2:]
    expected = on_host(recordings)
    assert on_board(tmp_path, recordings, "viper", bits) == expected
    assert on_board(tmp_path, recordings[-1:], "bytecode", bits) == expected[-1:]


@pytest.mark.parametrize(
    ("tier", "bits"), [("viper", 64), ("bytecode", 64), pytest.param("viper", 32, marks=pytest.mark.micropython32)]
)
def test_a_hop_allocates_nothing(tmp_path, tier, bits):
    (tmp_path / "plan").write_bytes(plan())
    script = ROOT / "tests" / "firmware" / "mp_voice_heap.py"
    lines = run_micropython(script, tier, tmp_path / "plan", bits=bits).decode().split("\n")[:3]
    assert lines == ["unarmed 0", "waiting 0", "speaking 0"]


@pytest.mark.parametrize("fields", ["100, 120, 60, 8", "256, 120, 60, 8", "130, 60, 70, 8", "130, 120, 60, 0"])
def test_wrong_fields_are_refused(fields):
    source = f"""
from coproc.audio.voice import Voice
class Model:
    stride, input_bytes = 3, 120
try:
    Voice(Model(), None, {fields})
except ValueError as error:
    print(error)
"""
    message = "deny, stay and begin must rise from 0 to 255, lag must be 1 to 20"
    assert run_micropython(source).decode().strip() == message


def test_noise_alone_is_nothing_said(tmp_path):
    kinds = [kind for kind in vad_data.KINDS if kind != "babble"]
    recordings = [(heard(scene(kind, seed, 10.0)), 500) for kind in kinds for seed in (21, 22)]
    by_model, by_rule = (
        [verdict.code for verdict in on_board(tmp_path, recordings, rule=rule)].count(NOTHING)
        for rule in (False, True)
    )
    print(f"\nof {len(recordings)} the model hears nothing said in {by_model}, the rule in {by_rule}")
    assert by_model >= 0.75 * len(recordings)
    assert by_model > by_rule


@pytest.mark.speech
@pytest.mark.parametrize("kind", ["beat", "bangs", "chirps"])
def test_ends_are_found_where_the_rule_hears_noise(tmp_path, kind):
    made = [request(kind, seed) for seed in range(8)]
    recordings = [(heard(sound), 450) for sound, _ in made]
    right = {}
    for by in ("model", "rule"):
        verdicts = on_board(tmp_path, recordings, rule=by == "rule")
        errors = [pymicro.frame_end_s(v.last_speech) - end_s for v, (_, end_s) in zip(verdicts, made, strict=True)]
        right[by] = sum(v.code == END and abs(e) <= 0.25 for v, e in zip(verdicts, errors, strict=True))
    print(f"\n{kind}: of 8 the model ends {right['model']} within 250 ms, the rule {right['rule']}")
    assert right["model"] >= 6
    assert right["model"] > right["rule"]


def test_requests_of_the_recordings_end_where_their_truth_says(tmp_path):
    cases, truths = recorded_requests()
    check_recorded(truths, on_board(tmp_path, cases))


@pytest.mark.speech
def test_ends_of_generated_utterances(tmp_path_factory, soak):
    count = 1000 if soak else 100
    utterances = generate(HELD_OUT, count, 2024, tmp_path_factory.getbasetemp() / "speech")
    arms = [int(np.ceil((utterance.wake_s - 0.03) * 100 - 1e-9)) for utterance in utterances]
    recordings = [(pymicro.features(u.pcm), arm) for u, arm in zip(utterances, arms, strict=True)]
    verdicts = on_board(tmp_path_factory.mktemp("voice"), recordings)
    right, spanned = {condition: [] for condition in CONDITIONS}, 0
    for utterance, verdict, arm in zip(utterances, verdicts, arms, strict=True):
        end_s = pymicro.frame_end_s(verdict.last_speech)
        right[utterance.condition].append(verdict.code == END and abs(end_s - utterance.end_s) <= 0.25)
        begins_s = max(verdict.onset - 30, arm + 3 - 30) * 0.01
        spanned += verdict.code == END and begins_s <= utterance.start_s + 1e-6 and end_s + 0.3 >= utterance.end_s
        if not right[utterance.condition][-1]:
            print(
                f"{utterance.condition} {utterance.voice.label}: {utterance.text!r}: {end_s - utterance.end_s:+.2f} s"
            )
    shares = {condition: float(np.mean(found)) for condition, found in right.items()}
    print(shares, f"spanned {spanned / count:.1%}")
    assert min(shares.values()) >= 0.95
    assert spanned >= 0.985 * count
