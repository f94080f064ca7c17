"""Bedrock's runtime API over HTTP: routes, headers, errors, streams."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bodydouble.cloud import eventstream
from bodydouble.cloud.errors import ServiceError
from bodydouble.cloud.faults import Fault, fault_error
from bodydouble.cloud.service import Completion, Service, content

MAX_BODY_BYTES = 25_000_000
"""Of a request, as for InvokeModel's body in botocore's service model."""
MAX_DRAIN_BYTES = 4 * MAX_BODY_BYTES
"""Of a body that is too large, what is read and thrown away so that the client hears the error."""
MAX_TRANSCRIPT_LENGTH = 1000
"""Characters of what was heard that go into the header."""

WARM_UP_PATH = "/bodydouble/warm-up"
"""Where a request for the model's stream is answered without being counted and without a fault."""

_PIECE = re.compile(r"\s*\S+\s*?(?=\s|$)|\s+")
_log = logging.getLogger(__name__)


class Api:
    """The operations. `drop` closes the connection of a client's address at once, without an answer.

    `requests` counts the calls of the model that came, failed ones included.
    """

    def __init__(
        self,
        service: Service,
        fault: Fault,
        executor: Executor,
        drop: Callable[[tuple[str, int] | None], None],
        seed: int = 0,
    ) -> None:
        self._service = service
        self._fault = fault
        self._executor = executor
        self._drop = drop
        self._namespace = uuid.uuid5(uuid.NAMESPACE_OID, f"bodydouble cloud {seed}")
        self._numbers = itertools.count(1)
        self.requests = 0

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/model/{model_id:path}/converse", self._answering(self._converse), methods=["POST"]),
                Route("/model/{model_id:path}/converse-stream", self._answering(self._stream), methods=["POST"]),
                Route(WARM_UP_PATH, self._warm_up, methods=["POST"]),
                Route(
                    "/{path:path}",
                    self._unknown,
                    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
                ),
            ]
        )

    def _answering(
        self, operation: Callable[[Completion, bool], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that answers by `operation` (the completion, whether its stream must break) or by an error."""

        async def endpoint(request: Request) -> Response:
            self.requests += 1
            try:
                return await self._call(request, operation)
            except ServiceError as error:
                return self._error(error)
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception:  # noqa: BLE001  the last resort of a server: a 500 instead of a broken connection
                _log.exception("the simulated service failed")
                return self._error(
                    ServiceError(
                        "InternalServerException",
                        "The system encountered an unexpected error during processing. Try your request again.",
                    )
                )

        return endpoint

    async def _call(self, request: Request, operation: Callable[[Completion, bool], Response]) -> Response:
        body = await _read_body(request)
        kind = self._fault.strike()
        if kind == "drop":
            self._drop((request.client.host, request.client.port) if request.client else None)
            return Response(status_code=503)  # nobody is there to read it
        broken = kind == "midstream" and operation == self._stream
        if kind and not broken:
            error = fault_error(kind)
            code = "ModelErrorException" if kind == "midstream" else error.code
            raise ServiceError(code, error.message)
        completion = await self._complete(request.path_params["model_id"], body)
        response = operation(completion, broken)
        response.headers.update(self._headers() | _times(completion))
        return response

    async def _complete(self, model_id: str, body: bytes) -> Completion:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._service.answer, model_id, body)

    async def _warm_up(self, request: Request) -> Response:
        # As a call of the model, but it leaves no trace: neither a count, nor a fault used up, nor an id.
        completion = await self._complete(self._service.model.bedrock_id, await _read_body(request))
        response = self._stream(completion, broken=False)
        response.headers.update(_times(completion))
        return response

    def _converse(self, completion: Completion, broken: bool) -> Response:
        del broken  # a whole answer cannot break in its middle
        return _json_response(
            {
                "metrics": {"latencyMs": completion.latency_ms},
                "output": {"message": {"content": content(completion), "role": "assistant"}},
                "stopReason": completion.stop_reason,
                "usage": completion.usage,
            }
        )

    def _stream(self, completion: Completion, broken: bool) -> Response:
        frames = itertools.islice(events(completion), 2) if broken else events(completion)
        payload = b"".join(frames)
        if broken:
            error = fault_error("midstream")
            payload += eventstream.exception(
                "modelStreamErrorException",
                {"message": error.message, "originalMessage": error.message, "originalStatusCode": 500},
            )

        # One piece: nothing is waited for between events, and a piece each would cost a system call each.
        async def body() -> Any:
            yield payload

        return StreamingResponse(body(), media_type=eventstream.CONTENT_TYPE)

    async def _unknown(self, request: Request) -> Response:
        return self._error(
            ServiceError("UnknownOperationException", f"There is no operation {request.method} {request.url.path}.")
        )

    def _error(self, error: ServiceError) -> Response:
        response = _json_response({"message": error.message}, error.status)
        response.headers.update(self._headers() | {"x-amzn-ErrorType": error.code})
        return response

    def _headers(self) -> dict[str, str]:
        return {"x-amzn-RequestId": str(uuid.uuid5(self._namespace, str(next(self._numbers))))}


def events(completion: Completion) -> Iterator[bytes]:
    """ConverseStream's frames in the real order: text has no contentBlockStart, a tool's input is a JSON string."""
    yield eventstream.event("messageStart", {"role": "assistant"})
    for index, block in enumerate(content(completion)):
        if "toolUse" in block:
            use = block["toolUse"]
            start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            yield eventstream.event("contentBlockStart", {"contentBlockIndex": index, "start": start})
            deltas: list[dict[str, Any]] = [{"toolUse": {"input": json.dumps(use["input"])}}]
        else:
            deltas = [{"text": piece} for piece in _PIECE.findall(block["text"]) or [""]]
        for delta in deltas:
            yield eventstream.event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
        yield eventstream.event("contentBlockStop", {"contentBlockIndex": index})
    yield eventstream.event("messageStop", {"stopReason": completion.stop_reason})
    metadata = {"metrics": {"latencyMs": completion.latency_ms}, "usage": completion.usage}
    yield eventstream.event("metadata", metadata)


async def _read_body(request: Request) -> bytes:
    """The request's body. Raises ServiceError beyond MAX_BODY_BYTES, once the client has sent the rest."""
    body = bytearray()
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= MAX_BODY_BYTES:
            body += chunk
        else:
            body.clear()
        if length > MAX_DRAIN_BYTES:
            break
    if length > MAX_BODY_BYTES:
        raise ServiceError(
            "RequestEntityTooLargeException", f"The request's body is larger than {MAX_BODY_BYTES} bytes."
        )
    return bytes(body)


def _times(completion: Completion) -> dict[str, str]:
    """The emulation's own headers; times in microseconds."""
    times = completion.times
    headers = {
        f"x-bodydouble-{name}-us": str(round(seconds * 1e6))
        for name, seconds in (
            ("queue", times.queue_s),
            ("prefill", times.prefill_s),
            ("decode", times.decode_s),
            ("first-token", times.first_token_s),
            ("service", times.service_s),
            ("recognise", times.recognise_s),
        )
    }
    if completion.transcript is not None:
        headers["x-bodydouble-transcript"] = quote(
            completion.transcript[:MAX_TRANSCRIPT_LENGTH], safe="", errors="replace"
        )
    return headers


def _json_response(body: dict[str, Any], status: int = 200) -> Response:
    data = json.dumps(body, separators=(",", ":"), allow_nan=False)
    return Response(data, status_code=status, media_type="application/json")
