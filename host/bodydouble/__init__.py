"""A hardware-in-the-loop emulator of an AI phone.

The stable Python API is what this module exports; everything else may change between minor versions.

    from bodydouble import Cloud, Session, open_board, open_sources

    with open_board("unix") as board, Session(board, Cloud(), wake=["alexa"]) as session:
        result = session.play(open_sources(["hello.wav"]))
    print(result.wakes, result.requests[0].reply)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bodydouble.boards import open_board
    from bodydouble.boards.board import Board
    from bodydouble.errors import BodydoubleError
    from bodydouble.session.cloud import Cloud
    from bodydouble.session.player import Settings
    from bodydouble.session.result import Result
    from bodydouble.session.session import Session
    from bodydouble.session.trace import Trace
    from bodydouble.streams import open_sources

__version__ = "0.1.0"

__all__ = [
    "Board",
    "BodydoubleError",
    "Cloud",
    "Result",
    "Session",
    "Settings",
    "Trace",
    "__version__",
    "open_board",
    "open_sources",
]

_HOMES = {
    "Board": "bodydouble.boards.board",
    "BodydoubleError": "bodydouble.errors",
    "Cloud": "bodydouble.session.cloud",
    "Result": "bodydouble.session.result",
    "Session": "bodydouble.session.session",
    "Settings": "bodydouble.session.player",
    "Trace": "bodydouble.session.trace",
    "open_board": "bodydouble.boards",
    "open_sources": "bodydouble.streams",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `bodydouble --version` need not wait for numpy.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
