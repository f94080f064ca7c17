"""Thousands of broken recordings: each one plays whole or is refused in one line; nothing crashes, nothing prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
COUNT = 4_000


def test_broken_recordings(tmp_path: Path, soak: bool) -> None:
    outcomes: dict[str, int] = {}
    for seed in range(20 if soak else 1):
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-m", "streams.fuzz", str(seed), str(COUNT), str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )
        assert done.returncode == 0, done.stderr[-3_000:]
        # libmpg123 tells standard error about damage inside a frame; libsndfile offers no way to stop it.
        assert [line for line in done.stderr.splitlines() if not line.startswith("[src/libmpg123/")] == []
        for name, count in json.loads(done.stdout).items():
            outcomes[name] = outcomes.get(name, 0) + count
    print(outcomes)
    assert sum(outcomes.values()) >= COUNT
    # All kinds of outcome are met, or the mutations are too tame.
    assert min(outcomes[name] for name in ("played", "BadHeaderError", "TruncatedRecordingError")) > COUNT // 20
