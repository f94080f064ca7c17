"""How many tokens a request and an answer are, by approximation: no model's tokenizer is shipped.

Text is taken as 4 characters a token (OpenAI's "Tokenizer" page: "one token generally corresponds to ~4 characters
of text for common English text"); Llama 3's 128 k vocabulary is close to that for English. Audio is taken as 25
tokens a second: a Whisper encoder's 50 frames a second, pooled by two, as in Qwen2-Audio (arXiv:2407.10759, section
2: "each frame of encoder output approximately corresponds to a 40 ms segment").
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bodydouble.cloud.converse import ConverseRequest, Message

CHARACTERS_PER_TOKEN = 4
AUDIO_TOKENS_PER_SECOND = 25.0
MESSAGE_TOKENS = 4
"""A message's frame in Llama 3's template: header start, role, header end, end of turn (Meta's model card)."""


def of_text(text: str) -> int:
    """Tokens of `text`, at least 1 where there is any."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def of_json(value: object) -> int:
    """Tokens of `value` written as JSON."""
    return of_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def of_audio(seconds: float) -> int:
    """Tokens of a recording."""
    return math.ceil(seconds * AUDIO_TOKENS_PER_SECOND)


def of_request(request: ConverseRequest, audio_seconds: float) -> int:
    """Tokens that the model reads: system prompt, tools and the whole conversation."""
    total = of_audio(audio_seconds)
    total += sum(of_text(block.text) for block in request.system if block.text)
    for tool in request.tools:
        total += of_text(tool.name) + of_text(tool.description or "") + of_json(tool.input_schema.document)
    return total + sum(_of_message(message) for message in request.messages)


def _of_message(message: Message) -> int:
    total = MESSAGE_TOKENS
    for block in message.content:
        if block.text is not None:
            total += of_text(block.text)
        elif block.tool_use is not None:
            total += of_text(block.tool_use.name) + of_json(block.tool_use.input)
        elif block.tool_result is not None:
            for part in block.tool_result.content:
                total += of_text(part.text) if part.text is not None else of_json(part.data)
    return total
