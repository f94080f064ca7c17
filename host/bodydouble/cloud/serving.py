"""uvicorn, made to stop when it is told to, to forget no connection, and to be able to drop one."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

Connections = dict[tuple[str, int], asyncio.Transport]
MAX_HEADER_BYTES = 64 * 1024
KEEP_ALIVE_S = 30
_TICK_S = 1.0  # uvicorn renews its Date header once a second


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, connections: Connections, woken: asyncio.Event) -> None:
        super().__init__(config)
        self._connections = connections
        self._woken = woken

    async def main_loop(self) -> None:
        """Wait for the word to stop instead of looking for it ten times a second."""
        while not await self.on_tick(0) and not self._woken.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _TICK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for transport in list(self._connections.values()):  # those that the grace was not enough for
            transport.abort()
        await asyncio.sleep(0)


def make_server(app: ASGIApp, connections: Connections, woken: asyncio.Event, grace_s: float) -> uvicorn.Server:
    """A server for `app` that keeps its open `connections` by client address and stops once `woken` is set."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                connections.pop(self.client, None)
            super().connection_lost(exc)

    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a client is who it is, whatever it says about itself
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(grace_s)),
    )
    return _Server(config, connections, woken)
