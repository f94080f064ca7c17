"""How MicroPython is built for a board: a recipe is data, one TOML in `boards/recipes`."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path, PurePosixPath
from shutil import which
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bodydouble.boards.building.errors import UnknownBuildError
from bodydouble.boards.inventory import Name, read_file
from bodydouble.resources import boards_dir

Package = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
Relative = Annotated[str, StringConstraints(pattern=r"^([\w{}+-][\w.{}+-]*(/[\w{}+-][\w.{}+-]*)*)?$")]
_TIMEOUT_S = 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Need(_Part):
    """A command that must be there, and the Debian package that brings it."""

    command: str
    package: Package
    library: str | None = None
    """A library that the compiler `command` must find: then it is this that the package brings."""
    only_to_run: bool = False
    """Not needed to build, but to run what was built on this machine."""

    def is_met(self) -> bool:
        """Whether it is there."""
        path = which(self.command)
        if path is None or self.library is None:
            return path is not None
        try:
            # gcc answers with a path where it finds the file, else with the bare name.
            shown = subprocess.run(
                [path, f"-print-file-name={self.library}"],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return "/" in shown.stdout


class Source(_Part):
    """A Debian package that holds sources, and where in MicroPython's tree they belong ("": they are the tree)."""

    package: Package
    suite: Package
    version: str
    """The wanted upstream version, or its beginning; where the suite has none such, the newest is taken."""
    binary: bool = False
    """A binary package rather than a source package."""
    patches: bool = False
    """Whether Debian's patches are applied to a source package."""
    folder: Relative = ""
    """What to take of a binary package."""
    into: Relative = ""


class Step(_Part):
    """A command run in MicroPython's tree. `{jobs}`, `{tree}`, `{board}` stand for their values."""

    name: str
    command: tuple[str, ...] = Field(min_length=1)


class Recipe(_Part):
    """How the builds of one of MicroPython's ports are made."""

    version: str
    """MicroPython's version."""
    builds: dict[Name, tuple[Name, ...]]
    """Name of a build to the board types that it serves."""
    needs: tuple[Need, ...]
    sources: tuple[Source, ...] = Field(min_length=1)
    files: dict[Relative, str] = {}
    """Files to make where they are not there."""
    steps: tuple[Step, ...] = Field(min_length=1)
    results: dict[Relative, Relative] = Field(min_length=1)
    """File name in the cache to its path in the tree; the first is what runs."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def recipe_for(board: str, folder: Path | None = None) -> tuple[str, Recipe]:
    """Name of the build that serves this board type, and its recipe. UnknownBuildError names the boards there are."""
    folder = folder or boards_dir() / "recipes"
    found = {
        kind: (name, recipe)
        for recipe in (read_file(path, Recipe) for path in sorted(folder.glob("*.toml")))
        for name, kinds in recipe.builds.items()
        for kind in kinds
    }
    if board not in found:
        raise UnknownBuildError(
            f"nothing is built for a {board!r} board", hint=f"boards to build for: {', '.join(sorted(found))}"
        )
    return found[board]


def filled(text: str, values: dict[str, str]) -> str:
    """`text` with each `{name}` replaced."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def inside(tree: Path, relative: str) -> Path:
    """A path of a recipe, in the tree."""
    return tree.joinpath(*PurePosixPath(relative).parts)
