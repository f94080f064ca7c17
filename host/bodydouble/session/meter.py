"""Counts what the phone passes on to the cloud, where it passes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bodydouble.phone.agent import AUDIO_HINT

if TYPE_CHECKING:
    from bodydouble.phone.client import ConverseClient


class MeteredClient:
    """A Converse client that counts the user's data in every request it passes on, by kind, in bytes."""

    def __init__(self, client: ConverseClient) -> None:
        self._client = client
        self._counted: Counter[str] = Counter()

    def converse_stream(self, **request: Any) -> Mapping[str, Any]:
        """Count, then pass on."""
        for message in request["messages"]:
            for block in message["content"] if message["role"] == "user" else ():
                if "audio" in block:
                    self._counted["audio"] += len(block["audio"]["source"]["bytes"])
                elif "toolResult" in block:
                    self._counted["home"] += len(json.dumps(block["toolResult"]["content"]).encode())
                elif block.get("text") != AUDIO_HINT:
                    self._counted["text"] += len(block["text"].encode())
        return self._client.converse_stream(**request)

    def take(self) -> dict[str, int]:
        """Bytes by kind since the last call."""
        counted = dict(self._counted)
        self._counted.clear()
        return counted
