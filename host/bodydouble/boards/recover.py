"""Getting a board back that does not answer: a ladder of ever harsher means, each timed and reported.

Ctrl-C, raw REPL, soft reset, reset, BOOTSEL with an image that runs nothing of the user's, power. The board is
recovered once it has been reset and answers again. Files stay: a `main.py` that keeps the board from answering is
renamed, and what a filesystem that must be formatted still gives is saved on the host first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bodydouble.boards import recover_code
from bodydouble.boards.errors import BoardCodeError, FlashError, NoReplError, NoReplyError, PortHeldError
from bodydouble.boards.holders import port_holders
from bodydouble.boards.repl import Repl
from bodydouble.boards.rescue import rescue_image
from bodydouble.boards.savings import put_back, save_files
from bodydouble.clock import Clock, monotonic
from bodydouble.errors import BodydoubleError
from bodydouble.link.errors import PortError, StreamClosedError
from bodydouble.link.stream import SerialStream

if TYPE_CHECKING:
    from bodydouble.boards.holders import Holding
    from bodydouble.boards.reach import Patient
    from bodydouble.boards.uf2 import Image
    from bodydouble.link.stream import ByteStream

Outcome = Literal["answered", "no answer", "skipped"]
PORT_S = 20.0
BURST_S = 1.5
RAW_S = 4.0
VANISHING_S = 12.0
"""For a board that comes and goes: the longest time-out of its watchdog, and once more."""
RESET_S = 12.0
POWER_OFF_S = 2.0
PROOF_S = 12.0
POLL_S = 0.1
ROUNDS = 2
FULL_BYTES = 64 * 1024
"""Less room than this is no room: a file more and nothing can be written."""
_UNANSWERED = (NoReplError, StreamClosedError, PortError, NoReplyError)


@dataclass(frozen=True)
class Rung:
    """One means, how it ended, how long it took on the host's clock, and what there is to say."""

    name: str
    outcome: Outcome
    seconds: float
    said: str = ""


@dataclass
class Recovery:
    """What was tried in which order; `changes` are what is different on the board now, in words."""

    where: str
    healthy: bool = False
    rungs: list[Rung] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Power(Protocol):
    """What switches the board's supply."""

    def off(self) -> None:
        """Cut it. BodydoubleError where that fails."""

    def on(self) -> None:
        """Give it back."""


def recover(
    patient: Patient,
    *,
    image: Image | None = None,
    power: Power | None = None,
    save_to: Path | None = None,
    reformat: bool = False,
    tell: Callable[[str], None] = lambda what: None,
    open_port: Callable[[str], ByteStream] = SerialStream,
    held_by: Callable[[str], list[Holding]] = port_holders,
    clock: Clock = monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Recovery:
    """Climb until the board answers, treat it, and prove it by a reset.

    `image` is the MicroPython that BOOTSEL may write, `save_to` the folder where files go that cannot stay on the
    board; without it nothing is ever removed. `reformat` asks for a new filesystem. PortHeldError where another
    process keeps the port.
    """
    ladder = _Ladder(patient, image, power, save_to, reformat, tell, open_port, held_by, clock, sleep)
    return ladder.climb()


class _Ladder:
    def __init__(
        self,
        patient: Patient,
        image: Image | None,
        power: Power | None,
        save_to: Path | None,
        reformat: bool,
        tell: Callable[[str], None],
        open_port: Callable[[str], ByteStream],
        held_by: Callable[[str], list[Holding]],
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self._patient, self._image, self._power = patient, image, power
        self._save_to, self._reformat = save_to, reformat
        self._tell, self._open_port, self._held_by = tell, open_port, held_by
        self._clock, self._sleep = clock, sleep
        self._report = Recovery(patient.where)
        self._stream: ByteStream | None = None
        self._repl: Repl | None = None
        self._facts: dict[str, Any] = {}
        self._rescued = False

    def climb(self) -> Recovery:
        began = self._clock()
        try:
            for _ in range(ROUNDS):
                climbed = self._answer()
                if climbed is None:
                    break
                self._treat(offended=climbed > 1)
                if self._proved():
                    self._report.healthy = True
                    break
        finally:
            self._hang_up()
            self._report.seconds = self._clock() - began
        return self._report

    # --- the rungs

    def _answer(self) -> int | None:
        """Which rung the board answered on; None where it did on none."""
        self._free_port()
        rungs: tuple[tuple[str, Callable[[], str]], ...] = (
            ("Ctrl-C", lambda: self._attended(BURST_S)),
            ("raw REPL", lambda: self._attended(RAW_S)),
            ("soft reset", self._soft_reset),
            ("reset", self._hard_reset),
            ("BOOTSEL", self._rescue),
            ("power", self._power_cycle),
        )
        for height, (name, rung) in enumerate(rungs):
            self._tell(name)
            with self._timed(name) as told:
                try:
                    told.said = rung()
                    told.outcome = "answered"
                except _SkippedError as why:
                    told.outcome, told.said = "skipped", str(why)
                except _UNANSWERED as error:
                    told.said = error.message
                except BodydoubleError as error:
                    told.said = str(error)
            if told.outcome == "answered":
                return height
        return None

    @contextmanager
    def _timed(self, name: str) -> Iterator[_Told]:
        began = self._clock()
        told = _Told()
        try:
            yield told
        finally:
            self._report.rungs.append(Rung(name, told.outcome, round(self._clock() - began, 3), told.said))

    def _free_port(self) -> None:
        # A process that holds the port eats half of what the board says. ModemManager lets go by itself.
        with self._timed("port") as told:
            until = self._clock() + PORT_S
            while True:
                port = self._patient.port()
                holders = self._held_by(port) if port else []
                if port and not holders:
                    told.outcome = "answered"
                    return
                if self._clock() >= until:
                    break
                self._sleep(POLL_S)
            if holders:
                told.said = f"{port} is held by {holders[0].describe()}"
                raise PortHeldError(f"{port} is held by {holders[0].describe()}", hint=holders[0].cure)
            told.said = "there is no port"

    def _attended(self, timeout_s: float) -> str:
        """Open the port, under whatever name, and come into the raw REPL before a watchdog bites."""
        began = self._clock()
        until = began + timeout_s
        while True:
            self._hang_up()
            try:
                self._stream = self._open_port(self._wait_port(until))
                repl = Repl(self._stream, clock=self._clock)
                repl.attend(max(0.5, min(until - self._clock(), 4.0)))
                self._facts = json.loads(repl.exec(recover_code.CALM))
            except _UNANSWERED as error:
                if isinstance(error, StreamClosedError) and timeout_s >= RAW_S:
                    until = max(until, began + VANISHING_S)
                if self._clock() >= until:
                    raise
                self._sleep(POLL_S)
            except (BoardCodeError, ValueError) as error:
                self._repl = repl
                raise NoReplError(f"the REPL answers, but code fails: {error}") from error
            else:
                self._repl = repl
                return str(self._facts["machine"])

    def _wait_port(self, until: float) -> str:
        while not (port := self._patient.port()):
            if self._clock() >= until:
                raise NoReplError("there is no port")
            self._sleep(POLL_S)
        return port

    def _soft_reset(self) -> str:
        if self._repl is None:
            raise _SkippedError("nothing listens")
        self._repl.soft_reset()
        return self._attended(RAW_S)

    def _hard_reset(self) -> str:
        if self._repl is None:
            raise _SkippedError("nothing listens")
        self._restart()
        return self._attended(RESET_S)

    def _restart(self) -> None:
        if self._repl is not None:
            with suppress(*_UNANSWERED):  # it may go faster than it can say so
                self._repl.start(recover_code.RESET, 2.0)
        self._hang_up()
        self._wait_gone(3.0)

    def _rescue(self) -> str:
        """An image that runs neither boot.py nor main.py: whatever those do, the REPL is there."""
        target = self._patient.target(deaf=self._repl is None)
        if target is None:
            raise _SkippedError("nothing here can bring it into BOOTSEL mode")
        if self._image is None:
            raise _SkippedError("no MicroPython image is at hand; name one: --image FILE")
        self._hang_up()
        target.enter().write(rescue_image(self._image), lambda what, done, total: None)
        target.back()
        self._rescued = True
        said = self._attended(RESET_S)
        if self._repl is not None:
            self._repl.exec(recover_code.MOUNT)
            self._facts = json.loads(self._repl.exec(recover_code.CALM))
        return said

    def _power_cycle(self) -> str:
        if self._power is None:
            raise _SkippedError("nothing here switches its power; name it: --power COMMAND, or --hub LOCATION")
        self._hang_up()
        self._power.off()
        dropped = self._wait_gone(POWER_OFF_S)
        self._sleep(POWER_OFF_S)
        self._power.on()
        if not dropped:
            raise FlashError("its port stayed: the power never dropped", hint="use a hub that switches it")
        return self._attended(RESET_S)

    def _wait_gone(self, timeout_s: float) -> bool:
        until = self._clock() + timeout_s
        while self._patient.port():
            if self._clock() >= until:
                return False
            self._sleep(POLL_S)
        return True

    def _hang_up(self) -> None:
        self._repl = None
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    # --- the treatment

    def _treat(self, *, offended: bool) -> None:
        facts = self._facts
        if offended or facts["watchdog"]:
            self._quarantine(
                "it reset the board again and again" if facts["watchdog"] else "the board did not answer"
            )
        self._mend_files()
        if self._rescued and self._image is not None:
            target = self._patient.target()
            if target is not None:
                self._hang_up()
                target.enter().write(self._image, lambda what, done, total: None)
                target.back()
                self._rescued = False
                self._report.changes.append("MicroPython was flashed again")

    def _quarantine(self, why: str) -> None:
        name = "main.py" if self._facts["main"] else "boot.py"
        if not (self._facts["main"] or self._facts["boot"]) or self._repl is None:
            return
        try:
            where = self._repl.exec(f"{recover_code.QUARANTINE}\nquarantine({'/' + name!r})\n").decode().strip()
        except BoardCodeError as error:
            self._report.notes.append(f"/{name} could not be renamed: {error.message}")
        else:
            self._report.changes.append(f"/{name} is now {where}: {why}")

    def _mend_files(self) -> None:
        if self._repl is None:
            return
        state = json.loads(self._repl.exec(recover_code.FILES + "\ncheck()\n", 60.0))
        broken = bool(state["error"] or state["unreadable"])
        if broken or self._reformat:
            self._format(state)
        elif state["free"] < FULL_BYTES:
            self._make_room(state)

    def _format(self, state: dict[str, Any]) -> None:
        broken = state["unreadable"]
        why = f"{broken[0]} cannot be read" if broken else f"error {state['error']}" if state["error"] else "as asked"
        if self._save_to is None and not self._reformat:
            self._report.notes.append(f"the filesystem is damaged ({why}); bodydouble boards recover --format")
            return
        repl = self._repl
        if repl is None:
            return
        names = [name for name, _ in state["files"] if name not in state["unreadable"]]
        kept = save_files(repl, names, self._save_to) if self._save_to else {}
        repl.exec(recover_code.FORMAT, 60.0)
        put_back(repl, kept)
        said = f"; {len(kept)} files were put back, and are in {self._save_to}" if kept else ""
        self._report.changes.append(f"the filesystem was formatted ({why}){said}")
        for name in state["unreadable"]:
            self._report.changes.append(f"{name} is lost: it could not be read")

    def _make_room(self, state: dict[str, Any]) -> None:
        sizes = sorted(state["files"], key=lambda entry: -int(entry[1]))
        if not sizes or self._repl is None:
            return
        name, size = sizes[0]
        if self._save_to is None:
            self._report.notes.append(f"the filesystem is full: {state['free']:,} bytes free, {name} has {size:,}")
            return
        save_files(self._repl, [name], self._save_to)
        self._repl.exec(f"import os\nos.remove({name!r})\n")
        self._report.changes.append(f"the filesystem was full: {name} ({size:,} bytes) is now in {self._save_to}")

    def _proved(self) -> bool:
        """Whether the board, freshly reset, answers Ctrl-C."""
        self._tell("proof")
        with self._timed("proof") as told:
            try:
                if self._repl is None:
                    self._attended(PROOF_S)
                self._restart()
                told.said = self._attended(PROOF_S)
                told.outcome = "answered"
                if self._facts["watchdog"]:
                    told.outcome, told.said = "no answer", "its watchdog runs again"
                elif self._repl is not None:
                    self._repl.leave()
            except _UNANSWERED as error:
                told.said = error.message
        return told.outcome == "answered"


class _SkippedError(Exception):
    pass


@dataclass
class _Told:
    outcome: Outcome = "no answer"
    said: str = ""
