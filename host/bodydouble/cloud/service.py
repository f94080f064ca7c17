"""The service without its HTTP: a model's name and a request's body in, a completion or a ServiceError out."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bodydouble.cloud import tokens
from bodydouble.cloud.accelerator import Accelerator, Fleet
from bodydouble.cloud.audio import SAMPLE_RATE_HZ, decode
from bodydouble.cloud.brain import Brain, Reply, ToolCall
from bodydouble.cloud.brain.registry import Registry
from bodydouble.cloud.catalogue import Model, models
from bodydouble.cloud.converse import ConverseRequest, parse_request
from bodydouble.cloud.errors import MemoryFitError, ServiceError, invalid
from bodydouble.errors import BodydoubleError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Recognise = Callable[["NDArray[np.int16]", Registry], str]
"""Speech recognition: 16 kHz mono samples and the names that the request's tools bring, to words."""

_ARN = re.compile(
    r"arn:aws(?:-[a-z]+)*:bedrock:[a-z0-9-]*:(?:[0-9]{12})?:(?P<kind>[a-z-]+)/(?P<id>[A-Za-z0-9.:_-]+)", re.ASCII
)
_GEOGRAPHY = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca|global)\.", re.ASCII)
MAX_MODEL_ID_LENGTH = 2048  # of Converse's modelId, in botocore's service model


@dataclass(frozen=True)
class Times:
    """A call's times in seconds; all simulated but the last two, which are the host's own."""

    queue_s: float
    prefill_s: float
    decode_s: float
    service_s: float
    recognise_s: float

    @property
    def first_token_s(self) -> float:
        """From arrival to the first token of the answer."""
        return self.queue_s + self.prefill_s

    @property
    def total_s(self) -> float:
        """From arrival to the last token of the answer."""
        return self.queue_s + self.prefill_s + self.decode_s


@dataclass(frozen=True)
class ToolUse:
    """A tool that the answer asks for."""

    id: str
    call: ToolCall


@dataclass(frozen=True)
class Completion:
    """An answer: text first, where there is any, then tools."""

    text: str
    tool_uses: tuple[ToolUse, ...]
    stop_reason: str
    input_tokens: int
    output_tokens: int
    times: Times
    transcript: str | None

    @property
    def usage(self) -> dict[str, int]:
        """As Converse reports it."""
        total = self.input_tokens + self.output_tokens
        return {"inputTokens": self.input_tokens, "outputTokens": self.output_tokens, "totalTokens": total}

    @property
    def latency_ms(self) -> int:
        """The simulated time of the whole answer."""
        return round(self.times.total_s * 1000)


class Service:
    """Answers for every model of the catalogue that fits the fleet. Any thread may call it.

    `recogniser` is asked at each request with audio for what recognises it; None refuses the request.
    Raises MemoryFitError where `model`, the one that the service is for, does not fit.
    """

    def __init__(
        self,
        fleet: Fleet,
        model: Model,
        brain: Brain,
        recogniser: Callable[[], Recognise | None],
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.fleet = fleet
        self.model = model
        self._brain = brain
        self._recogniser = recogniser
        self._recognising = threading.Lock()
        self._seed = seed
        self._clock = clock
        self._accelerators = {model.bedrock_id: Accelerator(model, fleet)}

    def answer(self, model_id: str, body: bytes) -> Completion:
        """The completion for a Converse request. Raises ServiceError."""
        started = self._clock()
        accelerator = self._accelerator(model_id)
        request = parse_request(body)
        recordings = self._recordings(request)
        transcript, recognise_s = self._hear(request, recordings)
        reply = self._brain.answer(request, transcript)
        seconds = sum(recording.size for _, recording in recordings) / SAMPLE_RATE_HZ
        input_tokens = tokens.of_request(request, seconds)
        if input_tokens > accelerator.model.context_tokens:
            raise invalid(
                f"Input is too long for requested model: {input_tokens} tokens of {accelerator.model.context_tokens}."
            )
        text, uses, stop_reason, output_tokens = self._limit(request, reply, self._digest(model_id, body))
        return Completion(
            text=text,
            tool_uses=uses,
            stop_reason=stop_reason,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            transcript=transcript,
            times=Times(
                queue_s=0.0,
                prefill_s=accelerator.prefill_s(input_tokens),
                decode_s=accelerator.decode_s(output_tokens - 1, input_tokens + 1),
                service_s=self._clock() - started,
                recognise_s=recognise_s,
            ),
        )

    def _accelerator(self, model_id: str) -> Accelerator:
        model = self._find(model_id)
        try:
            if model.bedrock_id not in self._accelerators:
                self._accelerators[model.bedrock_id] = Accelerator(model, self.fleet)
            return self._accelerators[model.bedrock_id]
        except MemoryFitError as error:
            raise ServiceError("ResourceNotFoundException", f"The model is not deployed: {error}.") from error

    def _find(self, model_id: str) -> Model:
        """The model that a request's modelId names: an id, an inference profile, either as an ARN, or our name."""
        if len(model_id) > MAX_MODEL_ID_LENGTH:
            raise invalid("The provided model identifier is invalid.")
        match = _ARN.fullmatch(model_id)
        name = match["id"] if match else model_id
        name = _GEOGRAPHY.sub("", name, count=1)
        for model in models().values():
            if name in (model.bedrock_id, model.name):
                return model
        if match:
            raise ServiceError("ResourceNotFoundException", f"The resource {model_id} was not found.")
        raise invalid("The provided model identifier is invalid.")

    def _recordings(self, request: ConverseRequest) -> list[tuple[int, NDArray[np.int16]]]:
        """Every recording of the conversation with the index of its message."""
        return [
            (index, decode(block.audio, f"messages.{index}.content.{position}"))
            for index, message in enumerate(request.messages)
            for position, block in enumerate(message.content)
            if block.audio is not None
        ]

    def _hear(
        self, request: ConverseRequest, recordings: list[tuple[int, NDArray[np.int16]]]
    ) -> tuple[str | None, float]:
        """What is said in the last message's recordings, None where it has none; and the seconds that it took."""
        last = len(request.messages) - 1
        current = [recording for index, recording in recordings if index == last]
        if not recordings:
            return None, 0.0
        recognise = self._recogniser()
        if recognise is None:
            raise invalid("This model doesn't support the audio content block: the service has no speech recogniser.")
        if not current:
            return None, 0.0
        registry = Registry.of(request.tools)
        with self._recognising:
            started = self._clock()
            try:
                heard = " ".join(recognise(recording, registry) for recording in current)
            except BodydoubleError as error:
                raise ServiceError("ModelErrorException", f"The speech recogniser failed: {error}") from error
            return " ".join(heard.split()), self._clock() - started

    def _digest(self, model_id: str, body: bytes) -> str:
        """The same request has the same ids in its answer, another has others."""
        return hashlib.sha256(f"{self._seed}|{model_id}|".encode() + body).hexdigest()

    def _limit(
        self, request: ConverseRequest, reply: Reply, digest: str
    ) -> tuple[str, tuple[ToolUse, ...], str, int]:
        """Text, tools, stop reason and tokens of `reply`, within the request's stop sequences and token limit."""
        config = request.inference_config
        text, stop_reason = reply.text, "tool_use" if reply.tools else "end_turn"
        cuts = [at for at in (text.find(stop) for stop in config.stop_sequences or ()) if at >= 0]
        calls = reply.tools
        if cuts:
            text, stop_reason, calls = text[: min(cuts)], "stop_sequence", ()
        budget = config.max_tokens
        used = tokens.of_text(text)
        if budget is not None and used > budget:
            text, stop_reason, calls, used = text[: budget * tokens.CHARACTERS_PER_TOKEN], "max_tokens", (), budget
        uses: list[ToolUse] = []
        for position, call in enumerate(calls):
            cost = tokens.of_text(call.name) + tokens.of_json(call.input)
            if budget is not None and used + cost > budget:
                used, stop_reason = budget, "max_tokens"
                break
            used += cost
            uses.append(ToolUse(f"tooluse_{_short(digest, position)}", call))
        return text, tuple(uses), stop_reason, max(used, 1)


def _short(digest: str, position: int) -> str:
    """22 characters, as long as Bedrock's own ids."""
    return hashlib.sha256(f"{digest}|{position}".encode()).hexdigest()[:22]


def content(completion: Completion) -> list[dict[str, Any]]:
    """A completion's content blocks in Converse's form."""
    blocks: list[dict[str, Any]] = [{"text": completion.text}] if completion.text or not completion.tool_uses else []
    for use in completion.tool_uses:
        blocks.append({"toolUse": {"toolUseId": use.id, "name": use.call.name, "input": use.call.input}})
    return blocks
