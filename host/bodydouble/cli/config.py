"""Options from `bodydouble.toml`: the lowest of the three sources, below flags and BODYDOUBLE_* variables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from bodydouble.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "bodydouble.toml"


def read(path: Path) -> dict[str, Any]:
    """The file's tables; empty where there is none. Raises InputError naming the line that is wrong."""
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: {error}", hint="correct the file, or move it away") from error
    return tables


def defaults_for(command: click.Command, file: dict[str, Any]) -> dict[str, Any]:
    """The file's values for one command: `board = "unix"` at the top is for all, `[stream]` for one."""
    options = {name: p for p in command.params if isinstance(p, click.Option) and (name := p.name)}
    general = {key: value for key, value in file.items() if not isinstance(value, dict)}
    own = file.get(command.name or "", {})
    values = {}
    for key, value in {**general, **own}.items():
        name = key.replace("-", "_")
        if name in options:
            values[name] = value
        elif key in own:
            raise InputError(
                f"{FILE}: [{command.name}] has no option {key!r}",
                hint=f"it may set {', '.join(sorted(n.replace('_', '-') for n in options))}",
            )
    return values


class ConfiguredGroup(click.Group):
    """Gives each command the file's values as defaults, just before it parses its arguments."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as usual, then attach the file's defaults."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name:
            ctx.default_map = {**(ctx.default_map or {}), name: defaults_for(command, read(Path(FILE)))}
        return name, command, rest
