"""The host's own count of what left the board."""

from __future__ import annotations

import pytest

from bodydouble.errors import ExitCode, ExpectationError
from bodydouble.session.privacy import Custody


def entry(start: int, stop: int) -> dict[str, object]:
    return {"kind": "audio", "reason": "alexa", "from": start, "to": stop, "bytes": (stop - start) * 320}


def test_a_request_within_its_bounds() -> None:
    custody = Custody()
    custody.opened()
    custody.arrived(320 * 100)
    line = custody.closed(entry(156, 256), t_wake=1.86, t_decided=3.0)
    assert line == {
        "kind": "audio",
        "reason": "alexa",
        "destination": "phone",
        "from_s": 1.56,
        "to_s": 2.56,
        "bytes": 32000,
    }
    custody.forwarded("text", "alexa", 24, 0)
    assert [one["destination"] for one in custody.ledger] == ["phone", "cloud"]
    assert custody.received == 32000
    custody.check()


def test_bytes_that_arrive_before_any_wake_fail_the_session() -> None:
    custody = Custody()
    custody.arrived(640)
    with pytest.raises(ExpectationError) as caught:
        custody.check()
    assert str(caught.value) == (
        "640 bytes left the board before a wake allowed it "
        "(the firmware's egress gate is broken: see privacy.ledger in the result)"
    )
    assert caught.value.exit_code == ExitCode.EXPECTATION


def test_audio_older_than_the_pre_roll_counts_as_before_the_wake() -> None:
    custody = Custody()
    custody.opened()
    custody.arrived(320 * 100)
    custody.closed(entry(154, 254), t_wake=1.86, t_decided=3.0)
    assert custody.bytes_before_wake == 2 * 320


def test_bytes_between_requests_count_as_before_the_wake() -> None:
    custody = Custody()
    custody.opened()
    custody.arrived(320)
    custody.closed(entry(200, 201), t_wake=2.0, t_decided=3.0)
    custody.arrived(320)
    assert custody.bytes_before_wake == 320


def test_a_ledger_that_disagrees_with_what_arrived_is_not_believed() -> None:
    custody = Custody()
    custody.opened()
    custody.arrived(640)
    with pytest.raises(ExpectationError, match="ledger says 320 bytes left it, 640 arrived"):
        custody.closed(entry(200, 201), t_wake=2.0, t_decided=3.0)


def test_nothing_said_leaves_no_line() -> None:
    custody = Custody()
    custody.opened()
    assert (
        custody.closed(
            {"kind": "audio", "reason": "alexa", "from": 0, "to": 0, "bytes": 0}, t_wake=2.0, t_decided=3.0
        )
        is None
    )
    assert custody.ledger == []


@pytest.mark.parametrize(("start", "stop", "count"), [(200, 210, 32_000), (200, 400, 64_000)])
def test_a_ledger_that_contradicts_itself_is_not_believed(start: int, stop: int, count: int) -> None:
    custody = Custody()
    custody.opened()
    custody.arrived(count)
    with pytest.raises(ExpectationError, match="ledger contradicts itself"):
        custody.closed({**entry(start, stop), "bytes": count}, t_wake=2.0, t_decided=3.0)
