"""The recordings in tests/data say what their truth says, and the golden wake models agree."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from support import pymicro
from support.micropython import ROOT
from support.utterances import RATE_HZ, generator_versions

DATA = ROOT / "tests" / "data"
FOLDERS = ("demo", "recordings")
MEGABYTE = 1_000_000


def truth_of(folder: str) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((DATA / folder / "truth.json").read_text())
    return truth


def every_recording() -> list[Any]:
    return [
        pytest.param(DATA / folder / truth["file"], truth, id=truth["file"].removesuffix(".flac"))
        for folder in FOLDERS
        for truth in truth_of(folder)["recordings"]
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_truth_names_every_recording(folder):
    truth = truth_of(folder)
    named = [recording["file"] for recording in truth["recordings"]]
    assert sorted(named) == sorted(path.name for path in (DATA / folder).glob("*.flac"))
    assert truth["schema"] == 1
    assert set(truth["generators"]) == {"flite", "espeak-ng"}


def test_all_recordings_stay_under_two_megabytes():
    sizes = [path.stat().st_size for folder in FOLDERS for path in (DATA / folder).iterdir()]
    assert sum(sizes) < 2 * MEGABYTE


def test_voices_noises_and_words_are_varied():
    recordings = [recording for folder in FOLDERS for recording in truth_of(folder)["recordings"]]
    words = {turn["wake_word"] for recording in recordings for turn in recording["turns"]}
    assert words == {None, *pymicro.WORDS}
    assert {recording["noise"] for recording in recordings} == {None, "white", "pink"}
    engines = {recording["voice"].split("/")[0] for recording in recordings}
    assert engines == {"flite", "espeak-ng"}
    assert len({recording["voice"] for recording in recordings}) >= 8


@pytest.mark.parametrize(("path", "truth"), every_recording())
def test_recording_matches_its_truth(path: Path, truth: dict[str, Any]):
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", RATE_HZ, 1)
    pcm, _ = soundfile.read(path, dtype="int16")
    assert hashlib.sha256(pcm.tobytes()).hexdigest() == truth["samples_sha256"]
    assert pcm.size == round(truth["seconds"] * RATE_HZ)
    before_s = 0.0
    for turn in truth["turns"]:
        marks = ("wake_start_s", "wake_end_s", "utterance_start_s", "utterance_end_s")
        times = [turn[mark] for mark in marks if turn[mark] is not None]
        assert times == sorted(times)
        assert times[0] >= before_s
        assert (turn["wake_word"] is None) == (turn["wake_end_s"] is None)
        assert (turn["text"] is None) == (turn["utterance_end_s"] is None)
        before_s = times[-1]
    needed_s = 1.5 if truth["turns"][0]["wake_word"] else 0.5  # the end is decided upon silence
    assert truth["seconds"] - before_s >= needed_s


@pytest.mark.parametrize(("path", "truth"), every_recording())
def test_golden_wakes_equal_the_truth(path: Path, truth: dict[str, Any]):
    pcm, _ = soundfile.read(path, dtype="int16")
    frames = pymicro.features(pcm)
    expected = [(turn["wake_word"], turn["wake_end_s"]) for turn in truth["turns"] if turn["wake_word"]]
    by_pymicro = pymicro.wakes_pymicro(frames).wakes
    assert [list(wake) for wake in by_pymicro] == truth["pymicro_wakes"]
    for wakes in (by_pymicro, pymicro.wakes_esphome(frames).wakes):
        assert [wake.model for wake in wakes] == [word for word, _ in expected]
        assert all(-0.2 <= wake.t - end_s <= 0.4 for wake, (_, end_s) in zip(wakes, expected, strict=True))


@pytest.mark.parametrize("word", pymicro.WORDS)
def test_golden_esphome_quantiser_is_undone_exactly(word: str):
    # wakes_esphome() feeds int8 values through pymicro's own formula; every one must come back as it was.
    model = pymicro.model(word)
    values = np.arange(-128, 128)
    restored = np.round((values + 128.0) * model.input_scale / model.input_scale + model.input_zero_point)
    np.testing.assert_array_equal(restored, values)


@pytest.mark.speech
def test_script_reproduces_the_recordings():
    made_with = [truth_of(folder)["generators"] for folder in FOLDERS]
    if any(versions != generator_versions() for versions in made_with):
        pytest.skip(f"the recordings were made with {made_with[0]}, here is {generator_versions()}")
    script = ROOT / "tools" / "make_recordings.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
