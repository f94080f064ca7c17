"""What the cloud's tests share: a home's tools as the phone describes them, conversations, a client, recordings."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

RATE_HZ = 16_000

LIGHTS = ("kitchen light", "living room light", "bedroom lamp", "hallway light", "porch light", "desk lamp")
SWITCHES = ("coffee machine", "television", "fan")
THERMOSTATS = ("thermostat",)
LOCKS = ("back door", "front door", "garage door")
SENSORS = ("living room temperature",)
AREAS = ("kitchen", "living room", "bedroom", "hallway", "porch", "office")


def _schema(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


SCHEMAS: dict[str, dict[str, Any]] = {
    "set_power": _schema(
        ("state",),
        name=_of(*LIGHTS, *SWITCHES),
        area=_of(*AREAS),
        kind=_of("light", "switch"),
        state=_of("on", "off"),
    ),
    "set_brightness": _schema(("name", "percent"), name=_of(*LIGHTS), percent={"type": "integer"}),
    "set_temperature": _schema(("name", "celsius"), name=_of(*THERMOSTATS), celsius={"type": "number"}),
    "get_state": _schema(("name",), name=_of(*LIGHTS, *SWITCHES, *THERMOSTATS, *LOCKS, *SENSORS)),
    "lock": _schema(("name",), name=_of(*LOCKS)),
    "unlock": _schema(("name", "confirmed"), name=_of(*LOCKS), confirmed={"type": "boolean"}),
    "shopping_list_add": _schema(("item",), item={"type": "string"}, quantity={"type": "integer"}),
    "shopping_list_remove": _schema(("item",), item={"type": "string"}),
    "shopping_list_show": _schema(),
    "timer_set": _schema(("seconds",), seconds={"type": "integer"}, label={"type": "string"}),
    "timer_cancel": _schema(label={"type": "string"}),
    "timer_query": _schema(),
    "weather": _schema(("when",), when=_of("today", "tomorrow")),
    "time": _schema(),
}


def tool_config(*names: str) -> dict[str, Any]:
    """Bedrock's toolConfig of the tools `names`, of all when none is named."""
    return {
        "tools": [
            {"toolSpec": {"name": name, "description": f"The tool {name}.", "inputSchema": {"json": SCHEMAS[name]}}}
            for name in names or SCHEMAS
        ]
    }


def user(*content: Any) -> dict[str, Any]:
    """A user message of texts and blocks."""
    return {"role": "user", "content": [{"text": one} if isinstance(one, str) else one for one in content]}


def assistant(*content: Any) -> dict[str, Any]:
    """An assistant's message of texts and blocks."""
    return {**user(*content), "role": "assistant"}


def use(name: str, arguments: dict[str, Any] | None = None, use_id: str = "use-1") -> dict[str, Any]:
    """A toolUse block."""
    return {"toolUse": {"toolUseId": use_id, "name": name, "input": arguments or {}}}


def result(facts: Any, use_id: str = "use-1", status: str = "success") -> dict[str, Any]:
    """A toolResult block with `facts` as JSON."""
    return {"toolResult": {"toolUseId": use_id, "content": [{"json": facts}], "status": status}}


@lru_cache(maxsize=1)
def _session() -> Any:
    """One for all: making it reads megabytes of JSON."""
    import boto3

    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.Session(region_name="us-east-1", **credentials)


def client(url: str, attempts: int = 1, read_timeout_s: float = 10.0) -> Any:
    """boto3's client of the service at `url`; `attempts` counts the first one."""
    from botocore.config import Config

    config = Config(
        signature_version="v4",
        proxies={},
        read_timeout=read_timeout_s,
        retries={"total_max_attempts": attempts, "mode": "standard"},
    )
    return _session().client("bedrock-runtime", endpoint_url=url, config=config)


def tone(seconds: float = 0.5, rate_hz: int = RATE_HZ, hertz: float = 440.0) -> npt.NDArray[np.int16]:
    """A sine at half of full scale."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.asarray(np.round(16384 * np.sin(2 * np.pi * hertz * at)), np.int16)


def encoded(samples: npt.NDArray[np.int16], kind: str, rate_hz: int = RATE_HZ) -> bytes:
    """`samples`, shape (frames,) or (frames, channels), as a file of `kind`."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=kind.upper(), subtype="PCM_16")
    return buffer.getvalue()


def audio(data: bytes, kind: str = "wav") -> dict[str, Any]:
    """An audio block."""
    return {"audio": {"format": kind, "source": {"bytes": data}}}


class Recogniser:
    """A recogniser that hears what it is told to; it keeps what it was given."""

    def __init__(self, text: str = "turn on the kitchen light") -> None:
        self.text = text
        self.error: Exception | None = None
        self.recordings: list[npt.NDArray[np.int16]] = []
        self.registries: list[Any] = []

    def __call__(self, pcm: npt.NDArray[np.int16], registry: Any) -> str:
        self.recordings.append(pcm)
        self.registries.append(registry)
        if self.error:
            raise self.error
        return self.text


def events(response: Any) -> list[tuple[str, dict[str, Any]]]:
    """A ConverseStream response's events as (name, body)."""
    return [next(iter(event.items())) for event in response["stream"]]
