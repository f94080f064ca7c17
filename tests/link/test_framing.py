"""Frames out of a byte stream that arrives in any pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bodydouble.link.framing import Deframer
from bodydouble.link.wire import MAX_ENCODED


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


@given(
    st.lists(st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\0", b"\1"))),
    st.lists(st.integers(0, 5000)),
)
def test_any_split_gives_the_same_frames(frames: list[bytes], cuts: list[int]) -> None:
    deframer = Deframer()
    data = b"".join(frame + b"\0" for frame in frames)
    got = [frame for piece in _pieces(data, cuts) for frame in deframer.feed(piece)]
    assert got == frames
    assert deframer.too_long == 0


@given(st.binary(max_size=6000), st.lists(st.integers(0, 6000)), st.integers(4, 64))
def test_what_is_too_long_is_dropped_the_same_way_for_any_split(data: bytes, cuts: list[int], limit: int) -> None:
    deframer = Deframer(limit)
    got = [frame for piece in _pieces(data, cuts) for frame in deframer.feed(piece)]
    whole = data.split(b"\0")
    assert got == [frame for frame in whole[:-1] if 0 < len(frame) < limit]
    assert deframer.too_long == sum(len(frame) >= limit for frame in whole)


def test_a_peer_that_never_delimits_costs_no_memory() -> None:
    deframer = Deframer()
    for _ in range(1000):
        assert deframer.feed(b"x" * 1000) == []
        assert len(deframer._rest) < MAX_ENCODED
    assert deframer.too_long == 1
    assert deframer.feed(b"\0good\0") == [b"good"]
