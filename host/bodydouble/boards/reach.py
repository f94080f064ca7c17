"""A board with a raw REPL, reached for something else than running the firmware: deploying, resetting, recovering."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bodydouble.boards.errors import NoDriverError, NoReplError, NoReplyError, NoSuchBoardError
from bodydouble.boards.probes import attended
from bodydouble.boards.recover_code import RESET
from bodydouble.clock import Clock, monotonic
from bodydouble.link.errors import StreamClosedError

if TYPE_CHECKING:
    from bodydouble.boards.discovery import Device, Surroundings
    from bodydouble.boards.flash import Target
    from bodydouble.boards.inventory import BoardType
    from bodydouble.boards.recover import Power
    from bodydouble.boards.repl import Repl
    from bodydouble.boards.selector import Selector
    from bodydouble.boards.uf2 import Image

ATTEND_S = 15.0
GONE_S = 3.0
BACK_S = 60.0
APPEAR_S = 15.0
"""For a board that resets itself again and again."""
POLL_S = 0.1


class Patient(Protocol):
    """A board as far as `recover` needs it."""

    @property
    def where(self) -> str:
        """Which one, in words."""

    def port(self) -> str | None:
        """Its port as of now; None while it has none."""

    def target(self, *, deaf: bool = False) -> Target | None:
        """What brings it into BOOTSEL mode; None where nothing can. `deaf`: its REPL need not be asked."""


class Reached(Patient, Protocol):
    """A board, kept from others meanwhile."""

    @property
    def name(self) -> str:
        """What a file about it may be called."""

    @property
    def power(self) -> Power | None:
        """What switches its supply, where that comes with the board."""

    def image(self) -> Image | None:
        """The MicroPython image that it should run, where that is known."""


def reach(
    kind: BoardType, selector: Selector, *, purpose: str, patience_s: float = 0.0
) -> AbstractContextManager[Reached]:
    """The board that `selector` means; use it in a `with` block. An emulated one is started, and ended after.

    A board that is not there may appear within `patience_s`.

    Errors: NoDriverError where boards of this type have no raw REPL; as `resolve`'s and BoardLock's.
    """
    from bodydouble.boards import driver_of  # noqa: PLC0415 - drivers import this module's callers

    if kind.usb:
        return _plugged(kind, selector, purpose, patience_s)
    made: Callable[..., AbstractContextManager[Reached]] | None = getattr(driver_of(kind), "reach", None)
    if made is None:
        raise NoDriverError(
            f"a {kind.type} board has no REPL to reach", hint="name a Pico: --board pico or --board pico-sim"
        )
    return made(kind, selector, purpose=purpose)


def attention(reached: Reached, timeout_s: float = ATTEND_S) -> AbstractContextManager[Repl]:
    """The board's raw REPL, whatever it was doing. NoReplError where it does not answer."""
    port = reached.port()
    if port is None:
        raise NoReplError(f"{reached.where} has no port", hint="bodydouble boards recover")
    return attended(port, timeout_s)


def restart(reached: Reached, *, clock: Clock = monotonic, sleep: Callable[[float], None] = time.sleep) -> float:
    """Reset the board as its reset pin would, and wait until it has a port again; returns the seconds that took."""
    with attention(reached) as repl, suppress(NoReplError, StreamClosedError):
        repl.start(RESET, 2.0)  # it may be gone before it has said that it goes
    began = clock()
    gone = False
    while not gone and clock() - began < GONE_S:
        gone = reached.port() is None
        if not gone:
            sleep(POLL_S)
    while reached.port() is None:
        if clock() - began > BACK_S:
            raise NoReplyError(
                f"{reached.where} did not come back within {BACK_S:g} s", hint="bodydouble boards recover"
            )
        sleep(POLL_S)
    return clock() - began


def deaf_bootloader(port: str) -> None:
    """In place of asking the REPL of a board that is known not to answer."""
    raise NoReplError(f"the board on {port} does not answer")


# --- boards on USB, and ports that are no USB


@contextmanager
def _plugged(kind: BoardType, selector: Selector, purpose: str, patience_s: float) -> Iterator[Reached]:
    from bodydouble.boards import discovery  # noqa: PLC0415 - looks at USB
    from bodydouble.boards.locks import BoardLock  # noqa: PLC0415

    device = _awaited(kind, selector, discovery.HERE, patience_s)
    with BoardLock(device.key, board=str(selector), purpose=purpose):
        yield PluggedBoard(kind, device, discovery.HERE)


def _awaited(
    kind: BoardType,
    selector: Selector,
    here: Surroundings,
    patience_s: float,
    clock: Clock = monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Device:
    # A board that resets itself again and again is there only now and then.
    from bodydouble.boards.discovery import resolve  # noqa: PLC0415 - looks at USB

    until = clock() + patience_s
    while True:
        try:
            return resolve(kind, selector, here, bootsel=True)
        except NoSuchBoardError:
            if clock() >= until:
                raise
            sleep(POLL_S)


@dataclass
class PluggedBoard:
    """A board on a USB port, or behind any other port of pyserial's."""

    kind: BoardType
    device: Device
    here: Surroundings
    power: Power | None = None

    @property
    def where(self) -> str:
        """The port that it was found on."""
        return f"the {self.kind.type} at {self.device.where}"

    @property
    def name(self) -> str:
        """Its serial number, where it has one."""
        return self.device.serial or self.kind.type

    def port(self) -> str | None:
        """Looked for by its identity: after a reset it may have another."""
        from bodydouble.boards.discovery import same_board  # noqa: PLC0415 - looks at USB

        if self.device.vid is None:
            port = self.device.port
            return port if "://" in port or Path(port).exists() else None
        for device in self.here.devices():
            if device.port and device.mode == "micropython" and same_board(self.device, device, self.here):
                return device.port
        return None

    def target(self, *, deaf: bool = False) -> Target | None:
        """By its REPL, a touch at 1200 baud, or because its button was held."""
        from bodydouble.boards.discovery import same_board  # noqa: PLC0415 - looks at USB
        from bodydouble.boards.flash_usb import UsbTarget, repl_bootloader  # noqa: PLC0415

        if self.device.vid is None:
            return None
        now = [device for device in self.here.devices() if same_board(self.device, device, self.here)]
        asked = deaf_bootloader if deaf else repl_bootloader
        return UsbTarget(now[0] if now else self.device, here=self.here, bootloader=asked)

    def image(self) -> Image | None:
        """None: only its owner knows."""
        return None
