"""What boards said of themselves is kept, and can be forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodydouble.boards.probes import Probe, all_probes, forget, read_probe, write_probe

SAID = Probe("e66A", "Raspberry Pi Pico with RP2040", "1.26.1", "e66a", "0f" * 32, at=1000.0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path))
    return tmp_path


def test_kept_by_serial_number_whatever_its_case() -> None:
    assert read_probe("E66A") is None
    write_probe(SAID)
    assert read_probe("E66a") == SAID
    assert SAID.board == "Raspberry Pi Pico"
    assert SAID.age_s(now=1060.0) == 60.0
    assert SAID.age_s(now=900.0) == 0.0  # a clock that was set back


def test_forgotten() -> None:
    write_probe(SAID)
    write_probe(Probe("A1"))
    assert [probe.serial for probe in all_probes()] == ["A1", "e66A"]
    assert forget("E66A")
    assert not forget("E66A")
    assert [probe.serial for probe in all_probes()] == ["A1"]


@pytest.mark.parametrize("serial", ["../../up", "a/b", "x" * 300, "\x00", "ä ö"])
def test_a_serial_number_names_no_other_file(serial: str, cache: Path) -> None:
    write_probe(Probe(serial, at=1.0))
    assert read_probe(serial) == Probe(serial, at=1.0)
    assert [path.parent for path in cache.rglob("*.json")] == [cache / "boards"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"serial": 1}', '{"serial": "A1", "at": "soon"}', "\xff"])
def test_a_damaged_memory_is_none(text: str, cache: Path) -> None:
    write_probe(Probe("A1"))
    (cache / "boards" / "A1.json").write_text(text, "latin-1")
    assert read_probe("A1") is None
    assert all_probes() == []
