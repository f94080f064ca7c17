"""An emulated Pico that is given one hand-made program after the other, by its BOOTSEL drive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bodydouble.boards.inventory import board_type
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.uf2 import wrap
from support.pico_program import RESULTS, Program, bootable
from support.processes import wait_for


class Bench:
    """A board in BOOTSEL mode between programs."""

    def __init__(self, sim: PicoSim, folder: Path) -> None:
        self.sim = sim
        self.flash = folder / "bench.flash"
        self._uf2 = folder / "program.uf2"

    def give(self, program: Program) -> dict[str, Any]:
        """Copy a program to the drive of a board in BOOTSEL mode; the board starts it."""
        if self.sim.control("state")["mode"] == "off":
            self.sim.control("power", on=True)
        self.sim.control("reset", cause="bootsel")
        return self.copy(uf2(program))

    def copy(self, file: bytes) -> dict[str, Any]:
        self._uf2.write_bytes(file)
        return self.sim.control("uf2", path=str(self._uf2))

    def settled(self, look: Callable[[dict[str, Any]], Any] = lambda state: state["idle"]) -> dict[str, Any]:
        """The board's state once it sleeps, or `look` finds something in it."""

        def found() -> dict[str, Any] | None:
            state = self.sim.control("state")
            return state if look(state) else None

        return wait_for(found, "such state of the board")

    def run(self, program: Program) -> dict[str, Any]:
        self.give(program)
        return self.settled()

    def results(self, count: int) -> list[int]:
        data = bytes.fromhex(self.sim.control("memory", address=RESULTS, bytes=4 * count)["data"])
        return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def uf2(program: Program) -> bytes:
    kind = board_type("pico-sim")
    assert kind.micropython is not None
    return wrap(bootable(program), kind.micropython).to_uf2()
