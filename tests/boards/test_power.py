"""Switching power: the commands that are run, and what is said where they fail."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from bodydouble.boards.errors import PowerError
from bodydouble.boards.power import CommandPower, hub_power
from bodydouble.errors import ExitCode, InputError


class Runner:
    def __init__(self, code: int = 0, said: str = "") -> None:
        self.code, self.said = code, said
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        assert how["timeout"] and not how["check"]
        return subprocess.CompletedProcess(command, self.code, "", self.said)


def test_a_command_of_the_users() -> None:
    runner = Runner()
    power = CommandPower("relay 'port 3' --to={state}", runner)
    power.off()
    power.on()
    assert runner.commands == [["relay", "port 3", "--to=off"], ["relay", "port 3", "--to=on"]]


def test_a_hub() -> None:
    runner = Runner()
    hub_power("1-1.4:2", lambda name: "/usr/sbin/" + name, runner).off()
    assert runner.commands == [["/usr/sbin/uhubctl", "-l", "1-1.4", "-p", "2", "-a", "off"]]


@pytest.mark.parametrize(
    ("where", "said"),
    [("1-1", r"names no port of a hub \(as uhubctl lists them: 1-1:2\)"), (":2", "no port"), ("1:x", "no")],
)
def test_a_hub_that_is_none(where: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        hub_power(where, lambda name: name)


def test_a_hub_without_its_program() -> None:
    with pytest.raises(PowerError, match=r"uhubctl is not to be found \(apt-get install uhubctl") as caught:
        hub_power("1-1:2", lambda name: None)
    assert caught.value.exit_code == ExitCode.NO_BOARD


@pytest.mark.parametrize(
    ("command", "said"),
    [("relay", r"does not say where on or off goes \(write \{state\} there\)"), ("relay '{state}", "is no command")],
)
def test_a_command_that_is_none(command: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        CommandPower(command)


def test_a_command_that_fails() -> None:
    with pytest.raises(PowerError, match=r"relay could not switch the power off: no such port \(try it by hand\)"):
        CommandPower("relay {state}", Runner(1, "usage\nno such port\n")).off()
    with pytest.raises(PowerError, match="exit code 3"):
        CommandPower("relay {state}", Runner(3)).off()
    with pytest.raises(PowerError, match="/no/such/relay could not be run"):
        CommandPower("/no/such/relay {state}").off()
