"""The compiled core against the interpreted one, over random programs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bodydouble.boards.picosim import emulator
from bodydouble.boards.picosim.node import find_library, find_node

HARNESS = Path(emulator.__file__).parent / "harness"
SAMPLE, ALL = 60, 6000

pytestmark = pytest.mark.usefixtures("emulator")


def test_random_programs_leave_the_same_behind(soak: bool) -> None:
    script = Path(__file__).with_name("differential.mjs")
    command = [find_node(), script, HARNESS, find_library(), 1, ALL if soak else SAMPLE]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=3600)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["difference"] is None
    assert result["programs"] == (ALL if soak else SAMPLE)
    assert result["pieces"] > 5 * result["programs"], "too little was compiled to prove anything"
