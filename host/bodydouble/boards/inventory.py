"""The board types: one TOML file each, checked when it is read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bodydouble.boards.errors import BoardFileError, UnknownBoardError
from bodydouble.resources import boards_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class BoardType(BaseModel):
    """What is known of a type of board before one is opened."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Name
    description: str
    driver: Name
    """Which driver opens it."""
    port: Name
    """Which of the firmware's ports runs on it."""
    heap_bytes: int = Field(ge=65536, le=1 << 30)
    tiers: tuple[Name, ...] = Field(min_length=1)
    """Kernel tiers, best first."""
    emulated: bool
    drift_ppm: float = Field(default=100.0, ge=0, le=10_000)
    """Most that its clock and the host's may drift apart."""


def known_boards(folder: Path | None = None) -> list[BoardType]:
    """Every board type, sorted by name. BoardFileError where a file is no board."""
    return [_read(path) for path in sorted((folder or boards_dir()).glob("*.toml"))]


def board_type(name: str, folder: Path | None = None) -> BoardType:
    """The board type of this name. UnknownBoardError names those that there are."""
    folder = folder or boards_dir()
    names = [path.stem for path in sorted(folder.glob("*.toml"))]
    if name not in names:
        raise UnknownBoardError(f"no board {name!r}", hint=f"known boards: {', '.join(names)}")
    return _read(folder / f"{name}.toml")


def _read(path: Path) -> BoardType:
    try:
        kind = BoardType.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BoardFileError(f"cannot read {path}: {error.strerror}", hint="reinstall bodydouble") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BoardFileError(f"{path} is no TOML: {error}", hint="correct the file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BoardFileError(f"{path}: {where}: {first['msg']}", hint="correct the file") from error
    if kind.type != path.stem:
        raise BoardFileError(f"{path} describes {kind.type!r}", hint=f"name it {kind.type}.toml")
    return kind
