"""How the outputs of the command model become decisions, and how decisions are judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.training.command_data import COMMANDS, OTHER, STEP_FRAMES, Scene, Spoken
from models.training.features import CHANNELS, features
from models.training.voices import RATE_HZ

MATCH_S = (-0.15, 0.75)  # when a decision may come, from the command's end


@dataclass(frozen=True)
class Rule:
    """ESPHome's rule, one per command: sum(last `window` outputs) > int(cutoff * 255) * window.

    Where several commands pass, the one furthest above its own cutoff is heard. The window is cleared by a decision,
    and none follows within `hold_off` steps of it or of a reset.
    """

    cutoffs: tuple[float, ...]
    window: int = 5
    hold_off: int = 20

    def decide(self, outputs: npt.NDArray[np.uint8]) -> list[Decision]:
        """Decisions on `outputs`, uint8 [steps, labels], from a reset."""
        scores = outputs[:, : len(COMMANDS)].astype(np.int64)
        summed = np.cumsum(np.pad(scores, ((self.window, 0), (0, 0))), axis=0)
        over = summed[self.window :] - summed[: -self.window] - self.limits
        found, free = [], self.hold_off
        for step in np.flatnonzero((over > 0).any(axis=1)):
            if step >= free:
                found.append(Decision(int(np.argmax(over[step])), 0.05 + 0.03 * int(step)))
                free = step + max(self.hold_off, self.window)
        return found

    @property
    def limits(self) -> npt.NDArray[np.int64]:
        """What each command's sum must exceed."""
        return np.array([int(cutoff * 255) * self.window for cutoff in self.cutoffs])


class Decision(NamedTuple):
    """The command that was heard, and the end of the window that decided, in seconds."""

    label: int
    t: float


class Tally:
    """Counts what became of commands: `confusion[said][heard]`, the last column being nothing heard."""

    def __init__(self) -> None:
        self.confusion = np.zeros((len(COMMANDS), len(COMMANDS) + 1), int)
        self.false_accepts = np.zeros(len(COMMANDS), int)
        self.delays_s: list[float] = []
        self.seconds = 0.0

    def add(self, spoken: Sequence[Spoken], decisions: Sequence[Decision], seconds: float) -> None:
        """Judge a scene of `seconds`: decisions that belong to no command are false accepts."""
        self.seconds += seconds
        left = list(decisions)
        for said in spoken:
            if said.label == OTHER:
                continue
            first, last = MATCH_S
            near = [heard for heard in left if said.end_s + first < heard.t <= said.end_s + last]
            heard = next((d for d in near if d.label == said.label), near[0] if near else None)
            self.confusion[said.label][heard.label if heard else len(COMMANDS)] += 1
            if heard:
                left.remove(heard)
                self.delays_s.append(heard.t - said.end_s)
        for heard in left:
            self.false_accepts[heard.label] += 1

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """The share of each command's utterances that were heard as themselves."""
        said = self.confusion.sum(axis=1)
        return self.confusion[range(len(COMMANDS)), range(len(COMMANDS))] / np.maximum(said, 1)

    @property
    def mistaken(self) -> float:
        """The share of all commands that were heard as others."""
        wrong = self.confusion[:, :-1].sum() - np.trace(self.confusion)
        return float(wrong / max(self.confusion.sum(), 1))

    @property
    def false_accepts_per_hour(self) -> float:
        """Decisions that nobody asked for, per hour of audio."""
        return float(self.false_accepts.sum() / max(self.seconds / 3600, 1e-9))


def run_model(model: bytes, sequences: Sequence[npt.NDArray[np.int8]]) -> list[npt.NDArray[np.uint8]]:
    """Outputs uint8 [steps, labels] by tflite-micro for each int8 [frames, 40], every one from a fresh start."""
    from tflite_micro import runtime

    outputs = []
    for rows in sequences:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=200_000)  # reset() would leave out CALL_ONCE
        said = []
        for step in rows[: len(rows) // STEP_FRAMES * STEP_FRAMES].reshape(-1, 1, STEP_FRAMES, CHANNELS):
            interpreter.set_input(step, 0)
            interpreter.invoke()
            said.append(interpreter.get_output(0)[0].copy())
        outputs.append(np.array(said, np.uint8).reshape(len(said), -1))
    return outputs


class Heard(NamedTuple):
    """A scene, its sound left out, and the model's outputs, uint8 [steps, labels]."""

    spoken: tuple[Spoken, ...]
    seconds: float
    outputs: npt.NDArray[np.uint8]


def hear(model: bytes, scenes: Iterable[Scene]) -> list[Heard]:
    """What the model puts out for each scene, worked out by all processors."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(_hear, model), scenes, chunksize=4))


def _hear(model: bytes, scene: Scene) -> Heard:
    return Heard(scene.spoken, scene.pcm.size / RATE_HZ, run_model(model, [features(scene.pcm)])[0])


def judge(rule: Rule, heard: Iterable[Heard]) -> Tally:
    """What becomes of all that was heard."""
    tally = Tally()
    for spoken, seconds, outputs in heard:
        tally.add(spoken, rule.decide(outputs), seconds)
    return tally
