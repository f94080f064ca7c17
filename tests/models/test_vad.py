"""The model of voice activity: its manifest, what it hears, and that a board computes it bit for bit."""

from __future__ import annotations

import hashlib
import itertools
import json
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bodydouble.compiler import compile_model
from bodydouble.compiler.reader import read_model
from models.training import labels, vad_data
from models.training.command_data import STEP_FRAMES, Script
from models.training.features import features
from models.training.voices import BLOCK
from support import nn, tflm
from support.micropython import ROOT
from support.utterances import flite, noise, speech_bounds, synthesise, to_pcm

MODEL = ROOT / "models" / "vad.tflite"
OPERATIONS = {
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "RESHAPE", "CONCATENATION", "STRIDED_SLICE", "SPLIT_V",
    "LOGISTIC", "QUANTIZE", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE",
}  # fmt: skip
LEAD_S, TAIL_S = 2.0, 1.5


def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MODEL.with_suffix(".json").read_text())
    return found


def steps(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Rows of features as the model takes them: [steps, 1, 3, 40]."""
    return rows[: len(rows) // STEP_FRAMES * STEP_FRAMES].reshape(-1, 1, STEP_FRAMES, 40)


@cache
def outputs(condition: str) -> tuple[npt.NDArray[np.uint8], float, float]:
    """tflite-micro's outputs on a spoken sentence, and from when to when it is spoken; `condition` is the noise."""
    said = synthesise("turn off the lights in the living room", flite("rms"))
    start, end = speech_bounds(said)
    sound = np.concatenate([np.zeros(int(LEAD_S * 16000)), said, np.zeros(int(TAIL_S * 16000))])
    rng = np.random.default_rng(5)
    level = {"clean": 1 / 32767}.get(condition, 0.1 * 10 ** (-10 / 20))
    sound += level * noise("white" if condition == "clean" else condition, sound.size, rng)
    golden = tflm.run(MODEL.read_bytes(), steps(features(to_pcm(sound))))
    return golden.outputs.reshape(-1).astype(np.uint8), LEAD_S + start / 16000, LEAD_S + end / 16000


def test_manifest_describes_the_file():
    told = manifest()
    data = MODEL.read_bytes()
    assert told["model"] == MODEL.name
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(data) < 20 * 1024
    plan = compile_model(data, "vad", str(MODEL))
    for port, described in ((plan.inputs[0], told["input"]), (plan.output, told["output"])):
        assert list(port.shape) == described["shape"]
        assert port.type.lower() == described["type"]
        assert port.scale == pytest.approx(described["scale"])
        assert port.zero_point == described["zero_point"]
    assert plan.macs < 10_000
    assert 0 <= told["deny"] <= told["stay"] <= told["begin"] <= 255
    assert told["lag_frames"] == vad_data.DELAY_FRAMES + 2 * STEP_FRAMES


def test_the_card_names_the_file():
    assert manifest()["sha256"] in MODEL.with_suffix(".md").read_text()


def test_operations_are_those_of_streaming_models():
    model = read_model(MODEL.read_bytes(), str(MODEL))
    assert {op.kind for graph in model.subgraphs for op in graph.operators} <= OPERATIONS


@pytest.mark.speech
@pytest.mark.parametrize("condition", ["clean", "white", "pink"])
def test_speech_is_told_from_silence_and_noise(condition):
    told, start_s, end_s = outputs(condition)
    # What an output is about lies the manifest's lag before the newest frame of its step.
    about_s = (np.arange(told.size) * STEP_FRAMES + STEP_FRAMES - 1 - manifest()["lag_frames"]) * 0.01 + 0.025
    inside = told[(about_s > start_s + 0.1) & (about_s < end_s - 0.1)]
    outside = told[(about_s > 0.5) & (about_s < start_s - 0.15) | (about_s > end_s + 0.25)]
    assert np.mean(inside > manifest()["stay"]) > 0.9
    assert np.max(inside) > manifest()["begin"]
    assert np.mean(outside > manifest()["stay"]) < 0.02


@pytest.mark.parametrize("kind", [kind for kind in vad_data.KINDS if kind != "babble"])
def test_noise_alone_is_no_speech(kind):
    sound = 0.05 * vad_data.background(kind, 16000 * 12, np.random.default_rng(9))
    told = tflm.run(MODEL.read_bytes(), steps(features(to_pcm(sound)))).outputs.reshape(-1)
    assert np.mean(told[17:] > manifest()["begin"]) < 0.05


@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.micropython32)])
@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_a_board_computes_it_bit_for_bit(tier, bits):
    data = MODEL.read_bytes()
    count = 200 if tier == "viper" else 40
    rng = np.random.default_rng(4)
    sound = vad_data.background("beat", 16000 * 7, rng)
    sound[16000:48000] += vad_data.background("tones", 32000, rng)
    heard = steps(features(to_pcm(0.05 * sound)))[:count]
    wild = rng.integers(-128, 128, (count, 1, STEP_FRAMES, 40)).astype(np.int8)
    plan = compile_model(data, "vad", str(MODEL))
    jobs = [("heard", data, plan, heard), ("wild", data, plan, wild)]
    compared = nn.compare(jobs, tier, bits, trace=tier == "viper" and bits == 64, resets=(count // 2,))
    assert compared.differences == []
    assert compared.values >= 2 * count


# --- the data it is trained on


class Always:
    """A detector that hears speech everywhere."""

    def reset(self) -> None:
        pass

    def process_chunk(self, chunk: bytes) -> float:
        assert len(chunk) == 1024
        return 1.0


@pytest.fixture
def without_silero(monkeypatch):
    monkeypatch.setattr(labels, "_detector", Always)


@pytest.mark.speech
def test_scenes_follow_from_the_seed(without_silero, monkeypatch, tmp_path):
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path))
    vad_data._said.cache_clear()
    script = Script("validation", 3, engines=("espeak-ng",))
    script.sentences, script.words, script.wake_words = script.sentences[:4], script.words[:4], script.wake_words[:4]
    script.commands = [lines[:1] for lines in script.commands[:2]]
    first, again, other = (list(itertools.islice(vad_data.scenes(script, 3, 4.0, seed), 3)) for seed in (1, 1, 2))
    assert [scene.pcm.tobytes() for scene in first] == [scene.pcm.tobytes() for scene in again]
    assert [scene.speech.tobytes() for scene in first] == [scene.speech.tobytes() for scene in again]
    assert first[0].pcm.tobytes() != other[0].pcm.tobytes()
    assert all(scene.speech.size == scene.pcm.size // BLOCK for scene in first)


@pytest.mark.parametrize(("split", "count", "digest"), [("train", 2749, "40ee108a"), ("validation", 460, "d6cc1c67")])
def test_who_says_what_is_what_the_model_learned_from(split, count, digest):
    script = Script(split, manifest()["seed"])
    lines = [*script.sentences, *script.words, *script.wake_words, *itertools.chain(*script.commands)]
    said = repr([(line.text, line.voice.label) for line in lines])
    assert len(lines) == count
    assert hashlib.sha256(said.encode()).hexdigest().startswith(digest)


@pytest.mark.parametrize("kind", [kind for kind in vad_data.KINDS if kind != "babble"])
def test_noise_has_unit_power_and_follows_from_the_seed(kind):
    made, again = (vad_data.background(kind, 20000, np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(made, again)
    assert np.sqrt(np.mean(made**2)) == pytest.approx(1, abs=1e-3)


def test_labels_are_loud_blocks_where_the_detector_hears_speech(monkeypatch):
    class Second(Always):
        def process_chunk(self, chunk: bytes) -> float:
            return float(np.frombuffer(chunk, "<i2").max() > 3000)

    monkeypatch.setattr(labels, "_detector", Second)
    sound = np.zeros(16000, np.float32)
    sound[1600:3200] = 0.05  # loud enough for the rule of loudness, and no speech
    sound[8000:9600] = 0.2
    sound[10400:12000] = 0.2  # 50 ms later: bridged
    spoken = np.flatnonzero(labels.speech_blocks(sound))
    assert (spoken[0], spoken[-1], spoken.size) == (50, 74, 25)


def test_a_step_is_labelled_by_what_it_is_about():
    speech = np.zeros(60, np.bool_)
    speech[30:36] = True
    told = vad_data.step_labels(speech, 18)
    # Frame k is about block k + 1 - 6; step s has the frames 3 s to 3 s + 2.
    expected = [np.mean([30 <= 3 * s + f - 5 < 36 for f in range(3)]) for s in range(18)]
    np.testing.assert_allclose(told, expected)


def test_gaps_are_bridged_only_inside():
    blocks = np.array([0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0], np.bool_)
    np.testing.assert_array_equal(labels.bridged(blocks, 2), np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0], np.bool_))
