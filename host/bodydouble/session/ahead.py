"""Waits for audio that somebody is still making (a pipe, a microphone) without leaving the board alone meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNKS_AHEAD = 4


def live(chunks: Iterable[NDArray[np.int16]], idle: Callable[[], None]) -> Iterator[NDArray[np.int16]]:
    """`chunks`, read on a thread of its own; `idle` is called again and again while none has come.

    It must wait a little by itself. What `chunks` raises is raised here. The thread is a daemon, at most
    CHUNKS_AHEAD chunks ahead: one that waits for ever for its next chunk ends with the process.
    """
    ready: queue.Queue[NDArray[np.int16] | BaseException | None] = queue.Queue(CHUNKS_AHEAD)
    stopped = threading.Event()

    def read() -> None:
        end: BaseException | None = None
        try:
            for chunk in chunks:
                ready.put(chunk)
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised on the session's thread
            end = error
        ready.put(end)

    threading.Thread(target=read, name="bodydouble-input", daemon=True).start()
    try:
        while True:
            try:
                item = ready.get_nowait()
            except queue.Empty:
                idle()
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        while not ready.empty():  # let a reader that waits for room see that it is over
            ready.get_nowait()
