"""When a model heard something: the rule in its manifest on its outputs, as the board applies it to a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bodydouble.compiler.plan import TensorInfo
from bodydouble.errors import InputError
from bodydouble.session.model.detect import Rule, find_rule, listen
from bodydouble.session.model.library import ModelFile, find_model
from support.micropython import run_micropython

UINT8 = TensorInfo((1, 1), "UINT8", 1 / 256, 0, 0)
COMMANDS = {
    "labels": ["stop", "go", "other"], "probability_cutoffs": {"stop": 0.9, "go": 0.5},
    "sliding_window_size": 2, "hold_off_steps": 3,
}  # fmt: skip
_WAKES = """
import sys
from coproc.tasks.wake import Word
outputs = sys.stdin.buffer.read()
class Model:
    stride = {frames}
    input = bytearray(40 * stride)
    at = -1
    def reset(self): pass
    def invoke(self): self.at += 1
    def output(self): return outputs[self.at]
model = Model()
word = Word(model, "w", {threshold}, {window}, {hold_reset}, {hold_wake}, 0)
for hop in range(len(outputs) * model.stride):
    if word.hop(bytes(40)):
        print(model.at, word.sum)
        word.woken()
"""


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
def test_wakes_are_the_boards(frames: int) -> None:
    """Outputs that pass and fail the rule by a hair, in runs longer and shorter than the hold."""
    rng = np.random.default_rng(frames)
    outputs = np.repeat(rng.integers(0, 256, 300), rng.integers(1, 9, 300)).astype(np.uint8)
    outputs[rng.random(len(outputs)) < 0.3] = 229
    file = find_model("alexa")
    rule = find_rule(file, UINT8, frames)
    assert rule is not None and (rule.labels, rule.window) == (("Alexa",), 5)
    numbers = {"frames": frames, "threshold": rule.limits[0], "window": 5, "hold_reset": 74, "hold_wake": 74}
    said = run_micropython(_WAKES.format(**numbers), stdin=outputs.tobytes()).decode().split("\n")[:-1]
    theirs = [(float(at), round(int(total) / (255 * 5), 3)) for at, total in (line.split() for line in said)]
    heard = listen(rule, outputs.reshape(-1, 1, 1), range(len(outputs)))
    assert [(one.t, one.score) for one in heard.detections] == theirs
    assert len(theirs) > 3 and heard.nearest is None


def _model(tmp_path: Path, manifest: object) -> ModelFile:
    (tmp_path / "m.tflite").write_bytes(b"")
    (tmp_path / "m.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return find_model(str(tmp_path / "m.tflite"))


def test_commands_pass_each_their_own_cutoff(tmp_path: Path) -> None:
    rule = find_rule(_model(tmp_path, COMMANDS), TensorInfo((1, 3), "UINT8", 1 / 256, 0, 0), 3)
    assert rule == Rule(("stop", "go"), (2 * 229, 2 * 127), 2, 3, 3)
    outputs = np.zeros((20, 1, 3), np.uint8)
    outputs[0:2, 0, 0] = 255  # before anything may be heard
    outputs[4:6, 0, :2] = 240  # both pass: go is further above its own cutoff
    outputs[6:8, 0, 0] = 255  # within the hold
    outputs[12:14, 0, 0] = 230
    outputs[16:20, 0, 2] = 255  # no command
    heard = listen(rule, outputs, [0.05 + 0.03 * i for i in range(20)])
    assert [(one.label, round(one.t, 2)) for one in heard.detections] == [("go", 0.2), ("stop", 0.44)]


def test_what_came_nearest(tmp_path: Path) -> None:
    rule = Rule(("a",), (400,), 2, 0, 5)
    heard = listen(rule, np.array([[10], [90], [200], [200], [20]], np.uint8), [1.0, 2.0, 3.0, 4.0, 5.0])
    assert heard.detections == () and heard.nearest is not None
    assert (heard.nearest.t, heard.nearest.score, heard.nearest.cutoff) == (4.0, 0.784, 0.784)
    assert listen(rule, np.zeros((4, 1), np.uint8), [1.0, 2.0, 3.0, 4.0]).nearest is None


@pytest.mark.parametrize("manifest", [{}, {"type": 5, "labels": 7, "model": 5}, {"type": "vad", "begin": 190}])
def test_manifests_without_a_rule(tmp_path: Path, manifest: dict[str, Any]) -> None:
    file = _model(tmp_path, manifest)
    assert find_rule(file, UINT8, 3) is None
    assert file.labels == []


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("[1]", "is no model's manifest"),
        ("{", "is no model's manifest"),
        ({"micro": 3}, "is no microWakeWord manifest"),
        ({"micro": {"probability_cutoff": 2, "sliding_window_size": 5}}, "must be between 0 and 1"),
        (COMMANDS | {"labels": 5}, "rule that cannot be used"),
        (COMMANDS | {"labels": ["x", "y"]}, "rule that cannot be used"),
        (COMMANDS | {"probability_cutoffs": [0.5]}, "rule that cannot be used"),
        (COMMANDS | {"probability_cutoffs": {"stop": float("nan"), "go": 0.5}}, "rule that cannot be used"),
        (COMMANDS | {"sliding_window_size": 0}, "rule that cannot be used"),
        (COMMANDS, "is for 2 outputs of UINT8, m has 1 of UINT8"),
    ],
)
def test_rules_that_cannot_be_used(tmp_path: Path, manifest: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        find_rule(_model(tmp_path, manifest), UINT8, 3)
    assert "\n" not in str(caught.value)
