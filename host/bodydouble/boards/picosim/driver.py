"""The `pico-sim` board: an emulated Pico is started, and then used as a real one on a serial port is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bodydouble.boards.errors import MissingImageError, NoReplyError
from bodydouble.boards.flash_sim import SimTarget
from bodydouble.boards.flash_usb import repl_bootloader
from bodydouble.boards.images import find_image, obtain_image
from bodydouble.boards.picosim.emulator import PicoSim
from bodydouble.boards.picosim.errors import NoNodeError
from bodydouble.boards.picosim.node import find_node
from bodydouble.boards.reach import deaf_bootloader
from bodydouble.boards.serial_board import open_serial
from bodydouble.resources import cache_dir

if TYPE_CHECKING:
    from bodydouble.boards.board import Board
    from bodydouble.boards.inventory import BoardType
    from bodydouble.boards.selector import Selector
    from bodydouble.boards.uf2 import Image

CLOCK = "emulated cycles"
ATTACH_S = 10.0


def open_board(kind: BoardType, selector: Selector, *, tier: str | None, heap_bytes: int | None) -> Board:
    """The driver: WHICH is the instance's name, from which its unique id and its flash's file follow."""
    name = selector.instance
    sim = start_sim(kind, name)
    try:
        board = open_serial(kind, sim.port, tier=tier, heap_bytes=heap_bytes, power=SimPower(sim))
    except BaseException:
        sim.close()
        raise
    board.info["name"] = name
    board.info["clock"] = CLOCK
    return board


def start_sim(kind: BoardType, name: str) -> PicoSim:
    """Power the emulated Pico `name`; its flash is kept between runs."""
    return PicoSim.start(name, obtain_image(kind), flash_path(name))


def flash_path(name: str) -> Path:
    """The file that is the flash of the emulated Pico of this name."""
    return cache_dir() / "pico-sim" / f"{name}.flash"


@contextmanager
def reach(kind: BoardType, selector: Selector, *, purpose: str) -> Iterator[SimReached]:  # noqa: ARG001 - all drivers' signature
    """The emulated Pico of this name, for something other than running the firmware."""
    with start_sim(kind, selector.instance) as sim:
        yield SimReached(kind, sim)


@contextmanager
def flash_target(kind: BoardType, selector: Selector, *, purpose: str) -> Iterator[SimTarget]:  # noqa: ARG001 - as above
    """The emulated Pico of this name, to be flashed: its flash may hold anything, or nothing."""
    image = None
    with suppress(MissingImageError):
        image = find_image(kind)  # as `start_sim`, which would else put it over what is flashed now
    name = selector.instance
    with PicoSim.start(name, image, flash_path(name), attach_s=None) as sim:
        with suppress(NoReplyError):  # a program that shows no port: the button will do
            sim.wait_attached(ATTACH_S)
        yield SimTarget(sim)


@dataclass
class SimReached:
    """An emulated Pico that runs: its plug can be pulled, and its button held."""

    kind: BoardType
    sim: PicoSim

    @property
    def where(self) -> str:
        """Its name, in words."""
        return f"the emulated Pico {self.sim.name}"

    @property
    def name(self) -> str:
        """Its name."""
        return self.sim.name

    @property
    def power(self) -> SimPlug:
        """Its plug."""
        return SimPlug(self.sim)

    def port(self) -> str | None:
        """Its serial port, while it has one."""
        return self.sim.port if self.sim.attached else None

    def target(self, *, deaf: bool = False) -> SimTarget:
        """Its REPL, or its button."""
        return SimTarget(self.sim, bootloader=deaf_bootloader if deaf else repl_bootloader)

    def image(self) -> Image:
        """What it was started with."""
        return obtain_image(self.kind)


class SimPlug:
    """Pulls the plug of an emulated Pico, and puts it back."""

    def __init__(self, sim: PicoSim) -> None:
        self._sim = sim

    def off(self) -> None:
        """Cut its power."""
        self._sim.control("power", on=False)

    def on(self) -> None:
        """Give it back."""
        self._sim.control("power", on=True)


def obstacle() -> str:
    """What keeps the board from running here, with the cure; "" where nothing does."""
    try:
        find_node()
    except NoNodeError as error:
        return str(error)
    return ""


class SimPower:
    """An emulated board ends with its user."""

    def __init__(self, sim: PicoSim) -> None:
        self._sim = sim

    def cut(self) -> None:
        """As a pulled plug."""
        self._sim.close()

    def release(self) -> None:
        """End the emulator."""
        self._sim.close()
