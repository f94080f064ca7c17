"""`--board TYPE[:WHICH]`, taken apart."""

from __future__ import annotations

import pytest

from bodydouble.boards.errors import SelectorError
from bodydouble.boards.selector import Selector
from bodydouble.errors import ExitCode


@pytest.mark.parametrize(
    ("text", "kind", "which", "port"),
    [
        ("unix", "unix", "", False),
        ("pico-sim:kitchen", "pico-sim", "kitchen", False),
        ("pico:E660583883724A32", "pico", "E660583883724A32", False),
        ("pico:/dev/ttyACM0", "pico", "/dev/ttyACM0", True),
        ("pico:COM3", "pico", "COM3", True),
        ("pico:com12", "pico", "com12", True),
        ("pico:COMET", "pico", "COMET", False),
        (r"pico:\\.\COM30", "pico", r"\\.\COM30", True),
        ("pi:socket://raspberry.local:7000", "pi", "socket://raspberry.local:7000", True),
        ("pi:ssh://pi@raspberry.local", "pi", "ssh://pi@raspberry.local", True),
        ("pi:rfc2217://[::1]:4000", "pi", "rfc2217://[::1]:4000", True),
    ],
)
def test_taken_apart_and_put_together(text: str, kind: str, which: str, port: bool) -> None:
    selector = Selector.parse(text)
    assert (selector.type, selector.which, selector.is_port) == (kind, which, port)
    assert str(selector) == text


@pytest.mark.parametrize("text", ["pico:", "pico:  ", "pico:a\nb", "pico:\x1b[2J"])
def test_nothing_after_the_colon(text: str) -> None:
    with pytest.raises(SelectorError, match=r"names no board after the colon \(leave the colon out, or") as caught:
        Selector.parse(text)
    assert caught.value.exit_code == ExitCode.USAGE


def test_an_instance_is_called_after_its_type_or_as_said() -> None:
    assert Selector.parse("pico-sim").instance == "pico-sim"
    assert Selector.parse("pico-sim:Left.hand_2").instance == "Left.hand_2"


@pytest.mark.parametrize("which", ["../../etc/passwd", ".hidden", "/dev/ttyACM0", "a b", "x" * 33, "ä"])
def test_a_name_that_no_file_can_bear(which: str) -> None:
    with pytest.raises(SelectorError, match="cannot name a pico-sim board") as caught:
        _ = Selector("pico-sim", which).instance
    assert caught.value.exit_code == ExitCode.USAGE
