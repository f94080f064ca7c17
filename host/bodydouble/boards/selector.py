"""Which board is meant: `--board TYPE[:WHICH]`, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bodydouble.boards.errors import SelectorError

_PORT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|/|\\\\|[Cc][Oo][Mm]\d+$")
_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


@dataclass(frozen=True)
class Selector:
    """A board's type, and which one of it: empty where any will do.

    WHICH is an emulated board's instance name, or a real one's USB serial number (the beginning is enough) or port
    (`/dev/ttyACM0`, `COM3`, `socket://host:port`, `ssh://user@host`).
    """

    type: str
    which: str = ""

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Take `TYPE[:WHICH]` apart. SelectorError where nothing or something unprintable follows the colon."""
        kind, colon, which = text.partition(":")
        which = which.strip()
        if colon and (not which or not which.isprintable()):
            raise SelectorError(
                f"{text!r} names no board after the colon",
                hint="leave the colon out, or add a USB serial number, a port or an instance's name",
            )
        return cls(kind.strip(), which)

    @property
    def is_port(self) -> bool:
        """Whether WHICH is a port or a URL rather than a name or a serial number."""
        return bool(_PORT.match(self.which))

    @property
    def instance(self) -> str:
        """The name of an emulated board, from which its unique id and its files follow; the type by default.

        SelectorError where WHICH is no name that a file can bear.
        """
        name = self.which or self.type
        if not _INSTANCE.fullmatch(name):
            raise SelectorError(
                f"{self.which!r} cannot name a {self.type} board",
                hint="use up to 32 letters, digits, dots, dashes and underscores",
            )
        return name

    def __str__(self) -> str:
        """`TYPE[:WHICH]` again."""
        return f"{self.type}:{self.which}" if self.which else self.type
