"""The `pi-arm` board: 32-bit ARM code under qemu-arm, the bits of `unix`, times labelled for what they are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from bodydouble.boards import micropythons, obstacle, open_board, pi_arm
from bodydouble.boards.building import store
from bodydouble.boards.errors import NoMicroPythonError, TierError
from bodydouble.boards.inventory import board_type
from bodydouble.boards.micropythons import find_arm_micropython
from bodydouble.errors import ExitCode
from bodydouble.session.model.compare import compare
from bodydouble.session.model.inputs import random_inputs
from bodydouble.session.model.lab import open_model
from bodydouble.session.model.library import find_model
from bodydouble.views.summary import summary
from support.job import DEMO, play
from support.micropython import micropython_command

KIND = board_type("pi-arm")
PROGRAM = os.environ.get("BODYDOUBLE_MICROPYTHON_ARM", "")
THUMB = 7 << 10 | 3 << 8 | 6  # armv7emsp, .mpy 6.3


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch, no_orphans: None) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", *micropython_command(32))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has neither qemu-arm nor a MicroPython, and is no ARM; a folder that its PATH leads to first."""
    monkeypatch.delenv("BODYDOUBLE_MICROPYTHON_ARM", raising=False)
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(micropythons, "_QEMU", ("fake-qemu",))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return tmp_path


def _command(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _elf(machine: int = 40) -> bytes:
    return b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\x00" + bytes([machine, 0]) + bytes(64)


@pytest.mark.micropython32
@pytest.mark.parametrize("tier", ["asm", "viper", "bytecode"])
def test_every_tier_runs_there(arm: None, tier: str) -> None:
    with open_board("pi-arm:kitchen", tier=tier) as board:
        info = board.info
        assert (info["type"], info["name"], info["machine"], info["tier"]) == ("pi-arm", "kitchen", "unix", tier)
        assert info["heap_bytes"] == 242_048
        assert "clock_hz" not in info
        assert info["clock"] == "the host's, under emulation"
        assert info["emulator"]


@pytest.mark.micropython32
def test_the_best_tier_is_the_assembler(arm: None) -> None:
    with open_board("pi-arm") as board:
        assert board.info["tier"] == "asm"
    with pytest.raises(TierError, match=r"no wasm tier here \(choose one of: asm, viper, bytecode\)"):
        open_board("pi-arm", tier="wasm")
    assert obstacle(KIND) == ""


@pytest.mark.micropython32
@pytest.mark.parametrize("tier", ["asm", "viper"])
def test_a_model_gives_the_references_bits(arm: None, tier: str) -> None:
    file = find_model("alexa")
    with open_model(file, "pi-arm", tier=tier) as opened:
        verdict = compare(opened, file.read(), random_inputs(opened.plan, 5, 3))
    assert verdict.exact
    assert verdict.golden.values > 1000


@pytest.mark.micropython32
def test_a_recording_gives_the_bits_of_the_unix_board(arm: None) -> None:
    here, there = (play([DEMO / "04-front-door.flac"], board=board) for board in ("unix", "pi-arm"))
    assert there.board["tier"] == "asm"
    assert there.wakes
    assert (there.wakes, there.digest) == (here.wakes, here.digest)
    shown = Console(width=200)
    with shown.capture() as said:
        shown.print(summary(there))
    assert "(board clock: the host's, under emulation)" in said.get()


@pytest.mark.micropython32
@pytest.mark.skipif(not PROGRAM, reason="set BODYDOUBLE_MICROPYTHON_ARM to a 32-bit ARM MicroPython")
def test_a_program_is_run_by_qemu(monkeypatch: pytest.MonkeyPatch, no_orphans: None) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", PROGRAM)
    found = find_arm_micropython()
    assert found.what == str(Path(PROGRAM).resolve())
    assert found.emulator in (shutil.which("qemu-arm"), shutil.which("qemu-arm-static"))
    assert found.command == ["exec", found.emulator, found.what]
    with open_board("pi-arm") as board:
        assert board.info["emulator"].startswith("qemu-arm")
        assert board.info["tier"] == "asm"


# --- which MicroPython, without one


def test_none_at_all(elsewhere: Path) -> None:
    assert obstacle(KIND) == "no 32-bit ARM MicroPython was found (bodydouble boards build pi-arm)"
    with pytest.raises(NoMicroPythonError) as caught:
        open_board("pi-arm")
    assert caught.value.exit_code == ExitCode.NO_BOARD


def test_the_build_in_the_cache_is_found_and_needs_qemu(elsewhere: Path) -> None:
    kept = store.keep("pi-arm", {"micropython": _elf()}, version="1.26.1", recipe="r")
    assert obstacle(KIND) == "qemu-arm was not found (apt-get install qemu-user)"
    _command(elsewhere / "fake-qemu", f'echo "version 1 26 {THUMB}" # $1 is the program')
    found = find_arm_micropython()
    assert found.what == str(kept.program.resolve())
    assert found.emulator == str(elsewhere / "fake-qemu")
    assert found.target.runs("asm")


def test_a_named_one_comes_first(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.keep("pi-arm", {"micropython": _elf()}, version="1.26.1", recipe="r")
    named = _command(elsewhere / "mine", f"echo version 1 27 {THUMB}")
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", str(named))
    found = find_arm_micropython()
    assert (found.what, found.emulator) == (str(named), None)
    assert pi_arm.emulator_version(found) == "mine"


def test_on_an_arm_machine_it_runs_by_itself(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "armv7l")
    named = _command(elsewhere / "mine", f"echo version 1 27 {THUMB}")
    monkeypatch.setattr(micropythons, "_is_arm", lambda path: True)
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", str(named))
    assert find_arm_micropython().emulator is None


@pytest.mark.parametrize("says", ["version 1 23 7942", "version 1 26 2822", "version 1 26 774", "nothing"])
def test_a_named_one_that_is_too_old_or_no_thumb(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    named = _command(elsewhere / "mine", f"echo {says}")
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", str(named))
    said = rf"{named} is no 32-bit ARM MicroPython of 1\.24 or later that runs here \(correct or unset BODYDOUBLE_"
    with pytest.raises(NoMicroPythonError, match=said):
        find_arm_micropython()


def test_a_named_one_that_does_not_exist(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", "/no/such")
    with pytest.raises(NoMicroPythonError, match=r"names /no/such, which cannot be run \(correct or unset"):
        find_arm_micropython()
