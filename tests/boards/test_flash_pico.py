"""Flashing an emulated Pico with MicroPython's own image: from nothing, and over itself; the board's hash judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bodydouble.boards.errors import FlashError
from bodydouble.boards.flash import flash
from bodydouble.boards.flash_sim import SimTarget
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.probes import ask_board
from bodydouble.boards.uf2 import Image

pytestmark = pytest.mark.pico_image

TEXT, OTHER = b'Type "help()"', b'Tipo "aide()"'


@pytest.fixture
def empty(image: Image, tmp_path: Path) -> Iterator[PicoSim]:
    """A board whose flash holds nothing: it waits in BOOTSEL mode."""
    with PicoSim.start("flash", None, tmp_path / "pico.flash") as sim:
        assert sim.control("state")["mode"] == "bootsel"
        yield sim


def altered(image: Image) -> Image:
    """The same program with one text changed: it runs, and is not what was meant."""
    pages = dict(image.pages)
    address = next(address for address, page in pages.items() if TEXT in page)
    pages[address] = pages[address].replace(TEXT, OTHER)
    return Image(image.family, pages)


class Slipping(SimTarget):
    """A board that gets something else than what is sent."""

    def __init__(self, emulator: PicoSim, gets: Image) -> None:
        super().__init__(emulator)
        self._gets = gets

    def enter(self) -> Slipping:  # type: ignore[override]
        self._loader = super().enter()
        return self

    name = "a drive that slips"

    def write(self, image: Image, tell: object) -> bool:
        return self._loader.write(self._gets, lambda *told: None)


def test_from_nothing_and_over_itself_and_what_slipped_is_seen(empty: PicoSim, image: Image) -> None:
    first = flash(image, SimTarget(empty), lambda *told: None)
    assert first.verified == "hashed by the board"
    said = ask_board("E6", empty.port)
    assert said.board == "Raspberry Pi Pico" and image.version.startswith(said.micropython)
    assert said.unique_id == empty.control("state")["unique_id"]
    # By the REPL of what was just flashed; the board holds one changed text, and says so.
    with pytest.raises(FlashError, match="does not hold the image that was written"):
        flash(image, Slipping(empty, altered(image)), lambda *told: None)
