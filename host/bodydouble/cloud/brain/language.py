"""Plain rules of spoken English: wake words, fillers, numbers, lengths of time."""

from __future__ import annotations

import re

MAX_SENTENCE_LENGTH = 300
MAX_WORDS = 50

WAKE_WORDS = ("alexa", "hey jarvis", "okay nabu", "ok nabu", "hey mycroft")
_WAKE = re.compile(rf"^(?:(?:{'|'.join(WAKE_WORDS)})(?:\s+|$))+")
_FILLER = re.compile(
    r"\b(?:please|um+|uh+|uhm|er|erm|hmm|kindly|i want you to|i would like you to|i'd like you to|for me|for us"
    r"|right now|just)\b"
)
_ASKING = re.compile(r"(?:^|(?<=\band )|(?<=\bthen ))(?:can|could|would|will) you(?: mind)?\b")
_LEADING = re.compile(r"^(?:(?:and|so|well|okay|ok|now|then|hey|hello|hi|listen)\s+)+(?=\S)(?!there\b)")
_TRAILING = re.compile(r"(?<=\S)(?:\s+(?:and|then|thanks|thank you|very much|now|again))+$")
_KEPT = re.compile(r"[^\w\s'.%°-]+")
_STRAY_DOT = re.compile(r"\.(?!\d)|(?<!\d)\.")
_STRAY_DASH = re.compile(r"(?<!\w)-+(?!\d)|-+(?!\w)")


# Things with an "and" in them.
_PAIRS = (
    "mac and cheese",
    "macaroni and cheese",
    "half and half",
    "salt and pepper",
    "salt and vinegar",
    "fish and chips",
    "peanut butter and jelly",
)
_JOIN = "\N{SYMBOL FOR GROUP SEPARATOR}"


def join_pairs(text: str) -> str:
    """`text` with those "and" hidden that join no two things: "mac and cheese" is one."""
    for pair in _PAIRS:
        text = text.replace(pair, pair.replace(" and ", _JOIN))
    return text


def part_pairs(text: str) -> str:
    """`join_pairs` undone."""
    return text.replace(_JOIN, " and ")


def normalise(text: str) -> str:
    """Lower case, words and numbers only, digits for number words, without wake word and fillers.

    Empty where nothing is left or the sentence is too long to be one.
    """
    if len(text) > MAX_SENTENCE_LENGTH:
        return ""
    text = _spaced(_WAKE.sub("", _words(text)))
    text = _LEADING.sub("", _spaced(_FILLER.sub(" ", text)))
    text = _LEADING.sub("", _spaced(_ASKING.sub(" ", text)))
    text = _spaced(_TRAILING.sub("", _WAKE.sub("", text)))
    return digits(text) if len(text.split()) <= MAX_WORDS else ""


def plain(name: str) -> str:
    """A device's or an area's name as `normalise` leaves it within a sentence."""
    return digits(_words(name))


def _words(text: str) -> str:
    text = _KEPT.sub(" ", text.casefold().replace("’", "'"))
    return _spaced(_STRAY_DASH.sub(" ", _STRAY_DOT.sub(" ", text)))


def _spaced(text: str) -> str:
    return " ".join(text.split())


_UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {"twenty": 2, "thirty": 3, "forty": 4, "fifty": 5, "sixty": 6, "seventy": 7, "eighty": 8, "ninety": 9}
_UNIT_WORDS = "|".join(_UNITS)
_TENS_WORDS = "|".join(_TENS)
_BELOW_100 = rf"(?:(?:{_TENS_WORDS})(?:[ -](?:{'|'.join(list(_UNITS)[1:10])}))?|{_UNIT_WORDS})"
_NUMBER = re.compile(
    rf"\b(?:(?:(?P<hundreds>a|{'|'.join(list(_UNITS)[1:10])}) hundred)(?: (?:and )?(?P<rest>{_BELOW_100}))?"
    rf"|(?P<plain>{_BELOW_100}))(?:s\b)?\b(?! hundred)"
)
_POINT = re.compile(r"\b(\d+) point (\d)\b")
_HALF = re.compile(r"\b(\d+) and a half\b")
_DOZEN = re.compile(r"\b(half a|half|a|1|2|3) dozen\b")
_DOZENS = {"half a": 6, "half": 6, "a": 12, "1": 12, "2": 24, "3": 36}


def digits(text: str) -> str:
    """`text` with its number words as digits: "twenty one point five" is "21.5", "half a dozen" is "6"."""

    def number(match: re.Match[str]) -> str:
        if match["plain"]:
            return str(_below_100(match["plain"]))
        hundreds = 1 if match["hundreds"] == "a" else _UNITS[match["hundreds"]]
        return str(100 * hundreds + (_below_100(match["rest"]) if match["rest"] else 0))

    text = _HALF.sub(r"\1.5", _POINT.sub(r"\1.\2", _NUMBER.sub(number, text)))
    return _DOZEN.sub(lambda match: str(_DOZENS[match[1]]), text)


def _below_100(words: str) -> int:
    parts = re.split("[ -]", words)
    return sum(_TENS[part] * 10 if part in _TENS else _UNITS[part] for part in parts)


_UNIT_S = {"hour": 3600.0, "minute": 60.0, "second": 1.0, "min": 60.0, "sec": 1.0}
_UNIT = "hour|minute|second|min|sec"
_AMOUNT = rf"(?:\d+(?:\.\d+)?|an?)[ -](?:{_UNIT})s?"
_LENGTH = re.compile(
    rf"\b(?:(?P<quarters>a|1|3) quarters? of an hour|(?P<whole>an|a|1) (?P<unit>{_UNIT}) and a half"
    rf"|(?P<half>half an?|half) (?P<half_unit>{_UNIT})|(?P<sum>{_AMOUNT}(?:,? (?:and )?{_AMOUNT})*))\b"
)
_PART = re.compile(rf"(?P<count>\d+(?:\.\d+)?|an?)[ -](?P<unit>{_UNIT})")


def lengths_in_seconds(text: str) -> str:
    """`text`, as `normalise` gives it, with lengths of time in seconds: "1 hour and a half" is "5400 seconds"."""

    def seconds(match: re.Match[str]) -> str:
        if match["quarters"]:
            total = 900.0 * (3 if match["quarters"] == "3" else 1)
        elif match["whole"]:
            total = 1.5 * _UNIT_S[match["unit"]]
        elif match["half"]:
            total = 0.5 * _UNIT_S[match["half_unit"]]
        else:
            total = sum(
                (1.0 if part["count"] in ("a", "an") else float(part["count"])) * _UNIT_S[part["unit"]]
                for part in _PART.finditer(match["sum"])
            )
        return f"{round(total)} seconds"

    return _LENGTH.sub(seconds, text)
