"""The group of all commands: a command's module is imported only when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from bodydouble import __version__
from bodydouble.cli.config import ConfiguredGroup
from bodydouble.errors import InterruptedByUserError

COMMANDS = {
    "demo": ("bodydouble.cli.demo", "demo"),
    "boards": ("bodydouble.cli.boards", "boards"),
    "stream": ("bodydouble.cli.stream", "stream"),
    "model": ("bodydouble.cli.model", "model"),
    "doctor": ("bodydouble.cli.doctor", "doctor"),
}
"""Command to the module and function that holds it: a command's imports are paid for only when it runs."""


class OutputError(Exception):
    """Standard output cannot take what is written to it; the cause says why."""


class LazyGroup(ConfiguredGroup):
    """Loads a command's module when it is called; `places` says where each is."""

    def __init__(self, *arguments: Any, places: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Commands in the order of a first acquaintance."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command."""
        if cmd_name not in self._places:
            return None
        module, name = self._places[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an interrupt and a broken output pass click's own handling, which would add lines."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedByUserError("interrupted") from error
        except OSError as error:
            raise OutputError(str(error)) from error


@click.group(
    cls=LazyGroup, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="bodydouble")
def cli() -> None:
    """A hardware-in-the-loop emulator of an AI phone.

    Options come as flags, as BODYDOUBLE_* variables, or from bodydouble.toml, in that order of precedence.
    """


SESSIONS = ("demo", "stream")
"""Commands whose `--json` is a session's result."""


def json_path(arguments: Sequence[str]) -> str | None:
    """Where the result belongs of a command line that click refuses; None where it names no place."""
    command: click.Command = cli
    rest = list(arguments)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest.pop(0)) if rest else None
        if found is None:
            return None
        command = found
    # click itself looks for the place, so that it is never what belongs to another option, such as a recording.
    context = command.make_context(command.name, rest, resilient_parsing=True, ignore_unknown_options=True)
    path: str | None = context.params.get("json_path")
    return path
