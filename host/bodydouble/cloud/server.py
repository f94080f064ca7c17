"""The simulated cloud as a context manager: a server on a free loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bodydouble.cloud.errors import CloudStartError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import uvicorn

    from bodydouble.cloud.app import Api
    from bodydouble.cloud.service import Recognise, Service

LOOPBACK = "127.0.0.1"
WORKERS = 4
"""Requests that are worked on at once; the others wait in line."""
BACKLOG = 512
GRACE_S = 1.0
"""How long `stop` waits for requests that are being answered."""
_READY_TIMEOUT_S = 30.0
_THROWAWAY = {
    "messages": [{"role": "user", "content": [{"text": "turn on the light"}]}],
    "toolConfig": {
        "tools": [
            {
                "toolSpec": {
                    "name": "set_power",
                    "inputSchema": {"json": {"type": "object", "properties": {"name": {"enum": ["light"]}}}},
                }
            }
        ]
    },
}

_log = logging.getLogger(__name__)


class CloudServer:
    """The service; `start` and `stop` it, or use it in a `with` statement. Any thread may do either.

    `fleet` is `CHIP:N`; `model` a name of the catalogue or a Bedrock id; `recognise` turns audio blocks into words
    (without it they are refused), or `recogniser`, asked at each request, gives what does; `fault` is `KIND` or
    `KIND:N` of `bodydouble.cloud.faults`; `seed` goes into every id. Raises InputError where one of them cannot be
    used, at once.

    Connections are taken as soon as `start` returns; the first answer waits for imports and sentences, unless
    `prewarm` has loaded them.
    """

    def __init__(
        self,
        fleet: str = "trn2:16",
        model: str = "llama-3.3-70b",
        recognise: Recognise | None = None,
        fault: str | None = None,
        seed: int = 0,
        *,
        recogniser: Callable[[], Recognise | None] | None = None,
    ) -> None:
        from bodydouble.cloud.accelerator import Fleet  # noqa: PLC0415  keeps the import of this module light
        from bodydouble.cloud.brain.rules import RuleBrain  # noqa: PLC0415
        from bodydouble.cloud.catalogue import find_model  # noqa: PLC0415
        from bodydouble.cloud.faults import Fault  # noqa: PLC0415
        from bodydouble.cloud.service import Service  # noqa: PLC0415

        self._fault = Fault.parse(fault)
        self._brain = RuleBrain()
        self._seed = seed
        self._service: Service = Service(
            Fleet.parse(fleet), find_model(model), self._brain, recogniser or (lambda: recognise), seed=seed
        )
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._serving: _Serving | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens, for `endpoint_url`. Raises CloudStartError when it is not started."""
        if not self._port:
            raise CloudStartError("the simulated cloud is not started", hint="call start() first")
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def model_id(self) -> str:
        """The Bedrock id of the model that it was made for."""
        return self._service.model.bedrock_id

    @property
    def requests(self) -> int:
        """Calls of the model that came in since the last `start`, failed ones included."""
        api = self._serving.api if self._serving else None
        return api.requests if api else 0

    def __enter__(self) -> CloudServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and serve in a thread; harmless when it does already. Raises CloudStartError."""
        with self._lock:
            if self._thread is not None:
                return
            # The protocol is named because asyncio switches Nagle's algorithm off only where it is: 40 ms an answer.
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            try:
                listener.bind((LOOPBACK, 0))
                listener.listen(BACKLOG)
            except OSError as error:
                listener.close()
                raise CloudStartError(
                    f"the simulated cloud cannot listen on {LOOPBACK}: {error.strerror}",
                    hint="check that the loopback interface is up",
                ) from error
            self._port = int(listener.getsockname()[1])
            self._serving = _Serving(self._service, self._fault, listener, self._seed)
            self._thread = threading.Thread(target=self._serving.run, name="bodydouble-cloud", daemon=True)
            self._thread.start()

    def prewarm(self) -> None:
        """Load what the first answer would wait for, now: about half a second. Before `start`, the sentences alone.

        A request goes all the way through a started server, and counts neither for `requests` nor for the fault.
        """
        self._brain.prewarm()
        port = self._port
        if not port:
            return
        from http.client import HTTPConnection, HTTPException  # noqa: PLC0415

        from bodydouble.cloud.app import WARM_UP_PATH  # noqa: PLC0415  slow to import: starlette

        connection = HTTPConnection(LOOPBACK, port, timeout=_READY_TIMEOUT_S)
        # Where it is stopped meanwhile there is nothing to warm.
        with contextlib.suppress(OSError, HTTPException), contextlib.closing(connection):
            connection.request("POST", WARM_UP_PATH, json.dumps(_THROWAWAY))
            connection.getresponse().read()

    def stop(self) -> None:
        """Stop serving and close every connection; harmless when it is stopped already."""
        with self._lock:
            if self._serving is None or self._thread is None:
                return
            self._serving.stop()
            self._thread.join()
            self._thread = None
            self._port = 0


class _Serving:
    """One run of the server: everything that lives in its thread."""

    def __init__(self, service: Service, fault: Any, listener: socket.socket, seed: int) -> None:
        self._service = service
        self._fault = fault
        self._listener = listener
        self._seed = seed
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None
        self._lock = threading.Lock()
        self.api: Api | None = None

    def run(self) -> None:
        """The thread."""
        executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="bodydouble-cloud-work")
        try:
            asyncio.run(self._serve(executor))
        except Exception:  # noqa: BLE001  the last resort of a thread: whoever waits for an answer finds it closed
            _log.exception("the simulated cloud broke down")
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
            self._listener.close()

    def stop(self) -> None:
        """Ask the thread to end; any thread may call it, at any time."""
        self._stop.set()
        with self._lock:
            if self._loop is not None and self._woken is not None:
                self._loop.call_soon_threadsafe(self._woken.set)

    async def _serve(self, executor: ThreadPoolExecutor) -> None:
        woken = asyncio.Event()
        with self._lock:
            self._loop, self._woken = asyncio.get_running_loop(), woken
        try:
            if self._stop.is_set():
                return
            from bodydouble.cloud.app import Api  # noqa: PLC0415  slow to import: starlette
            from bodydouble.cloud.serving import make_server  # noqa: PLC0415  slow to import: uvicorn

            connections: dict[tuple[str, int], asyncio.Transport] = {}

            def drop(client: tuple[str, int] | None) -> None:
                transport = connections.get(client) if client else None
                if transport is not None:
                    transport.abort()

            self.api = Api(self._service, self._fault, executor, drop, self._seed)
            server: uvicorn.Server = make_server(self.api.application(), connections, woken, GRACE_S)
            await server.serve(sockets=[self._listener])
        finally:
            with self._lock:
                self._loop = self._woken = None
