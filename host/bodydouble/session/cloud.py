"""Which cloud answers: the simulated one, the real Bedrock, a service at a URL, or none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bodydouble.errors import InputError

if TYPE_CHECKING:
    from types import TracebackType

    from bodydouble.cloud.server import CloudServer, Recognise

DEFAULT_FLEET = "trn2:16"
DEFAULT_MODEL = "llama-3.3-70b"


@dataclass
class Cloud:
    """The cloud side of a session; a context manager that starts and stops the simulated service.

    `kind` is `sim`, `none`, `bedrock` or `url`. `model` is a model's short name for the simulated service, a
    Bedrock model id otherwise.
    """

    kind: str = "sim"
    url: str | None = None
    fleet: str = DEFAULT_FLEET
    model: str = DEFAULT_MODEL
    fault: str | None = None
    seed: int = 0
    recognise: Recognise | None = None
    """Speech recognition inside the simulated service, for `asr="cloud"`."""
    _server: CloudServer | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str, **options: Any) -> Cloud:
        """A cloud from `--cloud`: sim, none, bedrock or an http(s) URL."""
        if text in ("sim", "none", "bedrock"):
            return cls(kind=text, **options)
        if text.startswith(("http://", "https://")):
            return cls(kind="url", url=text, **options)
        raise InputError(f"--cloud {text!r} is not known", hint="use sim, none, bedrock or an http(s):// URL")

    @property
    def simulated(self) -> bool:
        """True where answers come from the simulated service."""
        return self.kind == "sim"

    def __enter__(self) -> Cloud:
        """Start the simulated service, where it is asked for."""
        if self.kind == "sim" and self._server is None:
            from bodydouble.cloud.server import CloudServer  # noqa: PLC0415 - keeps the command line's start quick

            self._server = CloudServer(
                fleet=self.fleet, model=self.model, recognise=self.recognise, fault=self.fault, seed=self.seed
            )
            self._server.start()
            self.url = self._server.url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        if self._server is not None:
            self._server.stop()
            self._server = None
            self.url = None

    def describe(self) -> dict[str, Any]:
        """What the result says of it."""
        facts: dict[str, Any] = {"kind": self.kind}
        if self.kind == "sim":
            facts |= {"fleet": self.fleet, "model": self.model, "times": "simulated"}
        elif self.kind != "none":
            facts |= {"model": self.model, "url": self.url or "Amazon Bedrock"}
        return facts
