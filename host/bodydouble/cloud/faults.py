"""Faults that are asked for: which model call fails, and how."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from bodydouble.cloud.errors import FaultError, ServiceError

KINDS = ("throttle", "unavailable", "timeout", "drop", "midstream")

_ERRORS = {
    "throttle": ("ThrottlingException", "Too many requests, please wait before trying again."),
    "unavailable": ("ServiceUnavailableException", "The service is temporarily unable to handle the request."),
    "timeout": (
        "ModelTimeoutException",
        "The request took too long to process. Processing time exceeded the model timeout length.",
    ),
    "midstream": ("ModelStreamErrorException", "The model failed while it was answering."),
}


@dataclass
class Fault:
    """`kind` of KINDS, or None for none; `limit` is how many model calls it strikes, None for all."""

    kind: str | None = None
    limit: int | None = None
    _struck: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def parse(cls, text: str | None) -> Fault:
        """From `KIND` or `KIND:N`. Raises FaultError."""
        if text is None:
            return cls()
        kind, colon, count = text.partition(":")
        if kind not in KINDS:
            raise FaultError(
                f"there is no fault {text!r}", hint=f"use one of {', '.join(KINDS)}, or like {KINDS[0]}:2"
            )
        if not colon:
            return cls(kind)
        if not (count.isascii() and count.isdigit() and 0 < len(count) <= 9 and int(count)):
            raise FaultError(
                f"the fault {text!r} does not say how many requests fail", hint=f"use a number from 1, like {kind}:2"
            )
        return cls(kind, int(count))

    def strike(self) -> str | None:
        """The kind that the next model call fails by, or None."""
        with self._lock:
            if self.kind is None or (self.limit is not None and self._struck >= self.limit):
                return None
            self._struck += 1
            return self.kind


def fault_error(kind: str) -> ServiceError:
    """The error that a fault shows itself by; not for `drop`, which shows nothing."""
    return ServiceError(*_ERRORS[kind])
