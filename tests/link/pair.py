"""Both ends of a link joined by a wire that loses, repeats and breaks bytes, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from bodydouble.link.core import LinkCore
from bodydouble.link.events import Closed, Delivered, Event
from bodydouble.link.wire import Channel
from link.board_end import World, board_link

STEP_US = 1000


class Wire:
    """One direction. Rates are per byte; `cut` per step drops everything that is under way."""

    def __init__(
        self, random: Random, *, drop: float = 0, flip: float = 0, double: float = 0, cut: float = 0
    ) -> None:
        self._random = random
        self._rates = (drop, flip, double)
        self._cut = cut
        self.faults = 0

    def carry(self, data: bytes) -> bytes:
        if self._cut and self._random.random() < self._cut:
            self.faults += 1
            return data[: self._random.randrange(len(data) + 1)]
        total = sum(self._rates)
        if not total or not data:
            return data
        out = bytearray()
        at = 0
        while True:
            # How far the next fault is, instead of asking for every byte.
            gap = int(self._random.expovariate(total))
            out += data[at : at + gap]
            at += gap
            if at >= len(data):
                return bytes(out)
            self.faults += 1
            kind = self._random.choices((0, 1, 2), self._rates)[0]
            if kind == 1:
                out.append(data[at] ^ 1 << self._random.randrange(8))
            elif kind == 2:
                out += data[at : at + 1] * 2
            at += 1


class Pair:
    """A host's core and a board's Link."""

    def __init__(
        self, to_board: Wire, to_host: Wire, *, first_host: int = 0, first_board: int = 0, **options: Any
    ) -> None:
        self.world = World()
        self.to_board, self.to_host = to_board, to_host
        self.at_board: list[tuple[int, bytes]] = []
        self.at_host: list[tuple[int, bytes]] = []
        self.events: list[Event] = []
        self.core = LinkCore(first=first_host)
        self.board, self.stream = board_link(
            self._at_board, self.world, grants=((Channel.AUDIO, 4096),), first=first_board, **options
        )
        self._taken = 0

    def _at_board(self, channel: int, payload: bytes) -> None:
        self.at_board.append((channel, payload))
        if channel == Channel.AUDIO:
            self._taken += len(payload)
            self.board.grant(Channel.AUDIO, self._taken + 4096)

    def step(self) -> None:
        """One millisecond: what each end wrote crosses, and each is given its turn."""
        self.world.us += STEP_US
        self.core.tick(self.world.now)
        while data := self.core.take(self.world.now):
            self.stream.incoming += self.to_board.carry(data)
        while self.board.poll(1):
            pass
        data = self.to_host.carry(bytes(self.stream.outgoing))
        self.stream.outgoing.clear()
        # In two pieces, since streams come in pieces.
        for piece in (data[: len(data) // 3], data[len(data) // 3 :]):
            for event in self.core.receive(piece, self.world.now):
                if isinstance(event, Delivered):
                    self.at_host.append((event.channel, event.payload))
                elif isinstance(event, Closed):
                    raise AssertionError(event.reason)  # noqa: TRY004 - not about types
                self.events.append(event)

    def until(self, done: Callable[[], bool], limit: int = 5_000) -> None:
        """Step until `done`, for at most `limit` milliseconds."""
        for _ in range(limit):
            if done():
                return
            self.step()
        raise AssertionError(f"stuck: {self.core.stats} {self.board.counters()}")

    def exchange(self, down: list[tuple[int, bytes]], up: list[tuple[int, bytes]], *, limit: int = 60_000) -> int:
        """Send `down` to the board and `up` to the host, all of it; returns the milliseconds that it took."""
        self.core.open(self.world.now, "session")
        for channel, payload in down:
            self.core.send(channel, payload)
        waiting = list(up)
        for step in range(limit):
            self.step()
            while waiting and self.board.send(waiting[0][0], waiting[0][1], 0, len(waiting[0][1])):
                del waiting[0]
            if not waiting and not self.core.pending and not self.board.pending and self.board.connected:
                return step
        raise AssertionError(f"stuck: {self.core.stats} {self.board.counters()}")
