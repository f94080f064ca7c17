"""What a model heard in a recording, and when: the rule in its manifest applied to its outputs.

Manifests of wake words (microWakeWord's) have one cutoff, those of command models one per label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bodydouble.compiler.plan import TensorInfo
from bodydouble.errors import InputError
from bodydouble.session.model.library import ModelFile
from bodydouble.session.model.runner import Array
from bodydouble.session.words import MAX_WINDOW, find_word

FULL = 255


@dataclass(frozen=True)
class Rule:
    """A label is heard where the sum of its last `window` outputs exceeds its limit; of several the furthest above.

    Outputs are uint8, a column per label. Nothing is heard before inference `first`, nor within `apart` inferences
    of what was heard last, which also clears the window.
    """

    labels: tuple[str, ...]
    limits: tuple[int, ...]
    window: int
    first: int
    apart: int


@dataclass(frozen=True)
class Detection:
    """`t`: seconds from the recording's start to the end of the audio that decided; `score`: the window's mean."""

    t: float
    label: str
    score: float
    cutoff: float


@dataclass(frozen=True)
class Heard:
    """What passed the rule, in order; `nearest` is what came closest to it where nothing did, if anything."""

    rule: Rule
    detections: tuple[Detection, ...]
    nearest: Detection | None


def find_rule(file: ModelFile, info: TensorInfo, frames: int) -> Rule | None:
    """The rule of the manifest beside `file`, for inferences of `frames` feature frames; None where it has none.

    `info`: the model's output. Raises InputError for a manifest that is damaged or does not fit the model.
    """
    manifest = file.manifest
    columns = info.shape[-1] if info.shape else 1
    if "micro" in manifest:
        word = find_word(str(file.path))
        rule = word.rule("esphome")
        label = str(manifest.get("wake_word") or file.name)
        after_reset, after_wake = rule["hold_reset"] + 1, rule["hold_wake"] + 1
        found = Rule(
            (label,), (rule["threshold"],), rule["window"], -(-after_reset // frames) - 1, -(-after_wake // frames)
        )
    elif "probability_cutoffs" in manifest:
        found = _commands(file, manifest)
    else:
        return None
    if info.type != "UINT8" or len(found.labels) > columns:
        raise InputError(
            f"the rule of {file.path.with_suffix('.json')} is for {len(found.labels)} outputs of UINT8, "
            f"{file.name} has {columns} of {info.type}",
            hint="put the manifest of this model beside it",
        )
    return found


def _commands(file: ModelFile, manifest: dict[str, Any]) -> Rule:
    try:
        cutoffs = {str(label): float(cutoff) for label, cutoff in manifest["probability_cutoffs"].items()}
        labels = tuple(str(label) for label in manifest["labels"])[: len(cutoffs)]
        window, hold_off = int(manifest["sliding_window_size"]), int(manifest["hold_off_steps"])
        limits = tuple(int(cutoffs[label] * FULL) * window for label in labels)
        if not (labels and 1 <= window <= MAX_WINDOW and hold_off >= 0 and all(0 < c < 1 for c in cutoffs.values())):
            raise ValueError("a value is out of its range")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{file.path.with_suffix('.json')} has a rule that cannot be used: {type(error).__name__}: {error}",
            hint="it needs labels, a cutoff of 0 to 1 for each, sliding_window_size and hold_off_steps",
        ) from error
    return Rule(labels, limits, window, hold_off, max(hold_off, window))


def listen(rule: Rule, outputs: Array, ends_s: Sequence[float]) -> Heard:
    """Apply `rule` to `outputs`, uint8 [inferences, ..., columns] from a reset, each for the audio up to `ends_s`."""
    scores = outputs.reshape(len(outputs), -1)[:, : len(rule.labels)].astype(np.int64)
    limits = np.array(rule.limits)
    found: list[Detection] = []
    nearest: tuple[int, Detection] | None = None
    free, cleared = rule.first, 0
    for i in range(rule.first, len(scores)):
        sums = scores[max(cleared, i + 1 - rule.window) : i + 1].sum(0)
        best = int(np.argmax(sums - limits))
        over = int(sums[best] - limits[best])
        full = FULL * rule.window
        one = Detection(ends_s[i], rule.labels[best], round(sums[best] / full, 3), round(limits[best] / full, 3))
        if i >= free and over > 0:
            found.append(one)
            free, cleared = i + rule.apart, i + 1
        elif sums[best] and (nearest is None or over > nearest[0]):
            nearest = (over, one)
    return Heard(rule, tuple(found), nearest[1] if nearest and not found else None)
