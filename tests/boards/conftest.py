"""A firmware for tests, and a place for the cache that no other run shares."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bodydouble.boards.board import Board
from bodydouble.boards.images import find_image
from bodydouble.boards.inventory import board_type
from bodydouble.boards.picosim.node import find_library
from bodydouble.boards.uf2 import Image
from bodydouble.boards.unix import open_unix

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
PARTS = [
    "coproc/wire.py", "coproc/link.py", "coproc/link_sender.py", "coproc/link_viper.py", "coproc/link_bytecode.py",
    "coproc/link_native.py", "coproc/port/__init__.py", "coproc/port/unix.py",
]  # fmt: skip


@pytest.fixture(scope="session")
def echo_firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The link and the unix port of the firmware, with a main that echoes and fails on demand."""
    folder = tmp_path_factory.mktemp("echo")
    for part in PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FIRMWARE / part, folder / part)
    shutil.copy(Path(__file__).parent / "firmware" / "main.py", folder / "main.py")
    return folder


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def image(shared_cache: Path) -> Image:
    """The emulated Pico's MicroPython; its emulator is then in the cache of these tests."""
    # Before the tests' own cache is in force: the emulator need not be fetched for it again.
    folder = next(folder for folder in find_library().parents if folder.name == "rp2040js")
    shutil.copytree(folder, shared_cache / "rp2040js", dirs_exist_ok=True)
    return find_image(board_type("pico-sim"))


@pytest.fixture(autouse=True)
def _cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(shared_cache))


def _descriptors() -> int:
    # The listing's own descriptor is in it both times.
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0


@pytest.fixture
def no_orphans() -> Iterator[None]:
    """Every child that a test starts is gone, and reaped, when it ends."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    fds = _descriptors()
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert left == []
    assert _descriptors() <= fds


@pytest.fixture
def open_echo(echo_firmware: Path, no_orphans: None) -> Callable[..., Board]:
    def opened(**options: Any) -> Board:
        return open_unix(board_type("unix"), firmware=echo_firmware, **options)

    return opened
