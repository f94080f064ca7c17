"""MicroPython's image for a Pico: the one that the user names, one in the cache, the official download, or a build.

What takes long is told to the log `bodydouble.boards`, at level INFO, as it begins.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bodydouble.boards.building.builder import BuildOptions, build
from bodydouble.boards.building.errors import UnknownBuildError
from bodydouble.boards.building.recipe import recipe_for
from bodydouble.boards.building.store import built
from bodydouble.boards.errors import MissingImageError, NoImageError
from bodydouble.boards.uf2 import IMAGE_LIMIT, Image, read_image
from bodydouble.errors import BodydoubleError
from bodydouble.resources import cache_dir, write_atomically

if TYPE_CHECKING:
    from bodydouble.boards.building.store import Built
    from bodydouble.boards.inventory import BoardType

VARIABLE = "BODYDOUBLE_PICO_IMAGE"
DOWNLOAD_S = 30.0
_log = logging.getLogger(__name__)

Fetch = Callable[[str], bytes]
Build = Callable[[str], "Built"]


def fetch(url: str) -> bytes:
    """What an http or https URL gives; OSError in one line otherwise."""
    if not url.lower().startswith(("http://", "https://")):
        raise OSError(f"{url} is no web address")
    _log.info("downloading %s", url)
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_S) as answer:  # noqa: S310 - http or https, seen above
            data: bytes = answer.read(IMAGE_LIMIT + 1)
            length = answer.headers.get("Content-Length", "")
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        code = f"the server says {error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        raise OSError(f"{url} cannot be fetched: {code}{' '.join(str(text).split())}") from error
    if len(data) > IMAGE_LIMIT or (length.isdecimal() and len(data) != int(length)):
        raise OSError(f"{url} sent {len(data):,} bytes, too many or too few")
    return data


def find_image(kind: BoardType, download: Fetch = fetch) -> Image:
    """The image that is at hand for this type of board: BODYDOUBLE_PICO_IMAGE's, else the cache's.

    MissingImageError where there is none, NoImageError where a download has changed, ImageError for another board's.
    """
    if named := os.environ.get(VARIABLE):
        return read_image(_named(named, download), kind)
    with suppress(UnknownBuildError):
        if (found := built(recipe_for(kind.type)[0])) is not None:
            return read_image(found.program, kind)
    if (path := _download_path(kind)) is not None and path.is_file():
        return read_image(_unchanged(path), kind)
    raise MissingImageError(
        f"there is no MicroPython image for the {kind.type} board",
        hint=f"bodydouble boards build {kind.type}, or set {VARIABLE} to one",
    )


def obtain_image(kind: BoardType, download: Fetch = fetch, make: Build | None = None) -> Image:
    """The image at hand, else the official one, downloaded into the cache, else one built from source.

    NoImageError says why there is none. `download` and `make` stand in for the network and the compilers.
    """
    with suppress(MissingImageError):
        return find_image(kind, download)
    try:
        return _downloaded(kind, download)
    except OSError as error:
        _log.info("MicroPython for the %s board cannot be downloaded: %s", kind.type, error)
        why = str(error)
    try:
        return read_image((make or _build)(kind.type).program, kind)
    except BodydoubleError as error:
        raise NoImageError(
            f"there is no MicroPython image for the {kind.type} board: {why}; {error.message}",
            hint=f"{error.hint}; or set {VARIABLE} to a .uf2 or .bin",
        ) from error


def _named(named: str, download: Fetch) -> Path:
    # A file; or an address, which is asked once and then kept.
    if "://" not in named:
        return Path(named)
    path = _folder() / f"{hashlib.sha256(named.encode()).hexdigest()[:16]}-{named.rpartition('/')[2]}"
    if not path.is_file():
        try:
            _keep(path, download(named), named)
        except OSError as error:
            raise NoImageError(f"{VARIABLE}: {error}", hint="correct it, or name a file") from error
    return _unchanged(path)


def _downloaded(kind: BoardType, download: Fetch) -> Image:
    path = _download_path(kind)
    if path is None or kind.micropython is None or kind.micropython.download is None:
        raise OSError(f"no download is known for a {kind.type} board")
    data = download(kind.micropython.download)
    _keep(path, data, kind.micropython.download)
    try:
        return read_image(path, kind)
    except BodydoubleError as error:
        path.unlink()
        raise OSError(f"what came is none: {error.message}") from error


def _build(board: str) -> Built:
    def told(number: int, of: int, what: str) -> None:
        _log.info("building MicroPython for the %s board, once: %d/%d %s", board, number, of, what)

    return build(board, BuildOptions(), told)


def _folder() -> Path:
    return cache_dir() / "images"


def _download_path(kind: BoardType) -> Path | None:
    if kind.micropython is None or kind.micropython.download is None:
        return None
    return _folder() / kind.micropython.download.rpartition("/")[2]


def _keep(path: Path, data: bytes, url: str) -> None:
    # The publisher gives no digest: the first download's is recorded, shown, and holds from then on.
    sha256 = hashlib.sha256(data).hexdigest()
    write_atomically(path.with_suffix(".sha256"), f"{sha256}  {path.name}\n".encode())
    write_atomically(path, data)
    _log.info("%s: %s bytes, sha256 %s", url, f"{len(data):,}", sha256)


def _unchanged(path: Path) -> Path:
    try:
        recorded = path.with_suffix(".sha256").read_text("utf-8").split()[0]
        same = hashlib.sha256(path.read_bytes()).hexdigest() == recorded
    except (OSError, IndexError, UnicodeDecodeError):
        same = False
    if not same:
        raise NoImageError(
            f"{path} is not what was downloaded: its sha256 is not the recorded one",
            hint="delete it, and run this again",
        )
    return path
