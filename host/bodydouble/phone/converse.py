"""Reads one answer of ConverseStream, event by event, within bounds; knows nothing of any connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bodydouble.phone.client import CloudCallError

MAX_TEXT_LENGTH = 64 * 1024  # characters of an answer
MAX_INPUT_LENGTH = 16 * 1024  # characters of one tool's arguments
MAX_BLOCKS = 64


class BadAnswerError(CloudCallError):
    """The model's answer breaks the protocol or exceeds a limit."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"the cloud's answer is broken: {message}",
            code="BadAnswer",
            hint="try again, or choose another --cloud-model",
        )


@dataclass(frozen=True)
class ToolUse:
    """One tool that the model asks for; `input` is None where its JSON could not be read."""

    id: str
    name: str
    input: dict[str, Any] | None


@dataclass(frozen=True)
class Answer:
    """A complete answer: `content` is what the history keeps, in Bedrock's form."""

    text: str
    content: list[dict[str, Any]]
    tool_uses: tuple[ToolUse, ...]
    stop_reason: str
    input_tokens: int
    output_tokens: int


@dataclass
class _Block:
    text: str = ""
    tool_id: str = ""
    tool_name: str | None = None
    complete: bool = False


@dataclass
class AnswerReader:
    """Feed it the events in order, then `finish()`. Unknown events and deltas are skipped."""

    _blocks: dict[int, _Block] = field(default_factory=dict)
    _length: int = 0
    _stop_reason: str = ""
    _usage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def began_text(self) -> bool:
        """Whether a first piece of text has come."""
        return any(block.text and block.tool_name is None for block in self._blocks.values())

    def feed(self, event: Mapping[str, Any]) -> None:
        """Take one event of the stream. Raises BadAnswerError."""
        try:
            self._feed(event)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadAnswerError(f"an event lacks a field ({type(error).__name__}: {error})") from error

    def _feed(self, event: Mapping[str, Any]) -> None:
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            block = self._block(start)
            tool = start.get("start", {}).get("toolUse")
            if tool is not None:
                block.tool_id, block.tool_name = str(tool["toolUseId"]), str(tool["name"])
        elif "contentBlockDelta" in event:
            self._delta(event["contentBlockDelta"])
        elif "contentBlockStop" in event:
            self._block(event["contentBlockStop"]).complete = True
        elif "messageStop" in event:
            self._stop_reason = str(event["messageStop"]["stopReason"])
        elif "metadata" in event:
            self._usage = event["metadata"].get("usage", {})

    def _delta(self, event: Mapping[str, Any]) -> None:
        delta = event["delta"]
        block = self._block(event)
        if "toolUse" in delta:
            if block.tool_name is None:
                raise BadAnswerError("arguments came for no tool")
            piece, limit = delta["toolUse"].get("input", ""), MAX_INPUT_LENGTH
        elif "text" in delta:
            piece, limit = delta["text"], MAX_TEXT_LENGTH
        else:
            return
        block.text += piece
        self._length += len(piece)
        if len(block.text) > limit or self._length > MAX_TEXT_LENGTH:
            raise BadAnswerError(f"it is longer than {limit} characters")

    def _block(self, event: Mapping[str, Any]) -> _Block:
        index = event["contentBlockIndex"]
        if index not in self._blocks and len(self._blocks) >= MAX_BLOCKS:
            raise BadAnswerError(f"it has more than {MAX_BLOCKS} parts")
        return self._blocks.setdefault(index, _Block())

    def finish(self) -> Answer:
        """The answer, once the stream has ended. Raises BadAnswerError where it ended too early."""
        if not self._stop_reason:
            raise BadAnswerError("it broke off before its end")
        texts: list[str] = []
        content: list[dict[str, Any]] = []
        uses: list[ToolUse] = []
        for _, block in sorted(self._blocks.items()):
            if block.tool_name is None:
                if block.text.strip():
                    texts.append(block.text.strip())
                    content.append({"text": block.text})
            elif self._stop_reason == "tool_use":
                use = ToolUse(block.tool_id, block.tool_name, _arguments(block.text) if block.complete else None)
                uses.append(use)
                content.append({"toolUse": {"toolUseId": use.id, "name": use.name, "input": use.input or {}}})
            # A tool that an answer broken off for its length began to ask for is neither run nor remembered.
        return Answer(
            text=" ".join(texts),
            content=content,
            tool_uses=tuple(uses),
            stop_reason=self._stop_reason,
            input_tokens=_count(self._usage.get("inputTokens")),
            output_tokens=_count(self._usage.get("outputTokens")),
        )


def _arguments(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` holds; none at all is an empty one, and None stands for anything else."""
    try:
        value = json.loads(text or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
