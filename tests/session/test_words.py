"""Wake words: pinned models, manifests that people write, and the two detection rules as integers."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodydouble.errors import ExitCode, InputError
from bodydouble.session import words
from bodydouble.session.words import WakeWord, find_word, find_words, known_words


def word(cutoff: float = 0.9, window: int = 5) -> WakeWord:
    return WakeWord("test", Path("test.tflite"), cutoff, window, None)


def test_all_names_every_community_model_once() -> None:
    found = find_words(["alexa", "all", "alexa"])
    assert [w.name for w in found] == ["alexa", *[n for n in known_words() if n != "alexa"]]
    assert all(w.tensor_arena_size and w.sliding_window_size == 5 for w in found)


def test_esphome_rule_is_the_designs() -> None:
    assert word(0.97).rule("esphome") == {
        "threshold": int(0.97 * 255) * 5,
        "window": 5,
        "hold_reset": 74,
        "hold_wake": 74,
        "warmup": 0,
    }


@given(st.floats(0.01, 0.99), st.lists(st.integers(0, 255), min_size=1, max_size=16))
def test_pymicro_rule_decides_as_the_package_does(cutoff: float, outputs: list[int]) -> None:
    rule = word(cutoff, len(outputs)).rule("pymicro")
    says = statistics.mean([output * (1 / 256) for output in outputs]) > cutoff
    assert (sum(outputs) > rule["threshold"]) == says
    assert rule["warmup"] == len(outputs)


def test_an_unknown_word_names_the_known_ones() -> None:
    with pytest.raises(InputError) as caught:
        find_word("computer")
    assert str(caught.value) == (
        "no wake word is called 'computer' (use alexa, hey_jarvis, hey_mycroft, okay_nabu, all, "
        "or a .tflite file with its .json manifest beside it)"
    )
    assert caught.value.exit_code == ExitCode.USAGE


def test_another_file_under_a_pinned_name_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "alexa.tflite").write_bytes(b"another model")
    (tmp_path / "alexa.json").write_text(json.dumps({"micro": {"probability_cutoff": 0.9, "sliding_window_size": 5}}))
    monkeypatch.setattr(words, "models_dir", lambda: tmp_path)
    with pytest.raises(InputError, match="is not the alexa model this version was tested with"):
        find_word("alexa")


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        ("{", "is no microWakeWord manifest: JSONDecodeError"),
        ("[]", "is no microWakeWord manifest: TypeError"),
        ("{}", "is no microWakeWord manifest: KeyError: 'micro'"),
        ('{"micro": {"probability_cutoff": 0.5}}', "KeyError: 'sliding_window_size'"),
        ('{"micro": {"probability_cutoff": 1.5, "sliding_window_size": 5}}', "must be between 0 and 1"),
        ('{"micro": {"probability_cutoff": 0.5, "sliding_window_size": 0}}', "sliding_window_size 1 to 64"),
        (None, "does not exist"),
    ],
)
def test_a_bad_manifest_is_one_clear_line(tmp_path: Path, manifest: str | None, complaint: str) -> None:
    model = tmp_path / "mine.tflite"
    model.write_bytes(b"x")
    if manifest is not None:
        model.with_suffix(".json").write_text(manifest)
    with pytest.raises(InputError) as caught:
        find_word(str(model))
    assert complaint in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_users_own_model_by_either_of_its_files(tmp_path: Path) -> None:
    model = tmp_path / "mine.tflite"
    model.write_bytes(b"x")
    model.with_suffix(".json").write_text('{"micro": {"probability_cutoff": 0.5, "sliding_window_size": 3}}')
    assert find_word(str(model)) == find_word(str(model.with_suffix(".json")))
    assert find_word(str(model)).name == "mine"


def test_more_words_than_a_board_takes_are_refused_before_it_starts(tmp_path: Path) -> None:
    names = []
    for number in range(9):
        model = tmp_path / f"word{number}.tflite"
        model.write_bytes(b"x")
        model.with_suffix(".json").write_text('{"micro": {"probability_cutoff": 0.5, "sliding_window_size": 3}}')
        names.append(str(model))
    with pytest.raises(InputError) as caught:
        find_words(names)
    assert str(caught.value) == "9 wake words are more than a board takes (name at most 8)"
