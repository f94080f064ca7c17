"""Checks what left the board against what it may let out, counted on the host, not believed from the board."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bodydouble.errors import ExpectationError

BLOCK_S = 0.01
"""The gate lets audio out in blocks of one hop."""
BLOCK_BYTES = 320


@dataclass
class Custody:
    """Counts user data as it reaches the host, and compares it with the board's ledger."""

    pre_roll_s: float = 0.3
    ledger: list[dict[str, Any]] = field(default_factory=list)
    bytes_before_wake: int = 0
    received: int = 0
    """Bytes of user data that the host received, whatever the board says."""
    _open: bool = False
    _this_request: int = 0

    def opened(self) -> None:
        """A wake or a gesture was reported: what arrives from now on may belong to a request."""
        self._open = True

    def arrived(self, count: int) -> None:
        """`count` bytes of the utterance channel arrived."""
        self.received += count
        self._this_request += count
        if not self._open:
            self.bytes_before_wake += count

    def closed(self, entry: dict[str, Any] | None, t_wake: float, t_decided: float) -> dict[str, Any] | None:
        """A request ended; `entry` is the board's ledger entry, times in seconds. Returns the ledger's line."""
        self._open = False
        arrived, self._this_request = self._this_request, 0
        told = entry["bytes"] if entry else 0
        if told != arrived:
            raise ExpectationError(
                f"the board's ledger says {told} bytes left it, {arrived} arrived",
                hint="the firmware sends user data past its egress gate, or the link lost some: trust nothing here",
            )
        if not entry or not arrived:
            return None
        blocks = entry["to"] - entry["from"]
        if blocks * BLOCK_BYTES != arrived or entry["to"] * BLOCK_S > t_decided + BLOCK_S:
            raise ExpectationError(
                f"{arrived} bytes left the board as the audio from {entry['from'] * BLOCK_S:.2f} to "
                f"{entry['to'] * BLOCK_S:.2f} s, decided on at {t_decided:.2f} s",
                hint="the firmware's ledger contradicts itself: trust nothing here",
            )
        start_s = round(entry["from"] * BLOCK_S, 2)
        too_early = round((t_wake - self.pre_roll_s - start_s) / BLOCK_S)
        if too_early > 0:
            self.bytes_before_wake += too_early * BLOCK_BYTES
        line = {
            "kind": entry["kind"],
            "reason": entry["reason"],
            "destination": "phone",
            "from_s": start_s,
            "to_s": round(entry["to"] * BLOCK_S, 2),
            "bytes": arrived,
        }
        self.ledger.append(line)
        return line

    def forwarded(self, kind: str, reason: str, count: int, request: int) -> None:
        """The phone passed `count` bytes of `kind` on to the cloud for request number `request`."""
        line = {"kind": kind, "reason": reason, "destination": "cloud", "bytes": count, "request": request}
        self.ledger.append(line)

    def check(self) -> None:
        """Raise ExpectationError where data left before its wake."""
        if self.bytes_before_wake:
            raise ExpectationError(
                f"{self.bytes_before_wake} bytes left the board before a wake allowed it",
                hint="the firmware's egress gate is broken: see privacy.ledger in the result",
            )
