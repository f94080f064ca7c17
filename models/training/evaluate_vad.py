"""Does the model of voice activity find the ends of requests better than the firmware's rule does?

    python -m models.training.evaluate_vad --sounds /usr/share --wakes FOLDER --count 800

Both run in the firmware's own endpointer, on the requests of `vad_cases.py`; the model runs in tflite-micro.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import types
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.training.command_data import STEP_FRAMES
from models.training.command_rule import run_model
from models.training.features import quantise, raw_features
from models.training.vad_cases import Case, noises, spoken_by_people, spoken_by_voices

FOLDER = Path(__file__).parent.parent
NEAR_S = 0.25
OUTCOMES = ("right", "cut", "late", "missed", "unheard")


@dataclass(frozen=True)
class Verdict:
    """What an endpointer made of a case: its last code, frames."""

    code: int
    onset: int
    last_speech: int
    decided: int

    @property
    def end_s(self) -> float:
        """Where it saw the end of speech."""
        return 0.03 + 0.01 * self.last_speech


# --- the firmware's endpointer, on the host


@lru_cache(maxsize=1)
def firmware() -> tuple[types.ModuleType, types.ModuleType, types.ModuleType]:
    """The firmware's endpointer, its readable kernel and its voice-activity detector, imported as they are."""
    sys.modules.setdefault("micropython", types.SimpleNamespace(const=lambda value: value))  # type: ignore[arg-type]
    sys.path.insert(0, str(FOLDER.parent / "firmware"))
    try:
        endpoint, kernels, voice = (
            importlib.import_module(f"coproc.audio.{name}") for name in ("endpoint", "endpoint_bytecode", "voice")
        )
    finally:
        sys.path.pop(0)
    return endpoint, kernels, voice


class Replay:
    """Stands in for the firmware's Model: gives outputs that were computed before."""

    stride, input_bytes, input = STEP_FRAMES, 40 * STEP_FRAMES, None

    def __init__(self, outputs: npt.NDArray[np.uint8]) -> None:
        self._outputs = iter(outputs.ravel().tolist())

    def reset(self) -> None:
        """Nothing was given yet."""

    def invoke(self) -> None:
        """On to the next output."""
        self._output = next(self._outputs)

    def output(self) -> int:
        """What the model would say."""
        return self._output


def replayed(outputs: npt.NDArray[np.uint8], manifest: dict[str, int]) -> object:
    """The firmware's Voice, hearing what gave `outputs`."""
    _, _, voice = firmware()
    fields = [manifest[name] for name in ("begin", "stay", "deny", "lag_frames")]
    return voice.Voice(Replay(outputs), lambda *ignored: None, *fields)


def decide(raw: npt.NDArray[np.uint16], arm: int, voice: object = None, **options: int) -> Verdict:
    """Run a recording's features through the endpointer, the request opened at frame `arm`; None: by the rule."""
    endpoint, kernels, _ = firmware()
    endpointer = endpoint.Endpointer(kernels, options, voice)
    levels = iter(patch_levels(raw).tolist())
    endpointer._patch = lambda *ignored: next(levels)  # the kernel's own results, faster
    for hop in range(len(raw)):
        code = endpointer.hop(None, hop)
        if code > endpoint.ONSET:
            return Verdict(code, endpointer.onset, endpointer.last_speech, hop)
        if hop == arm:
            endpointer.arm(hop)
    return Verdict(endpoint.NONE, endpointer.onset, endpointer.last_speech, -1)


def patch_levels(raw: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """What the endpointer's kernel gives for each frame."""
    capped = np.concatenate([np.zeros((9, 40), np.int64), np.minimum(raw.astype(np.int64), 2047)])
    sums = np.cumsum(capped, axis=0)
    sums = sums[9:] - sums[:-9]
    return np.asarray((sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:]).max(axis=1), np.int64)


# --- the figures


def outcome(case: Case, verdict: Verdict) -> str:
    """`right`: the end within 250 ms, or nobody heard where nobody spoke; else what went wrong."""
    endpoint, _, _ = firmware()
    if case.end_s is None:
        return "right" if verdict.code == endpoint.NOTHING else "false onset"
    if verdict.code == endpoint.NOTHING:
        return "unheard"
    if verdict.code != endpoint.END:
        return "missed"
    error_s = verdict.end_s - case.end_s
    if abs(error_s) <= NEAR_S:
        return "right"
    return "cut" if error_s < 0 else "late"


def table(cases: Sequence[Case], outcomes: dict[str, list[str]]) -> str:
    """A Markdown table: for each noise and SNR the shares of every outcome, one endpointer after the other."""
    groups: dict[str, list[int]] = {"all": list(range(len(cases)))}
    for name in sorted({case.kind for case in cases}):
        groups[name] = [i for i, case in enumerate(cases) if case.kind == name]
    for snr_db in sorted({case.snr_db for case in cases if case.kind != "quiet"}, reverse=True):
        groups[f"{snr_db:g} dB"] = [i for i, case in enumerate(cases) if case.snr_db == snr_db]
    lines = [
        "| | requests | endpointer | end within 250 ms | cut short | late | missed | unheard | false onsets |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for group, members in groups.items():
        requests = [i for i in members if cases[i].end_s is not None]
        nobody = [i for i in members if cases[i].end_s is None]
        for name, found in outcomes.items():
            counted = Counter(found[i] for i in requests)
            shares = [f"{counted[what] / max(len(requests), 1):.1%}" for what in OUTCOMES]
            false = sum(found[i] == "false onset" for i in nobody)
            lines.append(f"| {group} | {len(requests)} | {name} | {' | '.join(shares)} | {false} of {len(nobody)} |")
    return "\n".join(lines)


def paired(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """How often one was right where the other was wrong."""
    better = sum(a == "right" != b for a, b in zip(ours, theirs, strict=True))
    worse = sum(b == "right" != a for a, b in zip(ours, theirs, strict=True))
    return f"right where the rule is wrong: {better}; wrong where the rule is right: {worse}"


def lags_ms(cases: Sequence[Case], verdicts: Sequence[Verdict], outcomes: Sequence[str]) -> tuple[float, float]:
    """Median of the end's error, and of how long after the true end the decision came, where it was right."""
    right = [(c, v) for c, v, o in zip(cases, verdicts, outcomes, strict=True) if o == "right" and c.end_s]
    errors = [v.end_s - (c.end_s or 0) for c, v in right]
    waits = [0.03 + 0.01 * v.decided - (c.end_s or 0) for c, v in right]
    return float(np.median(errors)) * 1000, float(np.median(waits)) * 1000


def evaluate(title: str, cases: Sequence[Case], model: bytes, manifest: dict[str, int]) -> None:
    """Print the tables for `cases`."""
    raws = [raw_features(case.pcm) for case in cases]
    outputs = run_model(model, [quantise(raw) for raw in raws])
    verdicts: dict[str, list[Verdict]] = {"rule": [], "model": []}
    for case, raw, output in zip(cases, raws, outputs, strict=True):
        verdicts["rule"].append(decide(raw, case.arm))
        verdicts["model"].append(decide(raw, case.arm, replayed(output, manifest)))
    found = {name: [outcome(c, v) for c, v in zip(cases, given, strict=True)] for name, given in verdicts.items()}
    print(
        f"\n## {title}: {len(cases)} recordings\n\n{table(cases, found)}\n\n{paired(found['model'], found['rule'])}"
    )
    for name, given in verdicts.items():
        error_ms, wait_ms = lags_ms(cases, given, found[name])
        print(f"{name}: end told {error_ms:+.0f} ms from the truth, decided {wait_ms:.0f} ms after it (medians)")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=FOLDER / "vad.tflite")
    parser.add_argument("--sounds", type=Path, default=Path("/usr/share"), help="where the packages' sounds lie")
    parser.add_argument("--wakes", type=Path, help="a folder of real people's wake words")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=2026)
    given = parser.parse_args()
    manifest = json.loads(given.model.with_suffix(".json").read_text())
    model = given.model.read_bytes()
    kinds = noises(given.sounds)
    print(f"noises: {', '.join(kinds)}")
    evaluate("Voices never trained on", spoken_by_voices("test", kinds, given.count, given.seed), model, manifest)
    wakes = sorted(str(path) for path in given.wakes.glob("*.flac")) if given.wakes else []
    cases = spoken_by_people(given.sounds, wakes, kinds, given.count, given.seed)
    if cases:
        evaluate("Real people", cases, model, manifest)


if __name__ == "__main__":
    main()
