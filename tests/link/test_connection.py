"""A connection over a byte stream, against the firmware's end, on a clock that nobody waits for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bodydouble.errors import ExitCode
from bodydouble.link.connection import Connection
from bodydouble.link.core import LinkCore
from bodydouble.link.errors import (
    HandshakeError,
    NoAnswerError,
    PayloadError,
    SessionLostError,
    StreamClosedError,
    VersionError,
)
from bodydouble.link.wire import Channel, FrameType, Hello, decode, encode
from link.board_end import World, board_link
from link.board_end import link as firmware


class Cable:
    """A ByteStream to the firmware's link in the same process. Waiting moves the clock, a millisecond at most."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.got: list[tuple[int, bytes]] = []
        self.board, self.memory = board_link(lambda *frame: self.got.append(frame), world, **options)
        self.waits: list[float] = []
        self.takes = 1 << 30
        self.ended = False
        self.closed = 0
        self.answers: bytes | None = None
        self.sent = b""

    def fileno(self) -> int | None:
        return None

    def read(self, max_bytes: int) -> bytes:
        if self.answers is None and not self.ended:
            self.board.poll(0)
        data = bytes(self.memory.outgoing[:max_bytes])
        del self.memory.outgoing[:max_bytes]
        if not data and self.ended:
            raise StreamClosedError("the board closed the byte stream")
        return data

    def write(self, data: bytes) -> int:
        if self.ended:
            raise StreamClosedError("the board reads no more")
        count = min(len(data), self.takes)
        self.takes -= count
        self.sent += bytes(data[:count])
        if self.answers is None:
            self.memory.incoming += data[:count]
        elif count:
            self.memory.outgoing += self.answers
        return count

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        assert timeout_s > 0
        self.waits.append(timeout_s)
        self.world.us += max(1, int(min(timeout_s, 0.001) * 1e6))
        if self.answers is None and not self.ended:
            self.board.poll(1)

    def close(self) -> None:
        self.closed += 1


def make(**options: Any) -> tuple[Connection, Cable]:
    cable = Cable(World(), grants=((Channel.AUDIO, 4096),), **options)
    return Connection(cable, lambda: cable.world.now), cable


def test_open_send_and_receive() -> None:
    connection, cable = make(max_payload=200)
    hello = connection.open()
    assert (hello.version, connection.max_payload) == (1, 200)
    assert connection.credit(Channel.AUDIO) == 4096
    connection.send(Channel.CONTROL, b"hi")
    connection.send(Channel.AUDIO, bytes(200))
    assert connection.credit(Channel.AUDIO) == 3896
    assert connection.poll(0.01) == []
    assert cable.got == [(0, b"hi"), (2, bytes(200))]
    cable.board.send(Channel.EVENT, b"ho", 0, 2)
    (delivered,) = connection.poll(1.0)
    assert (delivered.channel, delivered.payload) == (Channel.EVENT, b"ho")
    assert delivered.at == pytest.approx(cable.world.now, abs=0.01)
    connection.drain()
    with pytest.raises(PayloadError, match=r"201 bytes is larger than the 200 .*\(shorten it") as caught:
        connection.send(Channel.CONTROL, bytes(201))
    assert caught.value.exit_code == ExitCode.USAGE


def test_poll_returns_when_credit_was_raised() -> None:
    connection, cable = make()
    connection.open()
    for _ in range(4):
        connection.send(Channel.AUDIO, bytes(1024))
    connection.poll(0.02)
    assert connection.credit(Channel.AUDIO) == 0
    cable.board.grant(Channel.AUDIO, 8192)
    began = cable.world.us
    assert connection.poll(10.0) == []
    assert cable.world.us - began < 20_000
    assert connection.credit(Channel.AUDIO) == 4096


def test_little_bulk_is_joined_but_never_stuck() -> None:
    connection, cable = make()
    connection.open()
    connection.poll(0.01)
    before = len(cable.sent)
    connection.send(Channel.AUDIO, bytes(1000))
    connection.poll(0.0)
    assert len(cable.sent) > before  # after a pause nothing is held back
    before = len(cable.sent)
    for _ in range(3):
        connection.send(Channel.AUDIO, bytes(1000))
        connection.poll(0.0)
    assert len(cable.sent) == before
    cable.world.us += 1500
    connection.poll(0.0)
    assert len(cable.sent) > before + 3000
    before = len(cable.sent)
    connection.send(Channel.CONTROL, b"now")
    connection.poll(0.0)
    assert len(cable.sent) > before


def test_a_stream_that_takes_little_at_a_time() -> None:
    connection, cable = make()
    connection.open()
    for n in range(4):
        connection.send(Channel.AUDIO, bytes([n]) * 1000)
    while len(cable.got) < 4:
        cable.takes = 7
        connection.poll(0.001)
    assert [payload[0] for _, payload in cable.got] == [0, 1, 2, 3]
    assert connection.stats.retransmits == 0


def test_an_idle_connection_sleeps() -> None:
    connection, cable = make()
    connection.open()
    cable.waits.clear()
    cable.wait = lambda readable, writable, timeout_s: (  # type: ignore[method-assign]
        cable.waits.append(timeout_s),
        setattr(cable.world, "us", cable.world.us + int(timeout_s * 1e6) + 1),
    )[0]
    assert connection.poll(5.0) == []
    assert len(cable.waits) <= 2
    assert sum(cable.waits) == pytest.approx(5.0, abs=0.01)


def test_the_clocks_are_exchanged_and_the_truth_lies_within_the_bound() -> None:
    connection, cable = make(ticks_bits=30)
    connection.open()
    bound = connection.sync_clock()
    assert 0 < bound < 3000
    assert abs(connection.clock_offset_us) <= bound
    assert connection.board_time(cable.world.us & 0x3FFFFFFF) == pytest.approx(cable.world.now, abs=bound / 1e6)


def test_lost_pings_are_replaced() -> None:
    connection, cable = make()
    connection.open()
    answering, asked = cable.board._ping, []

    def deaf(length: int) -> None:
        asked.append(length)
        if len(asked) % 2 == 0:
            answering(length)

    idle, table = cable.board._table
    cable.board._table = (idle, (*table[:4], deaf, *table[5:]))
    assert connection.sync_clock(2) < 3000
    assert len(asked) == 4


def test_nobody_answers() -> None:
    connection, cable = make()
    cable.answers = b""
    with pytest.raises(NoAnswerError, match=r"did not answer within 0.5 s \(check that its firmware runs") as caught:
        connection.open(0.5)
    assert caught.value.exit_code == ExitCode.TIMED_OUT
    assert cable.sent.count(b"HELLO") == 0
    assert 4 <= sum(bool(part) and decode(part)[0] == FrameType.HELLO for part in cable.sent.split(b"\0")) <= 6


def test_nobody_acknowledges() -> None:
    connection, cable = make()
    connection.open()
    cable.answers = b""
    connection.send(Channel.CONTROL, b"x")
    with pytest.raises(NoAnswerError, match="did not take what was sent within 1 s"):
        connection.drain(1.0)
    with pytest.raises(NoAnswerError, match="did not answer a ping within 2 s"):
        connection.sync_clock()


@pytest.mark.parametrize(
    ("version", "cure"), [(0, "put this tool's firmware on the board"), (2, "pip install -U bodydouble")]
)
def test_another_version_is_one_clear_error(version: int, cure: str) -> None:
    connection, cable = make()
    cable.answers = encode(FrameType.HELLO, 0, 0, json.dumps({"version": version}).encode())
    with pytest.raises(VersionError) as caught:
        connection.open()
    assert str(caught.value).startswith(
        f"the board's firmware speaks version {version} of the link, this tool version 1 ("
    )
    assert cure in str(caught.value)
    assert caught.value.exit_code == ExitCode.FIRMWARE


def test_the_board_says_its_version_to_a_host_of_another() -> None:
    cable = Cable(World())
    cable.write(encode(FrameType.HELLO, 0, 0, Hello(9, "s").pack()))
    frames = [decode(part) for part in cable.read(4096).split(b"\0") if part]
    assert [(kind, json.loads(payload)["version"]) for kind, _, _, payload in frames] == [
        (FrameType.HELLO, firmware.wire.VERSION)
    ]
    assert not cable.board.connected


def test_a_hello_that_cannot_be_used() -> None:
    connection, cable = make()
    cable.answers = encode(FrameType.HELLO, 0, 0, b'{"version": 1}')
    with pytest.raises(HandshakeError, match="answered with a hello without a usable session") as caught:
        connection.open()
    assert caught.value.exit_code == ExitCode.FIRMWARE


def test_noise_and_an_older_session_before_the_answer() -> None:
    connection, cable = make()
    cable.memory.outgoing += b"MicroPython v1.26\r\n" + encode(FrameType.DATA, 1, 5, b"old") + b"\0"
    cable.memory.outgoing += encode(FrameType.HELLO, 0, 0, Hello(1, "another").pack())
    connection.open()
    assert connection.poll(0.01) == []


def test_the_board_closes_the_session() -> None:
    connection, cable = make()
    connection.open()
    cable.board.close("out of patience")
    with pytest.raises(SessionLostError, match="the board closed the session: out of patience") as caught:
        connection.poll(1.0)
    assert caught.value.exit_code == ExitCode.NO_BOARD


def test_a_board_that_was_reset_says_so() -> None:
    connection, cable = make()
    connection.open()
    cable.board._mode = 0  # as after a reset: it knows no session
    connection.send(Channel.CONTROL, b"x")
    with pytest.raises(SessionLostError, match="no session"):
        connection.poll(1.0)


def test_the_last_words_are_delivered_before_the_end() -> None:
    connection, cable = make()
    connection.open()
    cable.board.send(Channel.EVENT, b"goodbye", 0, 7)
    cable.ended = True
    connection.send(Channel.CONTROL, b"x")
    assert [delivered.payload for delivered in connection.poll(1.0)] == [b"goodbye"]
    with pytest.raises(StreamClosedError):
        connection.poll(1.0)
    connection.close()
    assert cable.closed == 1


def test_close_tells_the_board() -> None:
    connection, cable = make()
    connection.open()
    connection.close("finished")
    cable.board.poll(0)
    assert cable.board.closed == "finished"
    assert cable.closed == 1
    connection.close()


@pytest.mark.parametrize("seed", range(20))
def test_noise_neither_breaks_nor_grows_the_host(seed: int, soak: bool) -> None:
    from random import Random

    random = Random(seed)
    core = LinkCore()
    core.open(0.0, "s")
    core.receive(encode(FrameType.HELLO, 0, 0, Hello(1, "s").pack()), 0.0)
    good = {bytes([n]) * n for n in range(1, 200)}
    now = 0.0
    for _ in range(50_000 if soak else 400):
        now += 0.001
        number = random.randrange(1, 200)
        kind = random.choice([2, 3, 3, 3, 4, 5, 1, random.randrange(256)])
        payload = bytes([number]) * number if kind == 3 else random.randbytes(random.randrange(40))
        data = bytearray(encode(kind, random.randrange(8), (core._next + random.choice([0, 0, 1])) & 0xFFFF, payload))
        for _ in range(random.choice([0, 0, 1, 3])):
            at = random.randrange(len(data))
            data[at : at + random.randrange(3)] = random.randbytes(random.randrange(3))
            data = data or bytearray(1)
        for event in core.receive(bytes(data) + random.randbytes(random.choice([0, 0, 50])), now):
            if isinstance(event, tuple) and len(event) == 3 and type(event).__name__ == "Delivered":
                assert event.payload in good
        core.tick(now)
        core.take(now)
    assert core.stats.bad_frames + core.stats.crc_errors > 50
    assert not core._frames
    assert len(core._urgent) <= 16
    assert len(core._deframer._rest) < 1040
