"""The command model: its manifest, what it hears and what it does not, and how its training data come about."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tflite

from bodydouble.compiler import compile_model
from bodydouble.resources import cache_dir
from models.training import kokoro, noise, vocabulary
from models.training.command_data import (
    COMMANDS,
    IGNORED,
    LABELS,
    OTHER,
    SILENCE,
    Scene,
    Script,
    Spoken,
    make_scene,
    step_labels,
)
from models.training.command_rule import Decision, Rule, Tally
from models.training.evaluate_command import clip
from models.training.features import features
from models.training.voices import ALL_ENGINES, RATE_HZ, SPLITS, speak, speakers
from support import pymicro, tflm

FOLDER = Path(__file__).parents[2] / "models"
MANIFEST = json.loads((FOLDER / "command.json").read_text())
MODEL = (FOLDER / "command.tflite").read_bytes()
RULE = Rule(
    tuple(MANIFEST["probability_cutoffs"][command] for command in COMMANDS),
    MANIFEST["sliding_window_size"],
    MANIFEST["hold_off_steps"],
)


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the voices say is kept for these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BODYDOUBLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def heard(scenes: list[Scene]) -> list[list[str]]:
    """The commands that the committed model hears in each scene, in tflite-micro."""
    jobs = []
    for scene in scenes:
        rows = features(scene.pcm)
        jobs.append(tflm.Job(MODEL, rows[: len(rows) // 3 * 3].reshape(-1, 1, 3, 40)))
    return [
        [COMMANDS[decision.label] for decision in RULE.decide(golden.outputs.reshape(-1, len(LABELS)))]
        for golden in tflm.run_many(jobs)
    ]


def test_the_manifest_is_that_of_the_file() -> None:
    assert MANIFEST["sha256"] == hashlib.sha256(MODEL).hexdigest()
    assert MANIFEST["labels"] == list(LABELS)
    assert list(MANIFEST["probability_cutoffs"]) == list(COMMANDS)
    graph = tflite.Model.GetRootAs(MODEL, 0).Subgraphs(0)
    kinds = {tflite.TensorType.INT8: "int8", tflite.TensorType.UINT8: "uint8"}
    for end, index in (("input", graph.Inputs(0)), ("output", graph.Outputs(0))):
        tensor, told = graph.Tensors(index), MANIFEST[end]
        assert tensor.ShapeAsNumpy().tolist() == told["shape"]
        assert kinds[tensor.Type()] == told["type"]
        assert tensor.Quantization().Scale(0) == pytest.approx(told["scale"], rel=1e-6)
        assert tensor.Quantization().ZeroPoint(0) == told["zero_point"]


def test_it_is_small_enough_and_compiles_for_the_board() -> None:
    plan = compile_model(MODEL, "command")
    assert len(MODEL) < 80_000
    assert plan.macs < 60_000


@pytest.mark.speech
def test_most_commands_of_voices_that_training_never_heard_are_understood() -> None:
    voices = speakers("test", ("flite", "espeak-ng"))[:4]
    rng = np.random.default_rng(5)
    said = [(command, speak(f"{command}.", voice)) for voice in voices for command in COMMANDS]
    found = heard([clip(samples, 0, "pink", 30, rng) for _, samples in said])
    right = [commands == [command] for (command, _), commands in zip(said, found, strict=True)]
    wrong = [bool(set(commands) - {command}) for (command, _), commands in zip(said, found, strict=True)]
    assert np.mean(right) > 0.5
    assert np.mean(wrong) < 0.15


def test_silence_and_noise_are_no_commands() -> None:
    rng = np.random.default_rng(6)
    scenes = [Scene(np.zeros(6 * RATE_HZ, np.int16), ())]
    for kind in noise.KINDS[:-1]:
        scenes.append(Scene(noise.to_pcm(noise.noise(kind, 6 * RATE_HZ, rng) * np.float32(0.05)), ()))
    assert heard(scenes) == [[]] * len(scenes)


@pytest.mark.speech
def test_other_speech_is_no_command() -> None:
    voice, rng = speakers("test", ("flite",))[0], np.random.default_rng(7)
    said = "The engineer explained how the bridge was built, and everybody listened until it was dark."
    assert heard([clip(speak(said, voice), OTHER, "pink", 30, rng)]) == [[]]


@pytest.mark.speech
def test_scenes_follow_from_the_seed() -> None:
    def made(seed: int, number: int) -> Scene:
        script = Script("test", seed, ("flite",))
        return make_scene(script, 4.0, np.random.default_rng([seed, 2, number]))

    first, again = made(1, 0), made(1, 0)
    assert np.array_equal(first.pcm, again.pcm)
    assert first.spoken == again.spoken
    assert not np.array_equal(first.pcm, made(1, 1).pcm)
    assert not np.array_equal(first.pcm, made(2, 0).pcm)


def test_no_voice_is_in_two_splits() -> None:
    timbres = {
        split: {
            (voice.engine.removesuffix("-en"), name)
            for voice in speakers(split, ALL_ENGINES)
            for name in ([voice.name] if voice.engine == "espeak-ng" else voice.name.split("+"))
        }
        for split in SPLITS
    }
    for one, other in itertools.combinations(SPLITS, 2):
        assert timbres[one].isdisjoint(timbres[other])


def test_words_are_in_one_split_and_sound_alikes_are_no_commands() -> None:
    words = {split: {*vocabulary.near(COMMANDS, split), *vocabulary.common(COMMANDS, split)} for split in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert words[one].isdisjoint(words[other])
    alike = {word for split in SPLITS for word in vocabulary.near(COMMANDS, split)}
    assert {"council", "cute", "loud", "step", "low"} < alike
    assert alike.isdisjoint({*COMMANDS, "know", "paws", "stops", "backs"})


def test_phrases_follow_from_the_seed_and_never_end_in_a_command() -> None:
    made = vocabulary.phrases(COMMANDS, "test", 60, 1)
    assert made == vocabulary.phrases(COMMANDS, "test", 60, 1)
    assert made != vocabulary.phrases(COMMANDS, "test", 60, 2)
    said = [phrase[:-1].lower().split() for phrase in made]
    assert any(word in COMMANDS for words in said for word in words)
    assert not any(words[-1] in COMMANDS for words in said)


def test_features_are_the_boards() -> None:
    pcm = noise.to_pcm(noise.noise("pink", RATE_HZ, np.random.default_rng(8)) * np.float32(0.1))
    raw = pymicro.features(pcm).astype(np.int64)
    assert np.array_equal(features(pcm), np.clip((raw * 256 + 333) // 666 - 128, -128, 127))


def test_labels_say_when_a_command_is_due() -> None:
    scene = Scene(np.zeros(0, np.int16), (Spoken(3, 1.0, 1.4), Spoken(OTHER, 3.0, 4.0)))
    labels = step_labels(scene, 200)

    def at(seconds: float) -> int:
        return int(labels[round((seconds - 0.05) / 0.03)])

    assert [at(0.5), at(1.15), at(1.4), at(1.6), at(2.0)] == [SILENCE, OTHER, IGNORED, 3, IGNORED]
    assert [at(2.6), at(3.5), at(4.3), at(4.6), at(5.0)] == [SILENCE, OTHER, OTHER, IGNORED, SILENCE]


def test_the_rule_needs_a_whole_window_above_the_cutoff() -> None:
    rule = Rule((0.5,) * len(COMMANDS), window=5, hold_off=20)
    outputs = np.zeros((100, len(LABELS)), np.uint8)
    outputs[40:43, 2] = 255  # 765 of 635 are needed
    outputs[60:62, 4] = 255
    assert rule.decide(outputs) == [Decision(2, 0.05 + 0.03 * 42)]
    outputs[5:10, 1] = 255
    assert rule.decide(outputs)[0].label == 2, "none within the hold-off of a reset"
    outputs[44:50, 6] = 255
    assert len(rule.decide(outputs)) == 1, "none within the hold-off of a decision"


def test_the_tally_counts_hits_mistakes_and_false_accepts() -> None:
    tally = Tally()
    spoken = [Spoken(0, 1.0, 1.5), Spoken(1, 3.0, 3.5), Spoken(OTHER, 5.0, 6.0), Spoken(2, 8.0, 8.5)]
    tally.add(spoken, [Decision(0, 1.8), Decision(4, 3.7), Decision(5, 6.1)], 36.0)
    assert (tally.recall[0], tally.recall[1], tally.confusion[1, 4], tally.confusion[2, -1]) == (1, 0, 1, 1)
    assert tally.false_accepts_per_hour == 100
    assert tally.mistaken == pytest.approx(1 / 3)


@pytest.mark.parametrize("kind", noise.KINDS)
def test_noises_are_seeded_and_of_rms_one(kind: str) -> None:
    talk = [np.sin(np.arange(8000, dtype=np.float32))]
    made = [noise.noise(kind, 3 * RATE_HZ, np.random.default_rng(9), talk) for _ in range(2)]
    assert np.array_equal(*made)
    assert np.sqrt(np.mean(made[0].astype(np.float64) ** 2)) == pytest.approx(1, rel=0.01)


def test_mixing_and_rooms_keep_to_their_figures() -> None:
    rng = np.random.default_rng(10)
    speech = np.zeros(RATE_HZ, np.float32)
    speech[4000:8000] = np.sin(np.arange(4000, dtype=np.float32))
    added = noise.mix(speech, noise.noise("white", RATE_HZ, rng), 20) - speech
    assert np.sqrt(np.mean(added**2)) == pytest.approx(np.sqrt(0.5) / 10, rel=0.02)
    response = noise.impulse_response(0.4, 6.0, rng)
    assert 10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2)) == pytest.approx(6.0, abs=0.01)
    assert noise.reverberate(speech, response).size == speech.size
    assert np.sum(noise.reverberate(speech, response)[9000:] ** 2) > 1e-3


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="there are train, validation, test"):
        speakers("dev")
    with pytest.raises(ValueError, match="there are white, pink"):
        noise.noise("grey", 100, np.random.default_rng(0))


@pytest.mark.speech
def test_a_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="flite is missing"):
        speak("a line that no other test says", speakers("test", ("flite",))[0])


def test_another_package_of_voices_is_refused() -> None:
    kept = cache_dir() / "kokoro" / kokoro.KOKORO_JS_URL.rpartition("/")[2]
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"not it")
    with pytest.raises(RuntimeError, match="is not the kokoro-js that is pinned"):
        kokoro._english()


def test_voices_that_cannot_be_fetched_are_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path))
    monkeypatch.setattr(kokoro, "KOKORO_JS_URL", "http://127.0.0.1:1/kokoro-js-1.2.1.tgz")
    with pytest.raises(RuntimeError, match="cannot fetch Kokoro's voices"):
        kokoro._english()
