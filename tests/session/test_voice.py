"""The endpointer's model: loaded by default, left out where it is not wanted or has no room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bodydouble.boards import Board
from bodydouble.errors import InputError
from bodydouble.session import voice
from bodydouble.session.player import Settings
from bodydouble.session.session import heap_needed
from bodydouble.session.voice import find_voice_model
from support.job import DEMO, play

RECORDING = DEMO / "02-weather-in-noise.flac"


def test_the_model_decides_by_default_and_the_rule_where_it_is_asked_for() -> None:
    by_model = play([RECORDING])
    by_rule = play([RECORDING], settings=Settings(endpoint_by="rule"))
    assert (by_model.options["endpoint_by"], by_rule.options["endpoint_by"]) == ("model", "rule")
    assert "voice" in by_model.digest and "voice" not in by_rule.digest
    for result in (by_model, by_rule):
        assert [request.reason for request in result.requests] == ["silence"]
        assert result.privacy["bytes_before_wake"] == 0
    assert by_model.requests[0].t_endpoint == pytest.approx(by_rule.requests[0].t_endpoint, abs=0.25)


def test_a_board_without_room_keeps_to_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    upload = Board.upload

    def greedy(board: Board, name: str, blob: bytes, **fields: Any) -> dict[str, Any]:
        return upload(board, name, blob, **(fields | {"arena": 1 << 20} if fields.get("task") == "voice" else fields))

    monkeypatch.setattr(Board, "upload", greedy)
    told: list[tuple[str, dict[str, Any]]] = []
    result = play([RECORDING], observer=lambda kind, facts: told.append((kind, facts)))
    assert result.options["endpoint_by"] == "rule"
    assert "bytes of heap" in next(facts["why"] for kind, facts in told if kind == "endpoint_by_rule")
    assert [request.reason for request in result.requests] == ["silence"]


def test_a_model_that_is_not_its_manifests_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = find_voice_model().path
    (tmp_path / "vad.json").write_bytes(model.with_suffix(".json").read_bytes())
    (tmp_path / "vad.tflite").write_bytes(model.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(voice, "models_dir", lambda: tmp_path)
    with pytest.raises(InputError, match="not the model of its manifest"):
        find_voice_model()


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(InputError, match="--endpoint 'ear' is not known"):
        play([RECORDING], settings=Settings(endpoint_by="ear"))


def test_the_model_counts_in_what_a_board_needs() -> None:
    assert heap_needed(["alexa"]) > heap_needed(["alexa"], "rule")
