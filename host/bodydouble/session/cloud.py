"""Which cloud answers: the simulated one, the real Bedrock, a service at a URL, or none."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bodydouble.errors import InputError

if TYPE_CHECKING:
    from types import TracebackType

    from bodydouble.cloud.server import CloudServer
    from bodydouble.cloud.service import Recognise

DEFAULT_FLEET = "trn2:16"
DEFAULT_MODEL = "llama-3.3-70b"


@dataclass
class Cloud:
    """The cloud side of a session; a context manager that starts and stops the simulated service.

    `kind` is `sim`, `none`, `bedrock` or `url`. `model` is a name of the catalogue or a Bedrock model id; Bedrock and
    a URL are asked for any other id as it stands. Used without a session it is a Bedrock endpoint for any client:
    `with Cloud() as cloud:` serves at `cloud.url`. It may be entered again while it is open, as a session does with
    the cloud that it is given: it starts at the first entry and stops at the last exit.
    """

    kind: str = "sim"
    url: str | None = None
    fleet: str = DEFAULT_FLEET
    model: str = DEFAULT_MODEL
    fault: str | None = None
    seed: int = 0
    recognise: Recognise | None = None
    """Speech recognition inside the simulated service; without it audio blocks are refused. Set it at any time."""
    _server: CloudServer | None = field(default=None, init=False, repr=False, compare=False)
    _entries: int = field(default=0, init=False, repr=False, compare=False)
    # A session enters on its own thread while the caller's may ask for the model's id, or leave.
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, **options: Any) -> Cloud:
        """A cloud from `--cloud`: sim, none, bedrock or an http(s) URL."""
        if text in ("sim", "none", "bedrock"):
            return cls(kind=text, **options)
        if text.startswith(("http://", "https://")):
            return cls(kind="url", url=text, **options)
        raise InputError(f"--cloud {text!r} is not known", hint="use sim, none, bedrock or an http(s):// URL")

    @property
    def model_id(self) -> str:
        """The id that a Bedrock client asks for."""
        if self.kind == "sim":
            return self._service().model_id
        from bodydouble.cloud.catalogue import models  # noqa: PLC0415 - keeps the command line's start quick

        known = models().get(self.model)
        if known is None:
            return self.model
        # Bedrock offers most of them, Llama 3.3 among them, through an inference profile alone.
        return f"us.{known.bedrock_id}" if self.kind == "bedrock" else known.bedrock_id

    def check(self) -> None:
        """Raise InputError where the fleet, the model or the fault of the simulated service cannot be used."""
        if self.kind == "sim":
            self._service()
        elif self.fault:
            raise InputError(
                "only the simulated cloud can be made to fail", hint="use --cloud sim with --cloud-fault"
            )

    def prewarm(self) -> None:
        """Load now what the first answer of the simulated service would wait for."""
        if self.kind == "sim":
            self._service().prewarm()

    def __enter__(self) -> Cloud:
        """Start the simulated service, where it is asked for and not started yet."""
        with self._lock:
            if self.kind == "sim" and not self._entries:
                self._service().start()
                self.url = self._service().url
            self._entries += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, where nobody else is inside."""
        with self._lock:
            self._entries -= 1
            if self._server is not None and not self._entries:
                self._server.stop()
                self._server = None
                self.url = None

    def describe(self) -> dict[str, Any]:
        """What the result says of it."""
        facts: dict[str, Any] = {"kind": self.kind}
        if self.kind == "sim":
            facts |= {"fleet": self.fleet, "model": self.model, "times": "simulated"}
        elif self.kind != "none":
            facts |= {"model": self.model, "url": self.url or "Amazon Bedrock", "times": "measured on the host"}
        return facts

    def _service(self) -> CloudServer:
        # Made once: every check of it, its model's id and its start are of the same one.
        from bodydouble.cloud.server import CloudServer  # noqa: PLC0415 - keeps the command line's start quick

        with self._lock:
            if self._server is None:
                self._server = CloudServer(
                    fleet=self.fleet,
                    model=self.model,
                    recogniser=lambda: self.recognise,  # which a session may set long after the service was made
                    fault=self.fault,
                    seed=self.seed,
                )
            return self._server
