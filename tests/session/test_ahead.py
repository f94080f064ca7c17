"""Audio that is still being made: the session goes on while it waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from bodydouble.errors import InputError
from bodydouble.session.ahead import CHUNKS_AHEAD, live


def chunk(value: int) -> np.ndarray:
    return np.full(4, value, np.int16)


def test_idle_is_called_while_nothing_comes() -> None:
    more = threading.Event()
    idled = 0

    def slow() -> Iterator[np.ndarray]:
        yield chunk(1)
        assert more.wait(30)
        yield chunk(2)

    def idle() -> None:
        nonlocal idled
        idled += 1
        if idled == 3:
            more.set()
        threading.Event().wait(0.001)

    assert [int(each[0]) for each in live(slow(), idle)] == [1, 2]
    assert idled >= 3


def test_an_error_of_the_source_is_the_sessions() -> None:
    def broken() -> Iterator[np.ndarray]:
        yield chunk(1)
        raise InputError("the pipe broke", hint="mend it")

    chunks = live(broken(), lambda: threading.Event().wait(0.001))
    assert int(next(chunks)[0]) == 1
    with pytest.raises(InputError, match="the pipe broke"):
        next(chunks)


def test_it_reads_a_little_ahead_and_stops_when_the_session_does() -> None:
    given = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal given
        while True:
            given += 1
            yield chunk(given)

    chunks = live(endless(), lambda: threading.Event().wait(0.001))
    assert int(next(chunks)[0]) == 1
    (reader,) = [thread for thread in threading.enumerate() if thread.name == "bodydouble-input"]
    chunks.close()
    reader.join(30)
    assert not reader.is_alive()
    assert given <= 2 * CHUNKS_AHEAD + 2
