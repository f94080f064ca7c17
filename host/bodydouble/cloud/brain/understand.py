"""From one sentence to the things that it asks for: several at once, and names that were misheard a little."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from bodydouble.cloud.brain.language import join_pairs, lengths_in_seconds
from bodydouble.cloud.brain.matcher import Match, Matcher, spoken_forms
from bodydouble.cloud.brain.registry import Registry

MAX_PARTS = 6
MAX_TRIES = 40
MAX_LABEL_WORDS = 3
MAX_DISTANCE = 2
_SHORT_NAME, _SHORTEST_NAME = 5, 4
"""Letters of a name that is mended by one edit at most, and of one that is mended at all: more would turn one word
into another."""
_JOINT = re.compile(r" (?:and then|and also|and|then|also) ")
_TIMER = re.compile(r"\b(?:timers?|countdown)\b|^time ")
_ARTICLES = re.compile(r"^(?:the|my|a|an) ")
_NEVER_MENDED = {"lock", "unlock", "locked", "unlocked", "on", "off", "open", "close"}


def understand(sentence: str, registry: Registry, matcher: Matcher) -> list[Match]:
    """What `sentence`, normalised, asks for, in order; empty where it is not understood."""
    if not sentence:
        return []
    if _TIMER.search(sentence):
        sentence = lengths_in_seconds(sentence)
    reading = _Reading(registry, matcher)
    found = reading.parts(join_pairs(sentence))
    if not found:
        mended = mend(sentence, registry)
        if mended is not None:
            found = reading.parts(join_pairs(mended))
    return found


class _Reading:
    """One sentence being taken apart; it asks the matcher MAX_TRIES times at most."""

    def __init__(self, registry: Registry, matcher: Matcher) -> None:
        self._registry = registry
        self._matcher = matcher
        self._known: dict[str, Match | None] = {}

    def parts(self, sentence: str, most: int = MAX_PARTS) -> list[Match]:
        """What `sentence` asks for: cut at an "and" where both sides mean something, as a whole otherwise."""
        joints = list(_JOINT.finditer(sentence)) if most > 1 else []
        for joint in joints:
            first = self._match(sentence[: joint.start()])
            if first is None or _is_talk(first):
                continue
            rest = sentence[joint.end() :]
            # "turn the light on and the fan off": the second half may lack its verb.
            others = self.parts(rest, most - 1) or self.parts(f"{sentence.split(' ', 1)[0]} {rest}", most - 1)
            if others:
                return [first, *others]
        for one, other in self._spread(sentence) if joints else ():
            found, more = self.parts(one, most - 1), self.parts(other, most - 1)
            if found and more:
                return found + more
        whole = self._match(sentence)
        return [whole] if whole else []

    def _match(self, sentence: str) -> Match | None:
        if sentence not in self._known:
            if len(self._known) >= MAX_TRIES:
                return None
            match = self._matcher.match(sentence, self._registry)
            if match and len(str(match.slots.get("label", "")).split()) > MAX_LABEL_WORDS:
                match = None
            self._known[sentence] = match
        return self._known[sentence]

    def _spread(self, sentence: str) -> Iterator[tuple[str, str]]:
        """Where two names are joined by "and", the sentence with one and with the other."""
        forms = _forms(self._registry)
        for joint in _JOINT.finditer(sentence):
            before, after = sentence[: joint.start()], _ARTICLES.sub("", sentence[joint.end() :])
            left = next((form for form in forms if f" {before}".endswith(f" {form}")), None)
            right = next((form for form in forms if f"{after} ".startswith(f"{form} ")), None)
            if left and right:
                head, tail = before.removesuffix(left), after.removeprefix(right)
                yield f"{head}{left}{_JOINT.split(tail, maxsplit=1)[0]}", f"{head}{right}{tail}"


def _is_talk(match: Match) -> bool:
    return match.intent in ("Thanks", "Greeting", "Help", "Confirm", "Deny", "HassNevermind")


@lru_cache(maxsize=32)
def _forms(registry: Registry) -> tuple[str, ...]:
    """Everything that names something, longest first."""
    forms = {form for form, _ in spoken_forms((*registry.devices, *registry.areas))}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def mend(sentence: str, registry: Registry) -> str | None:
    """`sentence` with one misheard name put right: the only one at the least distance, at most two edits away.

    Words that say what to do are never touched, so no lock becomes an unlock.
    """
    words = sentence.split()
    best: dict[str, int] = {}
    for form in _forms(registry):
        if len(form) < _SHORTEST_NAME:
            continue
        size = len(form.split())
        limit = MAX_DISTANCE if len(form) > _SHORT_NAME else 1
        for start in range(len(words)):
            for length in {size, max(size - 1, 1), size + 1}:
                window = words[start : start + length]
                if len(window) < length or _NEVER_MENDED & set(window):
                    continue
                distance = edit_distance(" ".join(window), form, limit)
                if distance == 0:
                    return None  # it is named as it should be: the name is not what is wrong
                if distance <= limit:
                    text = " ".join([*words[:start], form, *words[start + length :]])
                    best[text] = min(distance, best.get(text, distance))
    if not best:
        return None
    least = min(best.values())
    nearest = [text for text, distance in best.items() if distance == least]
    return nearest[0] if len(nearest) == 1 else None


def edit_distance(one: str, other: str, limit: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours; `limit` + 1 for anything above it."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        before, last, row = row, before, [i]
        for j, right in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)
