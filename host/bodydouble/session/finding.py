"""What a check of this machine finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "optional"]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked for, what was found, and the cure where something is missing.

    `optional` means that it is missing and only some feature needs it.
    """

    name: str
    state: State
    detail: str
    cure: str = ""
