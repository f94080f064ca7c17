"""Builds MicroPython from source into the cache: whole or not at all, and going on where it was broken off."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from bodydouble.boards.building.debian import NEEDS, Archive
from bodydouble.boards.building.errors import (
    BuildBusyError,
    BuildFailedError,
    NotRootError,
    PackagesMissingError,
    SourceError,
)
from bodydouble.boards.building.recipe import Need, Recipe, filled, inside, recipe_for
from bodydouble.boards.building.runner import Runner
from bodydouble.boards.building.store import Built, built, keep, work_dir
from bodydouble.boards.inventory import BoardType, board_type

Told = Callable[[int, int, str], None]
"""Called as a stage begins: its number from 1, how many there are, and what is done in it."""

_VERSION_FILE = Path("py/mpconfig.h")
_VERSION = re.compile(r"#define MICROPY_VERSION_(MAJOR|MINOR|MICRO) \(?(\d+)")
# The day of the release: the same sources give the same image.
_EPOCH = "1757600000"


def _quiet(_number: int, _of: int, _what: str) -> None:
    pass


@dataclass(frozen=True)
class BuildOptions:
    """How to build."""

    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Compilers that run at a time."""
    source: Path | None = None
    """MicroPython's sources, a folder or a tarball; else Debian's."""
    again: bool = False
    """Build though there is a build already."""
    install_packages: bool = False
    """Install Debian packages that are missing; needs root."""


def build(board: str, options: BuildOptions | None = None, told: Told = _quiet, folder: Path | None = None) -> Built:
    """The build that serves this board type, made unless it is in the cache; `folder` holds other recipes.

    Errors: UnknownBuildError, SourceError, NotRootError; PackagesMissingError names packages and the command that
    installs them; ArchiveError and BuildFailedError name the log; BuildBusyError where another process builds it.
    """
    options = options or BuildOptions()
    name, recipe = recipe_for(board, folder)
    found = built(name)
    if found and found.recipe == recipe.digest and not options.again and not options.source:
        return found
    with _alone(name), Runner(work_dir(name).with_suffix(".log")) as runner:
        return _Build(name, recipe, options, runner, told).make()


def missing(recipe: Recipe, *, from_debian: bool) -> list[Need]:
    """What this machine lacks to build and to run it."""
    return [need for need in (*recipe.needs, *(NEEDS if from_debian else ())) if not need.is_met()]


class _Build:
    def __init__(self, name: str, recipe: Recipe, options: BuildOptions, runner: Runner, told: Told) -> None:
        self._name = name
        self._recipe = recipe
        self._options = options
        self._runner = runner
        self._told = told
        self._work = work_dir(name)
        self._tree = self._work / "tree"
        self._kind: BoardType = board_type(name)
        self._number, self._stages = 0, 0

    def make(self) -> Built:
        self._begin()
        begun, source = self._tree.is_dir(), self._options.source
        self._stages = len(self._recipe.steps) + (2 if begun else 3 if source else 4)
        self._stage("looking for tools")
        self._provide_tools()
        if source and not begun:
            self._take(source)
        elif not begun:
            self._fetch()
        version = _tree_version(self._tree)
        self._compile(version)
        self._stage("keeping the result")
        done = keep(self._name, self._results(), version=version, recipe=self._recipe.digest)
        shutil.rmtree(self._work, ignore_errors=True)
        self._runner.log.unlink(missing_ok=True)
        return done

    def _stage(self, what: str) -> None:
        self._number += 1
        self._runner.note(f"{self._number}/{self._stages} {what}")
        self._told(self._number, self._stages, what)

    def _begin(self) -> None:
        # What was made by another recipe, or of other sources, is no beginning.
        mark = self._work / "made-of"
        made_of = f"{self._recipe.digest} {self._options.source or ''}\n"
        if not mark.is_file() or mark.read_text("utf-8") != made_of or self._options.source:
            shutil.rmtree(self._work, ignore_errors=True)
            self._work.mkdir(parents=True)
            mark.write_text(made_of, "utf-8")

    # --- tools

    def _provide_tools(self) -> None:
        from_debian = self._options.source is None
        lacking = missing(self._recipe, from_debian=from_debian)
        if lacking and self._options.install_packages:
            self._install(lacking)
            lacking = missing(self._recipe, from_debian=from_debian)
        needed = [need for need in lacking if not need.only_to_run]
        if needed:
            raise PackagesMissingError(
                f"building {self._name} needs {', '.join(dict.fromkeys(_what(need) for need in needed))}",
                hint=f"{_install_command(lacking)}; or, as root, --install-packages" if which("apt-get") else _NO_APT,
            )

    def _install(self, lacking: list[Need]) -> None:
        command = _install_command(lacking)
        if os.geteuid() != 0:
            raise NotRootError("only root can install packages", hint=f"sudo {command}")
        quietly = {"DEBIAN_FRONTEND": "noninteractive"}
        install = [*command.split(), "-y", "-q"]
        try:
            self._runner.run(install, self._runner.log.parent, quietly)
        except BuildFailedError:  # a fresh machine's lists are empty or old
            self._runner.run(["apt-get", "-q", "update"], self._runner.log.parent, quietly)
            self._runner.run(install, self._runner.log.parent, quietly)

    # --- sources

    def _fetch(self) -> None:
        archive = Archive(self._runner, self._work / "debian")
        self._stage("reading the archive's index")
        archive.update(self._recipe.sources)
        self._stage("fetching sources")
        versions = [archive.download(source) for source in self._recipe.sources]
        new = self._work / "new"
        shutil.rmtree(new, ignore_errors=True)
        for source, version in zip(self._recipe.sources, versions, strict=True):
            into = inside(new, source.into)
            shutil.rmtree(into, ignore_errors=True)
            archive.unpack(source, version, into)
        new.rename(self._tree)

    def _take(self, source: Path) -> None:
        self._stage(f"copying {source.name}")
        new = self._work / "new"
        if source.is_dir():
            _tree_version(source)
            # Another build's objects may be for another processor.
            shutil.copytree(source, new, symlinks=True, ignore=shutil.ignore_patterns(".git", "build", "build-*"))
        elif source.is_file():
            new.mkdir()
            try:
                self._runner.run(["tar", "-xf", str(source), "--strip-components=1", "-C", str(new)], self._work)
            except BuildFailedError as error:
                raise SourceError(f"{source} cannot be unpacked: {error.message}", hint=_OTHER_SOURCE) from error
            _tree_version(new, source)
        else:
            raise SourceError(f"{source} is not there", hint=_OTHER_SOURCE)
        new.rename(self._tree)

    # --- compiling

    def _values(self) -> dict[str, str]:
        image = self._kind.micropython
        return {
            "jobs": str(self._options.jobs),
            "tree": str(self._tree),
            "board": image.board if image else "",
        }

    def _compile(self, version: str) -> None:
        for path, content in self._recipe.files.items():
            file = inside(self._tree, path)
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content, "utf-8")
        environment = {
            "MICROPY_GIT_TAG": f"v{version}",
            "MICROPY_GIT_HASH": "release",
            "SOURCE_DATE_EPOCH": _EPOCH,
        }
        values = self._values()
        for step in self._recipe.steps:
            self._stage(step.name)
            self._runner.run([filled(part, values) for part in step.command], self._tree, environment)

    def _results(self) -> Mapping[str, bytes]:
        values = self._values()
        contents = {}
        for name, path in self._recipe.results.items():
            file = inside(self._tree, filled(path, values))
            if not file.is_file():
                raise BuildFailedError(f"the build left no {file.name}", hint=f"its log is {self._runner.log}")
            contents[name] = file.read_bytes()
        image = self._kind.micropython
        if image:
            from bodydouble.boards.uf2 import wrap  # noqa: PLC0415 - images only

            contents["firmware.uf2"] = wrap(next(iter(contents.values())), image).to_uf2()
        return contents


_NO_APT = "this machine has no apt: install them its own way, and give MicroPython's sources by --source"
_OTHER_SOURCE = "name a folder or a tarball of MicroPython's sources, or leave --source out"


def _tree_version(tree: Path, named: Path | None = None) -> str:
    try:
        found = dict(_VERSION.findall((tree / _VERSION_FILE).read_text("utf-8", "replace")))
        return ".".join(found[part] for part in ("MAJOR", "MINOR", "MICRO"))
    except (OSError, KeyError) as error:
        raise SourceError(f"{named or tree} holds no sources of MicroPython", hint=_OTHER_SOURCE) from error


def _what(need: Need) -> str:
    return f"{need.library} for {need.command}" if need.library else need.command


def _install_command(needs: list[Need]) -> str:
    packages = " ".join(dict.fromkeys(need.package for need in needs))
    return f"apt-get install --no-install-recommends {packages}"


@contextmanager
def _alone(name: str) -> Iterator[None]:
    import fcntl  # noqa: PLC0415 - Windows has none, nor any builds

    path = work_dir(name).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildBusyError(f"another process is building {name}", hint="wait until it is done") from error
        yield
