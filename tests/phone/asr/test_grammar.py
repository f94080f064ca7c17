"""The grammar: what can be said of a home, and what cannot."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.phone.asr import Vocabulary
from bodydouble.phone.asr.grammar import TAIL, TEMPLATES, draw, number_words, spell, tails
from bodydouble.phone.home import Home

HOME = Vocabulary.of(Home())


def test_vocabulary_is_drawn_from_the_home() -> None:
    home = Home()
    home.add_shopping("birthday candles")
    home.set_timer(60, "broccoli")
    vocabulary = Vocabulary.of(home)
    assert "kitchen light" in vocabulary.lights
    assert vocabulary.locks == ("back door", "front door", "garage door")
    assert vocabulary.items == ("birthday candles",)
    assert vocabulary.timers == ("broccoli",)
    assert {"birthday", "candles", "broccoli", "thermostat"} < draw(vocabulary).words
    assert hash(vocabulary) == hash(Vocabulary.of(home))


def test_every_template_is_in_the_grammar_of_a_whole_home() -> None:
    assert len(TEMPLATES) >= 40
    jsgf = draw(HOME).jsgf
    assert jsgf.startswith("#JSGF V1.0;\ngrammar home;\n")
    for template in TEMPLATES:
        assert template in jsgf
    defined = set(re.findall(r"^(?:public )?<(\w+)> =", jsgf, re.MULTILINE))
    assert set(re.findall(r"<(\w+)>", jsgf)) == defined


def test_words_are_words() -> None:
    words = draw(HOME).words
    assert {"alexa", "nabu", "mycroft", "jarvis", "kitchen", "unlock", "twenty", TAIL} < words
    assert not {"public", "home", "grammar", "said", "wake_0", "8", "1"} & words


def test_tails_are_the_ends_of_the_wake_words() -> None:
    assert {"AH", "S AH", "K S AH", "EH K S AH", "B UW", "F T"} < set(tails())
    assert "AH L EH K S AH" not in tails()


def test_what_a_home_lacks_cannot_be_said() -> None:
    small = draw(Vocabulary(lights=("lamp",), areas=("den",)))
    assert not re.search(r"<(lock|sensor|thermostat)>", small.jsgf)
    assert "unlock it" not in small.jsgf
    assert "dim" in small.words


def test_synonyms_may_be_said() -> None:
    jsgf = draw(Vocabulary(lights=("bedroom lamp",), areas=("hallway", "lampwick"))).jsgf
    assert "<light> = bedroom lamp | bedroom light;" in jsgf
    assert "<area> = hallway | hall | lampwick;" in jsgf


def test_names_that_nobody_can_pronounce_are_left_out() -> None:
    vocabulary = Vocabulary(lights=("kitchen light", "xqzt lamp"))
    kept = draw(vocabulary, draw(vocabulary).words - {"xqzt"})
    assert "kitchen light" in kept.jsgf
    assert "xqzt" not in kept.jsgf


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("lamp 2", "lamp two"), ("room 42", "room forty two"), ("studio 110", "studio one one zero"),
        ("tv-set", "tv set"), ("gate7b", "gate seven b"), ("Grandma's lamp", "grandma's lamp"),
        ("level 13", "level thirteen"),
        ("level 0", "level zero"), ("level 20", "level twenty"),
    ],
)  # fmt: skip
def test_numbers_are_spoken(name: str, spoken: str) -> None:
    assert spell(name) == spoken


def test_all_numbers_to_99_differ() -> None:
    assert len({number_words(number) for number in range(100)}) == 100


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=4))
def test_no_name_can_change_the_grammar(names: list[str]) -> None:
    assert re.fullmatch(r"[a-z' ]*", spell("".join(names)))
    plain = draw(HOME).jsgf.count(";")
    assert draw(Vocabulary(**{**HOME.__dict__, "items": tuple(names)})).jsgf.count(";") == plain
