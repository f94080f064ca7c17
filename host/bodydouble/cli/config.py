"""Options from `bodydouble.toml`: the lowest of the three sources, below flags and BODYDOUBLE_* variables."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from bodydouble.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "bodydouble.toml"
AMEND = "correct it there, or remove it"


class SettingsError(InputError):
    """What `bodydouble.toml` says cannot be used."""


def read(path: Path) -> dict[str, Any]:
    """The file's tables; empty where there is none. Raises SettingsError naming the line that is wrong."""
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise SettingsError(f"{path}: {error}", hint="correct the file, or move it away") from error
    return tables


def check(file: dict[str, Any], commands: dict[str, click.Command]) -> None:
    """Raise SettingsError where the file has a table that is no command, or sets what no command has."""
    everywhere = {name for command in commands.values() for name in options_of(command)}
    for key, value in file.items():
        if key in commands:
            if not isinstance(value, dict):
                what = f"{key} is a table of options, not {_shown(value)}"
                raise SettingsError(f"{FILE}: {what}", hint=f"write [{key}] and below it what it sets")
        elif _name(key) in everywhere:
            if isinstance(value, dict):
                raise SettingsError(f"{FILE}: {key} is an option, not a table", hint=f"write {key} = and its value")
        elif isinstance(value, dict):
            raise SettingsError(f"{FILE}: there is no command {key!r}", hint=_meant(key, commands, "tables may be"))
        else:
            raise SettingsError(f"{FILE}: there is no option {key!r}", hint=_meant(key, everywhere, "it may set"))


def defaults_for(command: click.Command, file: dict[str, Any]) -> dict[str, Any]:
    """A checked file's values for one command: `board = "unix"` at the top is for all, `[stream]` for one."""
    own = file.get(command.name or "", {})
    if isinstance(command, click.Group):
        return _defaults_for_group(command, file, own)
    options = options_of(command)
    for key in own:
        if _name(key) not in options:
            what = f"{FILE}: [{command.name}] has no option {key!r}"
            raise SettingsError(what, hint=_meant(key, options, "it may set"))
    general = {key: value for key, value in file.items() if _name(key) in options}
    values = {}
    for key, value in [*general.items(), *own.items()]:
        option = options[_name(key)]
        values[str(option.name)] = _value(key, value, option, command)
    return values


def _defaults_for_group(group: click.Group, file: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    # `[model]` holds for all of its commands that have such an option, `[model.run]` for one.
    commands = _commands(group)
    shared = {key: value for key, value in own.items() if not isinstance(value, dict)}
    for key, value in own.items():
        if isinstance(value, dict) and key not in commands:
            what = f"{FILE}: there is no command {group.name} {key!r}"
            raise SettingsError(what, hint=_meant(key, commands, "tables may be"))
        if key in shared and _name(key) not in options_of(group):
            what = f"{FILE}: [{group.name}] has no option {key!r}"
            raise SettingsError(what, hint=_meant(key, options_of(group), "it may set"))
    return {
        name: defaults_for(command, {**file, **shared, name: own.get(name, {})}) for name, command in commands.items()
    }


def _commands(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options_of(command: click.Command) -> dict[str, click.Option]:
    """A command's options by what follows the dashes of their flags; a group's are those of all its commands."""
    if isinstance(command, click.Group):
        return {flag: option for one in _commands(command).values() for flag, option in options_of(one).items()}
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {flag[2:]: option for option in options for flag in option.opts if flag.startswith("--")}


def _name(key: str) -> str:
    return key.replace("_", "-")


def _meant(key: str, known: Iterable[str], choice: str) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(_name(key), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"{choice} {', '.join(known)}"


def _value(key: str, value: Any, option: click.Option, command: click.Command) -> Any:
    """What click takes as the default; refused here, because click's own message would not name the file."""
    several = value if option.multiple and isinstance(value, list) else [value]
    for one in several:
        # Of these click would make text or a number without a word, or a traceback.
        whole = isinstance(option.type, (type(click.INT), click.IntRange))
        fits = isinstance(one, bool) == option.is_flag and not (whole and isinstance(one, float))
        if not fits or not isinstance(one, (str, int, float)):
            kind = "true or false" if option.is_flag else "a whole number" if whole else "a single value"
            raise SettingsError(f"{FILE}: {key} is {kind}, not {_shown(one)}", hint=AMEND)
    given = several if option.multiple else value
    try:
        option.type_cast_value(click.Context(command), given)
    except click.BadParameter as error:
        text = " ".join(error.message.split()).rstrip(".")
        raise SettingsError(f"{FILE}: {key}: {text}", hint=AMEND) from error
    except (ValueError, ArithmeticError) as error:
        raise SettingsError(f"{FILE}: {key}: {error}", hint=AMEND) from error
    return given


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
    return text.replace("a dict", "a table")


class ConfiguredGroup(click.Group):
    """Gives each command the file's values as defaults, just before it parses its arguments."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as usual, then attach the file's defaults."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name and (file := read(Path(FILE))):
            known = {one: self.get_command(ctx, one) for one in self.list_commands(ctx)}
            check(file, {one: found for one, found in known.items() if found is not None})
            ctx.default_map = {**(ctx.default_map or {}), name: defaults_for(command, file)}
        return name, command, rest
