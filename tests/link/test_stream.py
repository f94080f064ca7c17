"""The byte streams: pipes, and ports by pyserial (a PTY, a loop without a descriptor)."""

from __future__ import annotations

import contextlib
import os
import tty
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bodydouble.errors import ExitCode
from bodydouble.link.errors import PortError, StreamClosedError
from bodydouble.link.stream import ByteStream, PipeStream, SerialStream


class Far(NamedTuple):
    """The other end's descriptors."""

    reads: int
    writes: int


@pytest.fixture(params=["pipe", "pty"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[ByteStream, Far]]:
    if request.param == "pipe":
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        stream: ByteStream = PipeStream(ours_in, ours_out)
        far = Far(theirs_in, theirs_out)
    else:
        primary, secondary = os.openpty()
        tty.setraw(primary)
        stream = SerialStream(os.ttyname(secondary))
        os.close(secondary)
        far = Far(primary, primary)
    yield stream, far
    stream.close()
    for fd in set(far):
        with contextlib.suppress(OSError):  # the test may have closed it
            os.close(fd)


ALL_BYTES = bytes(range(256))


def test_bytes_cross_unchanged_both_ways(ends: tuple[ByteStream, Far]) -> None:
    stream, far = ends
    assert stream.read(100) == b""
    os.write(far.writes, ALL_BYTES)
    stream.wait(True, False, 1.0)
    got = b""
    while len(got) < 256:
        got += stream.read(100)
    assert got == ALL_BYTES
    assert stream.write(ALL_BYTES) == 256
    assert os.read(far.reads, 1000) == ALL_BYTES
    assert isinstance(stream.fileno(), int)


def test_a_peer_that_reads_nothing_takes_only_so_much(ends: tuple[ByteStream, Far]) -> None:
    stream, far = ends
    total = 0
    while wrote := stream.write(bytes(4096)):
        total += wrote
        assert total < 1 << 22
    stream.wait(False, True, 0.0)
    read = 0
    while read < total:
        read += len(os.read(far.reads, 65536))
    stream.wait(False, True, 1.0)
    assert stream.write(b"x") == 1


def test_the_end_is_an_error(ends: tuple[ByteStream, Far]) -> None:
    stream, far = ends
    for fd in set(far):
        os.close(fd)
    stream.wait(True, False, 1.0)
    with pytest.raises(StreamClosedError) as caught:
        stream.read(10)
    assert caught.value.exit_code == ExitCode.NO_BOARD


def test_what_was_written_before_the_end_is_read_first() -> None:
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    stream = PipeStream(ours_in, ours_out)
    os.write(theirs_out, b"last words")
    os.close(theirs_out)
    os.close(theirs_in)
    with pytest.raises(StreamClosedError, match="the board reads no more"):
        stream.write(b"x")
    assert stream.read(100) == b"last words"
    with pytest.raises(StreamClosedError, match="the board closed the byte stream"):
        stream.read(100)
    stream.close()
    stream.close()
    with pytest.raises(StreamClosedError, match="the byte stream is closed"):
        stream.read(1)
    stream.wait(True, True, 10.0)  # returns at once


def test_a_port_without_a_descriptor() -> None:
    stream = SerialStream("loop://")
    assert stream.fileno() is None
    assert stream.read(10) == b""
    stream.wait(True, False, 0.0)
    assert stream.write(ALL_BYTES) == 256
    stream.wait(True, False, 1.0)
    assert stream.read(1000) == ALL_BYTES
    stream.close()
    stream.close()


def test_a_port_that_does_not_exist() -> None:
    with pytest.raises(PortError, match=r"cannot open /dev/none: .*name a port that exists") as caught:
        SerialStream("/dev/none")
    assert caught.value.exit_code == ExitCode.USAGE
