"""What stands behind a model's name and decides on the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bodydouble.cloud.converse import ConverseRequest


@dataclass(frozen=True)
class ToolCall:
    """A tool to be used, with its arguments."""

    name: str
    input: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """Words, tools to use, or both."""

    text: str = ""
    tools: tuple[ToolCall, ...] = field(default=())


class Brain(Protocol):
    """A brain; any thread may call it."""

    def answer(self, request: ConverseRequest, transcript: str | None) -> Reply:
        """The answer to the conversation in `request`.

        `transcript` is what was heard in the last message's audio; None where it has none.
        """

    def prewarm(self) -> None:
        """Load now what the first answer would wait for."""
