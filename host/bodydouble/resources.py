"""Where the firmware, the board files, the models and the demo's recordings are.

They travel in the wheel as package data; in a checkout the same folders stand beside `host/`.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import platformdirs

from bodydouble.errors import InputError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


def _folder(name: str, in_checkout: str) -> Path:
    for candidate in (_PACKAGE / "_data" / name, _CHECKOUT / in_checkout):
        if candidate.is_dir():
            return candidate
    raise InputError(
        f"this installation lacks its {name} folder",
        hint="reinstall it: pip install --force-reinstall bodydouble",
    )


def firmware_dir() -> Path:
    """The MicroPython sources that run on a board."""
    return _folder("firmware", "firmware")


def boards_dir() -> Path:
    """One TOML file per board type."""
    return _folder("boards", "boards")


def models_dir() -> Path:
    """Our own models, each with its manifest and card."""
    return _folder("models", "models")


def library_dir() -> Path:
    """Where models that a user added are kept; `BODYDOUBLE_MODELS` moves it."""
    return Path(os.environ.get("BODYDOUBLE_MODELS") or Path(platformdirs.user_data_dir("bodydouble"), "models"))


def demo_dir() -> Path:
    """The recordings that `bodydouble demo` plays."""
    return _folder("demo", "tests/data/demo")


def cache_dir() -> Path:
    """A folder for what can be made again; `BODYDOUBLE_CACHE` moves it."""
    path = Path(os.environ.get("BODYDOUBLE_CACHE") or platformdirs.user_cache_dir("bodydouble"))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the cache folder {path} cannot be made: {error.strerror}", hint="set BODYDOUBLE_CACHE to another folder"
        ) from error
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step: a reader or a crash never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")  # readable as any file, unlike mkstemp's
    try:
        with fresh.open("xb") as file:
            file.write(data)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
