"""The rule brain: sentences by grammar, tools by rule, answers by template. It remembers nothing by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodydouble.cloud.brain import Reply, ToolCall, replies
from bodydouble.cloud.brain.language import normalise
from bodydouble.cloud.brain.matcher import Match, Matcher
from bodydouble.cloud.brain.plan import Planner
from bodydouble.cloud.brain.registry import Registry
from bodydouble.cloud.brain.replies import Outcome
from bodydouble.cloud.brain.understand import understand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bodydouble.cloud.converse import ConverseRequest, Message

NOT_UNDERSTOOD = "Sorry, I did not understand that."
NOT_HEARD = "Sorry, I did not catch that."


class RuleBrain:
    """A brain that knows what the request brings: the tools' schemas and the conversation. Any thread may call it."""

    def __init__(self) -> None:
        self._matcher = Matcher()

    def prewarm(self) -> None:
        """Load the sentences, and match one: the first match compiles what it touches."""
        understand("turn on the kitchen light", Registry(lights=("kitchen light",)), self._matcher)

    def answer(self, request: ConverseRequest, transcript: str | None) -> Reply:
        """Tools or words for the last message."""
        messages = request.messages
        outcomes = _outcomes(messages, len(messages) - 1)
        said = messages[-1].text if transcript is None else transcript
        if outcomes and not said.strip():
            return Reply(replies.reply(outcomes))
        return self._hear(request, said, _pending(messages))

    def _hear(self, request: ConverseRequest, said: str, pending: Sequence[str]) -> Reply:
        sentence = normalise(said)
        if not said.strip():
            return Reply(NOT_HEARD)
        registry = Registry.of(request.tools)
        matches = understand(sentence, registry, self._matcher)
        if pending and len(matches) == 1:
            answered = _answered(matches[0], pending)
            if answered is not None:
                return answered
        plan = Planner(request.tools, registry).plan(matches)
        if plan.calls:
            return Reply(tools=tuple(plan.calls))
        return Reply(" ".join(plan.words) or NOT_UNDERSTOOD)


def _answered(match: Match, pending: Sequence[str]) -> Reply | None:
    """What a yes or a no to the question about `pending` locks leads to; None for anything else."""
    named = match.slots.get("lock")
    wanted = [name for name in pending if named in (None, name)]
    if match.intent == "Confirm" and wanted:
        return Reply(tools=tuple(ToolCall("unlock", {"name": name, "confirmed": True}) for name in wanted))
    if match.intent in ("Deny", "HassNevermind"):
        return Reply(replies.kept_locked(pending))
    return None


def _outcomes(messages: Sequence[Message], index: int) -> list[Outcome]:
    """The results that message `index` brings, with the calls that they belong to."""
    if index < 1:
        return []
    uses = {use.tool_use_id: use for use in messages[index - 1].tool_uses}
    return [
        Outcome.of(uses[result.tool_use_id].name, uses[result.tool_use_id].input, result)
        for result in messages[index].tool_results
        if result.tool_use_id in uses
    ]


def _pending(messages: Sequence[Message]) -> list[str]:
    """The locks that the assistant asked about in the turn before: nothing older can be confirmed."""
    names: list[str] = []
    for index in range(len(messages) - 2, 0, -1):
        message = messages[index]
        if message.role != "user":
            continue
        outcomes = _outcomes(messages, index)
        names = [one.word("name") for one in outcomes if one.tool == "unlock" and one.unconfirmed] + names
        if not message.tool_results:
            break
    return list(dict.fromkeys(name for name in names if name))
