"""Golden decisions: the community wake models as pymicro-features and pymicro-wakeword run them."""

from __future__ import annotations

import json
from collections import deque
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pymicro_wakeword
from pymicro_features import MicroFrontend  # type: ignore[import-untyped]  # publishes no types
from pymicro_wakeword import MicroWakeWord, Model

WORDS = tuple(word.value for word in Model)
FEATURE_STEP = 0.0390625  # pymicro-features gives the front end's integers times this
HOLD_OFF = 74  # feature frames that ESPHome ignores after a reset and after a wake
JOINED = 3  # detections at most this many frames apart belong to one wake


class Wake(NamedTuple):
    """A wake: the model's name and the end of the window that decided, in seconds of audio."""

    model: str
    t: float


class Heard(NamedTuple):
    """What all models made of a recording: the wakes, and each model's best mean probability."""

    wakes: list[Wake]
    best: dict[str, float]


def features(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.uint16]:
    """The front end's features of 16 kHz samples: uint16 [frames, 40], frame k ending at 0.03 + 0.01 k seconds."""
    front_end = MicroFrontend()
    data = pcm.tobytes()
    rows = []
    for at in range(0, len(data) - 319, 320):
        row = front_end.process_samples(data[at : at + 320]).features
        if row:
            rows.append(row)
    return np.rint(np.array(rows, np.float64).reshape(-1, 40) / FEATURE_STEP).astype(np.uint16)


def frame_end_s(frame: int) -> float:
    """When frame `frame`'s window ends, in seconds from the first sample."""
    return round(0.03 + 0.01 * frame, 3)


@lru_cache(maxsize=8)
def model(name: str) -> MicroWakeWord:
    """A community wake model, loaded once; reset it before use."""
    return MicroWakeWord.from_builtin(Model(name))


@lru_cache(maxsize=8)
def manifest(name: str) -> dict[str, float]:
    """The numbers of a model's manifest: probability_cutoff, sliding_window_size and others."""
    folder = Path(pymicro_wakeword.__file__).parent / "models"
    numbers: dict[str, float] = json.loads((folder / f"{name}.json").read_text())["micro"]
    return numbers


def wakes_pymicro(frames: npt.NDArray[np.uint16]) -> Heard:
    """pymicro-wakeword's own formula and rule: the mean of the last outputs exceeds the cutoff."""
    wakes, best = [], {}
    for name in WORDS:
        golden = model(name)
        golden.reset()
        hits, best[name] = [], 0.0
        for frame, row in enumerate(frames):
            mean = golden.process_streaming_prob(row.reshape(1, 1, 40) * FEATURE_STEP) or 0.0
            best[name] = max(best[name], mean)
            if mean > golden.probability_cutoff:
                hits.append(frame)
        first = [hit for hit, before in zip(hits, [-1000, *hits], strict=False) if hit - before > JOINED]
        wakes += [Wake(name, frame_end_s(hit)) for hit in first]
    return Heard(sorted(wakes, key=lambda wake: wake.t), best)


def wakes_esphome(frames: npt.NDArray[np.uint16]) -> Heard:
    """ESPHome's formula and rule, run by the same interpreter."""
    quantised = np.clip((frames.astype(np.int32) * 256 + 333) // 666 - 128, -128, 127)
    wakes, best = [], {}
    for name in WORDS:
        golden = model(name)
        golden.reset()
        size = int(manifest(name)["sliding_window_size"])
        threshold = int(manifest(name)["probability_cutoff"] * 255) * size
        outputs, ready, best[name] = deque([0] * size, maxlen=size), HOLD_OFF, 0.0
        for frame, row in enumerate(quantised):
            # These values are exactly what the package's own formula turns back into the int8 in `row`.
            mean = golden.process_streaming_prob((row.reshape(1, 1, 40) + 128.0) * golden.input_scale) or 0.0
            if (frame + 1) % golden.stride:
                continue
            # The package gives only means: its last output is what it kept last.
            outputs.append(round(golden._probabilities[-1] / golden.output_scale))
            best[name] = max(best[name], mean)
            if sum(outputs) > threshold and frame + 1 >= ready:
                wakes.append(Wake(name, frame_end_s(frame)))
                outputs.extend([0] * size)
                ready = frame + 1 + HOLD_OFF
    return Heard(sorted(wakes, key=lambda wake: wake.t), best)
