"""The two ends against each other: whatever the wire does, the same frames arrive, in order and once."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodydouble.link.wire import Channel
from link.pair import Pair, Wire


def _traffic(random: Random, count: int, channels: tuple[int, ...], largest: int) -> list[tuple[int, bytes]]:
    return [(random.choice(channels), random.randbytes(random.randrange(largest + 1))) for _ in range(count)]


def _by_channel(frames: list[tuple[int, bytes]]) -> dict[int, list[bytes]]:
    out: dict[int, list[bytes]] = {}
    for channel, payload in frames:
        out.setdefault(channel, []).append(payload)
    return out


DOWN = (Channel.CONTROL, Channel.AUDIO)
UP = (Channel.CONTROL, Channel.EVENT, Channel.UTTERANCE)


def _run(seed: int, rates: dict[str, float], count: int = 30, largest: int = 300, first: int | None = None) -> Pair:
    random = Random(seed)
    first_host, first_board = random.randrange(65536), random.randrange(65536)
    if first is not None:
        first_host = first_board = first
    down, up = _traffic(random, count, DOWN, largest), _traffic(random, count, UP, largest)
    pair = Pair(Wire(random, **rates), Wire(random, **rates), first_host=first_host, first_board=first_board)
    pair.exchange(down, up)
    # Control overtakes queued bulk on its way down, so order holds per channel there; upwards it is one order.
    assert _by_channel(pair.at_board) == _by_channel(down)
    assert pair.at_host == up
    return pair


def test_a_clean_wire_needs_no_second_try() -> None:
    pair = _run(1, {}, count=200, largest=1024)
    assert pair.core.stats.retransmits == pair.core.stats.timeouts == 0
    counters = pair.board.counters()
    assert counters["retransmits"] == counters["timeouts"] == counters["duplicates"] == counters["gaps"] == 0


def test_sequence_numbers_wrap() -> None:
    pair = _run(2, {}, count=700, largest=10, first=65000)
    assert pair.core._next < 1000
    assert pair.board._next < 1000


def test_the_whole_number_space(soak: bool) -> None:
    pair = _run(3, {"drop": 1e-4}, count=140_000 if soak else 70_000, largest=0)
    assert pair.to_board.faults > 100


@given(
    st.integers(0, 2**32),
    st.fixed_dictionaries(
        {
            "drop": st.sampled_from([0, 1e-4, 1e-3, 5e-3]),
            "flip": st.sampled_from([0, 1e-4, 1e-3]),
            "double": st.sampled_from([0, 1e-4, 1e-3]),
            "cut": st.sampled_from([0, 0.02, 0.2]),
        }
    ),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_mix_of_faults_delivers_the_same_frames(seed: int, rates: dict[str, float]) -> None:
    _run(seed, rates)


def test_many_seeds(soak: bool) -> None:
    faults = 0
    for seed in range(10_000 if soak else 200):
        random = Random(seed)
        rates = {name: random.choice([0, 3e-4, 2e-3]) for name in ("drop", "flip", "double")}
        pair = _run(seed, {**rates, "cut": random.choice([0, 0.05])}, count=20)
        faults += pair.to_board.faults + pair.to_host.faults
    assert faults > 1000


@pytest.mark.parametrize("direction", ["down", "up"])
def test_one_lost_frame_is_recovered_within_50_ms(direction: str) -> None:
    random = Random(5)
    pair = Pair(Wire(random), Wire(random))
    pair.exchange([(Channel.CONTROL, b"warm up")] * 20, [(Channel.EVENT, b"warm up")] * 20)
    lossy = Wire(random, cut=1.0)
    for _ in range(2):  # the second time it is the last frame, which no later one can show to be missing
        began = pair.world.us
        if direction == "down":
            pair.to_board, kept = lossy, pair.to_board
            pair.core.send(Channel.CONTROL, b"lost")
            pair.step()
            pair.to_board = kept
        else:
            pair.to_host, kept = lossy, pair.to_host
            assert pair.board.send(Channel.EVENT, b"lost", 0, 4)
            pair.step()
            pair.to_host = kept
        pair.until(lambda: not (pair.core.pending or pair.board.pending))
        assert pair.world.us - began < 50_000


def test_control_overtakes_bulk_that_is_queued() -> None:
    random = Random(6)
    pair = Pair(Wire(random), Wire(random))
    pair.core.open(pair.world.now, "s")
    pair.until(lambda: pair.core.credit(Channel.AUDIO) > 0)
    for n in range(200):
        pair.core.send(Channel.AUDIO, bytes([n]) * 1000)
    pair.core.send(Channel.CONTROL, b"first")
    pair.until(lambda: not pair.core.pending)
    assert pair.at_board[0] == (Channel.CONTROL, b"first")
    assert [payload[0] for channel, payload in pair.at_board if channel == Channel.AUDIO] == list(range(200))


def test_credit_is_never_exceeded() -> None:
    random = Random(7)
    pair = Pair(Wire(random, drop=1e-3), Wire(random, drop=1e-3))
    pair.core.open(pair.world.now, "s")
    pair.until(lambda: pair.core.credit(Channel.AUDIO) > 0)
    granted = pair.board.grant
    pair.board.grant = lambda channel, total: None  # the application takes its time
    assert pair.core.credit(Channel.AUDIO) == 4096
    for _ in range(20):
        pair.core.send(Channel.AUDIO, bytes(1000))
    assert pair.core.credit(Channel.AUDIO) == 0
    pair.until(lambda: len(pair.at_board) == 4)
    for _ in range(300):
        pair.step()
    assert len(pair.at_board) == 4
    granted(Channel.AUDIO, 20_000)
    pair.until(lambda: not pair.core.pending)
    assert len(pair.at_board) == 20
    assert pair.board.connected


def test_a_session_goes_on_over_a_new_stream() -> None:
    random = Random(8)
    pair = Pair(Wire(random), Wire(random, cut=1.0))
    pair.to_host = Wire(random)
    pair.exchange([(Channel.CONTROL, b"one")], [(Channel.EVENT, b"eins")])
    # The cable goes: what is written from now on is lost, both ways.
    pair.core.send(Channel.CONTROL, b"two")
    pair.core.take(pair.world.now)
    pair.board.send(Channel.EVENT, b"zwei", 0, 4)
    pair.stream.outgoing.clear()
    pair.stream.incoming += b"\x09half"
    pair.core.reopen(pair.world.now)
    pair.until(lambda: not (pair.core.pending or pair.board.pending))
    assert pair.at_board == [(Channel.CONTROL, b"one"), (Channel.CONTROL, b"two")]
    assert pair.at_host == [(Channel.EVENT, b"eins"), (Channel.EVENT, b"zwei")]
