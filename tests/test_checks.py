"""The project's own rules: lint, format, types, the arrows of the design, and pictures that are not stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy"],
        ["lint-imports"],
        [sys.executable, "tools/make_pictures.py", "--check"],
    ],
    ids=["lint", "format", "types", "arrows", "pictures"],
)
def test_the_tree_keeps_its_own_rules(command: list[str]) -> None:
    program = command[0] if Path(command[0]).is_absolute() else str(BIN / command[0])
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-1000:]}"
