"""What the protocol core tells its caller."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple, TypeAlias

from bodydouble.link.wire import Hello


class Delivered(NamedTuple):
    """A DATA frame, in order and exactly once; `at` is the host clock's time of its receipt, in seconds."""

    channel: int
    payload: bytes
    at: float


class Opened(NamedTuple):
    """The board answered the hello."""

    hello: Hello


class CreditRaised(NamedTuple):
    """The board takes more bytes on `channel`."""

    channel: int


class ClockExchange(NamedTuple):
    """A ping that came back: host seconds of sending and receipt, board ticks (us) of receipt and answer."""

    sent: float
    board_received_us: int
    board_sent_us: int
    received: float


class Closed(NamedTuple):
    """The session is over."""

    reason: str


Event: TypeAlias = Delivered | Opened | CreditRaised | ClockExchange | Closed


@dataclass
class LinkStats:
    """Counters of one end, since it was made."""

    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_frames: int = 0
    tx_frames: int = 0
    acks: int = 0
    crc_errors: int = 0
    bad_frames: int = 0
    unknown_frames: int = 0
    duplicates: int = 0
    gaps: int = 0
    retransmits: int = 0
    timeouts: int = 0

    def as_dict(self) -> dict[str, int]:
        """For a result or a trace."""
        return asdict(self)
