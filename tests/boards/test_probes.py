"""What boards said of themselves is kept, and can be forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from bodydouble.boards import Selector, board_type, discovery, serial_board
from bodydouble.boards.discovery import Surroundings, resolve
from bodydouble.boards.errors import BoardBusyError
from bodydouble.boards.locks import BoardLock
from bodydouble.boards.probes import Probe, all_probes, forget, note, read_probe, write_probe
from support.desk import micropython

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


def test_the_firmwares_words_join_the_boards() -> None:
    note("E66A", {"micropython": "1.27.0", "firmware": "ff", "machine": "rp2", "tier": "asm"})
    assert read_probe("e66a") == replace(Probe("E66A"), micropython="1.27.0", firmware="ff", at=ANY)
    write_probe(SAID)
    note("E66A", {"firmware": "ee"})
    assert read_probe("E66A") == replace(SAID, firmware="ee", at=ANY)


def test_opening_a_board_remembers_its_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_LOCKS", str(tmp_path / "locks"))
    here = Surroundings(ports=lambda: [micropython("/dev/ttyACM0", "E66A")], drives=list, sysfs=tmp_path / "none")
    monkeypatch.setattr(discovery, "resolve", lambda kind, selector: resolve(kind, selector, here))
    opened = SimpleNamespace(info={"micropython": "1.26.1", "firmware": "ab"})
    used: list[dict[str, Any]] = []
    monkeypatch.setattr(serial_board, "open_serial", lambda *given, **options: used.append(options) or opened)
    serial_board.open_board(board_type("pico"), Selector("pico"), tier=None, heap_bytes=None)
    assert opened.info["name"] == "E66A"
    assert read_probe("E66A") == Probe("E66A", micropython="1.26.1", firmware="ab", at=ANY)
    with pytest.raises(BoardBusyError):  # until the board is given back
        BoardLock("E66A", board="pico").acquire()
    used[0]["power"].release()
    used[0]["power"].release()
    with BoardLock("E66A", board="pico"):
        pass


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
