"""Runs the main job in this process: recordings into a `unix` board, as `bodydouble stream` does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bodydouble.session.cloud import Cloud
from bodydouble.session.player import Observer
from bodydouble.session.result import Result
from bodydouble.session.run import Run, RunOptions

DATA = Path(__file__).resolve().parents[1] / "data"
RECORDINGS = DATA / "recordings"
DEMO = DATA / "demo"


def play(
    recordings: Iterable[Path | str],
    *,
    cloud: str = "none",
    fault: str | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> Result:
    """Play `recordings` in a row on a fresh board; `options` are those of RunOptions."""
    chosen = RunOptions(recordings=tuple(map(str, recordings)), **{"gap_s": 2.0, **options})
    return Run(chosen, Cloud.parse(cloud, fault=fault, seed=chosen.seed), observer).execute()
