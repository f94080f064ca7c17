"""Draws a speech grammar (JSGF) from a home's names and a list of sentence templates.

Template notation is JSGF's own: `[optional]`, `(one | other)`, `<rule>`. A template whose rule is empty in a home
(no lock, no sensor) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bodydouble.phone.asr import Vocabulary
from bodydouble.phone.locks import WAKE_WORDS

GROCERIES = (
    "milk", "eggs", "bread", "butter", "cheese", "coffee", "tea", "sugar", "flour", "rice", "pasta", "apples",
    "bananas", "tomatoes", "potatoes", "onions", "chicken", "fish", "yogurt", "cereal", "orange juice", "olive oil",
    "dish soap", "toilet paper", "paper towels", "laundry detergent", "dog food", "cat food", "salt", "water",
)  # fmt: skip
TIMER_LABELS = ("pasta", "egg", "tea", "pizza", "oven", "laundry", "rice", "cake", "bread")

# What people say for a word of a name; the model knows which device is meant.
SYNONYMS = (
    ("hallway", "hall"),
    ("lamp", "light"),
    ("light", "lamp"),
    ("television", "tv"),
    ("coffee machine", "coffee maker"),
    ("living room", "lounge"),
)

# The weights are prior odds (JSGF's /n/). The two words that differ by one short syllable are the dangerous pair:
# an unlock that is heard as a lock is said again, so the odds are on lock; and no unlock opens without a yes.
TEMPLATES = (
    "(turn | switch) (on | off) the <powered>",
    "turn the <powered> (on | off)",
    "(turn | switch) (on | off) [all] the lights",
    "(turn | switch) (on | off) [all] the lights in the <area>",
    "(turn | switch) (on | off) the <area> lights",
    "(dim | set) the <light> to <percent> percent",
    "(dim | brighten) (the <light> | the lights [in the <area>])",
    "set the <light> brightness to <percent> percent",
    "set the brightness of the <light> to <percent> percent",
    "set the <thermostat> to <degrees> [degrees]",
    "set the temperature to <degrees> [degrees]",
    "(make | set) it <degrees> degrees",
    "(is | are) the <powered> (on | off)",
    "is the <lock> (locked | unlocked | open | closed)",
    "did i lock the <lock>",
    "/8/ lock the <lock>",
    "/1/ unlock the <lock>",
    "what is the temperature [inside]",
    "what is the temperature in the <area>",
    "what is the <sensor>",
    "what is the <thermostat> set to",
    "add [<number>] <item> to (my | the) shopping list",
    "put [<number>] <item> on (my | the) shopping list",
    "(order | buy) [more | some] <item>",
    "we need [more | some] <item>",
    "we are out of <item>",
    "(remove | take) <item> (from | off) (my | the) shopping list",
    "what is on (my | the) shopping list",
    "(show | read) [me] (my | the) shopping list",
    "set (a | the) timer for <duration>",
    "set (a | an) <duration1> timer",
    "set (a | an) <label> timer for <duration>",
    "start (a | the) timer for <duration>",
    "(cancel | stop) (the | my) [<label>] timer",
    "how (much time | long) is left [on (the | my) [<label>] timer]",
    "what timers (are running | do i have)",
    "what is the weather [like] [today]",
    "what is the weather [like] tomorrow",
    "how is the weather [today | tomorrow]",
    "will it (rain | snow | be sunny) [today | tomorrow]",
    "do i need an umbrella [today | tomorrow]",
    "what time is it",
    "what is the time",
    "what day is it [today]",
    "yes [please | do it | go ahead]",
    "yes unlock (it | the <lock>)",
    "(sure | go ahead | do it | confirm)",
    "no [thanks | thank you | do not]",
    "(stop | cancel | never mind)",
)

# What may be left of a wake word where the recording of an utterance begins in its middle: one word of our own, whose
# pronunciations are the ends of the wake words.
TAIL = "waketail"
WAKE_PHONES = ("AH L EH K S AH", "JH AA R V AH S", "N AA B UW", "M AY K R AO F T")
LONGEST_TAIL = 4  # phones

_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_RULE = re.compile(r"<(\w+)>")
_WORD = re.compile(r"[a-z0-9']+")
_NOT_A_WORD = re.compile(r"[^a-z' ]+")


@dataclass(frozen=True)
class Grammar:
    """A grammar's text and every word in it."""

    jsgf: str
    words: frozenset[str]


def draw(vocabulary: Vocabulary, can_say: Iterable[str] | None = None) -> Grammar:
    """The grammar for `vocabulary`; names with a word outside `can_say` (when given) are left out.

    Digits in names are spelled out, since that is how they are spoken.
    """
    known = None if can_say is None else set(can_say)

    def names(*groups: tuple[str, ...]) -> list[str]:
        spoken = dict.fromkeys(said for group in groups for name in group for said in _also(spell(name)))
        return [name for name in spoken if name and (known is None or known.issuperset(name.split()))]

    ones, teens, tens = " | ".join(_ONES), " | ".join(_TEENS), " | ".join(_TENS)
    rules: dict[str, list[str]] = {
        "powered": names(vocabulary.lights, vocabulary.switches),
        "light": names(vocabulary.lights),
        "thermostat": names(vocabulary.thermostats),
        "lock": names(vocabulary.locks),
        "sensor": names(vocabulary.sensors),
        "area": names(vocabulary.areas),
        "item": names(GROCERIES, vocabulary.items),
        "label": names(TIMER_LABELS, vocabulary.timers),
        "number": [ones, teens, f"({tens}) [{ones}]"],
        "percent": ["zero", ones, teens, f"({tens}) [{ones}]", "(one | a) hundred"],
        "degrees": [*_ONES[4:], teens, f"twenty [{ones}]", "thirty [one | two | three | four | five]"],
        "unit": ["second", "minute", "hour"],
        "duration": [
            "<number> (seconds | minutes | hours)",
            "(one | a) (second | minute)",
            "(one | an) hour [and a half]",
            "half an hour",
            "<number> minutes and <number> seconds",
            "<number> (hour | hours) and <number> minutes",
        ],
        "duration1": ["<number> <unit>", "half hour"],
    }
    wake = " | ".join(f"<wake_{number}>" for number in range(len(WAKE_WORDS)))
    lines = ["#JSGF V1.0;", "grammar home;"]
    for number, words in enumerate(WAKE_WORDS):
        lines.append(f"<wake_{number}> = {words};")
    lines += [f"<{name}> = {' | '.join(choices)};" for name, choices in rules.items() if choices]
    possible = [template for template in TEMPLATES if all(rules[name] for name in _RULE.findall(template))]
    weighted = " | ".join(f"{'' if template.startswith('/') else '/8/ '}{template}" for template in possible)
    lines += [f"<sentence> = {weighted};", f"public <said> = [{wake} | {TAIL}] <sentence>;"]
    text = "\n".join(lines)
    bare = re.sub(r"<\w+>|/\d+/|^#.*|^grammar.*|\b(?:public)\b", " ", text, flags=re.MULTILINE)
    return Grammar(text, frozenset(_WORD.findall(bare)))


def tails() -> list[str]:
    """The pronunciations of TAIL, in CMU's phones."""
    return [
        " ".join(phones[-length:])
        for phones in (word.split() for word in WAKE_PHONES)
        for length in range(1, min(LONGEST_TAIL, len(phones) - 1) + 1)
    ]


def spell(name: str) -> str:
    """`name` as it is spoken: numbers as words, hyphens as spaces."""
    words = re.sub(r"\d+", lambda match: f" {number_words(int(match[0]))} ", name.casefold().replace("-", " "))
    return " ".join(_NOT_A_WORD.sub(" ", words).split())


def _also(name: str) -> list[str]:
    """`name` and what people say for it."""
    others = [re.sub(rf"\b{word}\b", said, name) for word, said in SYNONYMS]
    return list(dict.fromkeys([name, *others]))


def number_words(number: int) -> str:
    """0 to 99 as words; anything else digit by digit."""
    if number < 100:
        tens, ones = divmod(number, 10)
        if tens == 0:
            return ["zero", *_ONES][ones]
        if tens == 1:
            return _TEENS[ones]
        return _TENS[tens - 2] + (f" {_ONES[ones - 1]}" if ones else "")
    return " ".join(number_words(int(digit)) for digit in str(number))
