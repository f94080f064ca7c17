"""Endpointing under MicroPython: recordings go in as features, verdicts come out; what the shipped recordings say."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from support import pymicro
from support.micropython import ROOT

SCRIPT = ROOT / "tests" / "firmware" / "mp_endpoint.py"
NONE, ONSET, END, NOTHING, LONGEST = range(5)
ROLL = 30  # blocks of pre-roll and of post-roll

Frames = npt.NDArray[np.uint16]


class Verdict(NamedTuple):
    """What the endpointer made of a recording: frame indices, and a check value.

    The check is over every frame's level, or over the model's outputs where one is loaded.
    """

    code: int
    onset: int
    last_speech: int
    decided: int
    check: int


def write_features(path: Path, recordings: Sequence[tuple[Frames, int]]) -> None:
    """As SCRIPT reads them: features, and the frame after which each recording is armed."""
    with path.open("wb") as file:
        for frames, arm in recordings:
            file.write(struct.pack("<ii", len(frames), arm) + frames.astype("<u2").tobytes())


def read_verdicts(printed: bytes) -> list[Verdict]:
    """What SCRIPT printed."""
    return [Verdict(*map(int, line.split())) for line in printed.decode().splitlines()]


def recorded_requests() -> tuple[list[tuple[Frames, int]], list[tuple[str, dict[str, Any]]]]:
    """Every request of the shipped recordings, ready for SCRIPT; of each the file's name and the truth about it."""
    cases, truths = [], []
    for folder in ("demo", "recordings"):
        data = ROOT / "tests" / "data" / folder
        for recording in json.loads((data / "truth.json").read_text())["recordings"]:
            frames = pymicro.features(soundfile.read(data / recording["file"], dtype="int16")[0])
            turns = [turn for turn in recording["turns"] if turn["wake_word"]]
            for turn, (_, wake_s) in zip(turns, recording["pymicro_wakes"], strict=True):
                cases.append((frames, round((wake_s - 0.03) * 100)))
                truths.append((recording["file"], turn))
    return cases, truths


def check_recorded(truths: Sequence[tuple[str, dict[str, Any]]], verdicts: Sequence[Verdict]) -> None:
    """Each request ends within 250 ms of its truth and is let out from its beginning; silence is nothing said."""
    for (name, turn), verdict in zip(truths, verdicts, strict=True):
        assert verdict.code == (END if turn["text"] else NOTHING), name
        if turn["text"]:
            assert abs(pymicro.frame_end_s(verdict.last_speech) - turn["utterance_end_s"]) <= 0.25, name
            assert (verdict.onset - ROLL) * 0.01 <= turn["utterance_start_s"], name
