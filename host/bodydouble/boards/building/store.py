"""The builds of MicroPython in the cache: each a folder that is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bodydouble.resources import cache_dir

FACTS = "build.json"


@dataclass(frozen=True)
class Built:
    """A finished build: its folder, MicroPython's version, the recipe's digest, and SHA-256 by file name.

    The first file is what runs: `micropython` for a Pi, `firmware.bin` for a Pico, beside which is `firmware.uf2`.
    """

    path: Path
    version: str
    recipe: str
    files: Mapping[str, str]

    @property
    def program(self) -> Path:
        """What runs."""
        return self.path / next(iter(self.files))


def store_dir() -> Path:
    """Where builds are kept, one folder by name."""
    return cache_dir() / "micropython"


def work_dir(name: str) -> Path:
    """Where a build is made."""
    return cache_dir() / "build" / name


def built(name: str) -> Built | None:
    """The build of this name; None where there is none, or one that another version of bodydouble left."""
    folder = store_dir() / name
    try:
        facts = json.loads((folder / FACTS).read_text("utf-8"))
        found = Built(folder, facts["version"], facts["recipe"], facts["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.files and all((folder / file).is_file() for file in found.files) else None


def keep(name: str, contents: Mapping[str, bytes], *, version: str, recipe: str) -> Built:
    """Put a build in the cache in place of an older one. Programs may be run, images may not."""
    store = store_dir()
    store.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=store, prefix=f".{name}-"))
    folder, old = store / name, work / "old"
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in contents.items()}
    try:
        new = work / "new"
        new.mkdir()
        for file, data in contents.items():
            (new / file).write_bytes(data)
            (new / file).chmod(0o644 if "." in file else 0o755)
        facts = {"name": name, "version": version, "recipe": recipe, "files": hashes}
        (new / FACTS).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(work, ignore_errors=True)
    return Built(folder, version, recipe, hashes)
