"""From one sentence to the things that it asks for: several at once, and names that were misheard a little."""

from __future__ import annotations

import re
from functools import lru_cache

from bodydouble.cloud.brain.language import lengths_in_seconds
from bodydouble.cloud.brain.matcher import Match, Matcher, spoken_forms
from bodydouble.cloud.brain.registry import Registry

MAX_PARTS = 6
MAX_DISTANCE = 2
_SHORT_NAME = 5
"""Letters below which a name is mended by one edit at most: two would turn one word into another."""
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
    found = _parts(sentence, registry, matcher, MAX_PARTS)
    if not found:
        mended = mend(sentence, registry)
        if mended is not None:
            found = _parts(mended, registry, matcher, MAX_PARTS)
    return found


def _parts(sentence: str, registry: Registry, matcher: Matcher, most: int) -> list[Match]:
    joints = list(_JOINT.finditer(sentence))[: most - 1]
    for joint in joints:
        first = matcher.match(sentence[: joint.start()], registry)
        if first is None:
            continue
        rest = sentence[joint.end() :]
        others = _parts(rest, registry, matcher, most - 1)
        if not others:  # "turn the light on and the fan off": the second half lacks its verb
            others = _parts(f"{sentence.split(' ', 1)[0]} {rest}", registry, matcher, 1)
        if others and not _is_talk(first):
            return [first, *others]
    if joints:
        spread = _spread(sentence, registry)
        if spread:
            found = [matcher.match(one, registry) for one in spread]
            if all(found):
                return [match for match in found if match is not None]
    whole = matcher.match(sentence, registry)
    return [whole] if whole else []


def _is_talk(match: Match) -> bool:
    return match.intent in ("Thanks", "Greeting", "Help", "Confirm", "Deny", "HassNevermind")


def _spread(sentence: str, registry: Registry) -> list[str]:
    """Where names are joined by "and", one sentence for each of them."""
    forms = _forms(registry)
    for joint in _JOINT.finditer(sentence):
        before, after = sentence[: joint.start()], _ARTICLES.sub("", sentence[joint.end() :])
        left = next((form for form in forms if f" {before}".endswith(f" {form}")), None)
        right = next((form for form in forms if f"{after} ".startswith(f"{form} ")), None)
        if left and right:
            head, tail = before.removesuffix(left), after.removeprefix(right)
            return [f"{head}{left}{tail}", f"{head}{right}{tail}"]
    return []


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
