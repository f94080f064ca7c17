"""Switching a board's power: a hub that can, by uhubctl, or a command of the user's."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from typing import Literal

from bodydouble.boards.errors import PowerError
from bodydouble.errors import InputError

_TIMEOUT_S = 20.0
State = Literal["on", "off"]


class CommandPower:
    """Power by a command in which `{state}` stands for `on` or `off`."""

    def __init__(self, command: str, run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise InputError(f"{command!r} is no command: {error}", hint="mind the quotes") from error
        if not self._words or "{state}" not in command:
            raise InputError(f"{command!r} does not say where on or off goes", hint="write {state} there")
        self._run = run

    def on(self) -> None:
        """Run it with `on`."""
        self._switch("on")

    def off(self) -> None:
        """Run it with `off`."""
        self._switch("off")

    def _switch(self, state: State) -> None:
        words = [word.replace("{state}", state) for word in self._words]
        try:
            done = self._run(words, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise PowerError(f"{words[0]} could not be run: {error}", hint="see that it is installed") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            why = said[-1] if said else f"exit code {done.returncode}"
            raise PowerError(f"{words[0]} could not switch the power {state}: {why}", hint="try it by hand")


def hub_power(
    where: str,
    which: Callable[[str], str | None] = shutil.which,
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
) -> CommandPower:
    """Power by `uhubctl`; `where` is HUB:PORT as it lists them, such as 1-1:2."""
    hub, colon, port = where.rpartition(":")
    if not colon or not hub or not port.isdigit():
        raise InputError(f"{where!r} names no port of a hub", hint="as uhubctl lists them: 1-1:2")
    program = which("uhubctl")
    if program is None:
        raise PowerError("uhubctl is not to be found", hint="apt-get install uhubctl, or use --power COMMAND")
    return CommandPower(f"{shlex.quote(program)} -l {shlex.quote(hub)} -p {port} -a {{state}}", run)
