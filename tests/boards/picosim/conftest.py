"""One emulator for all programs: it starts in BOOTSEL mode, where each test gives it a program by its drive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.picosim.driver import obstacle
from bodydouble.boards.picosim.errors import LibraryError
from bodydouble.boards.picosim.node import find_library
from bodydouble.resources import cache_dir
from support.pico_bench import Bench


@pytest.fixture(scope="session")
def emulator_cache() -> Path:
    """The user's cache, with rp2040js in it; a skip where the emulator cannot run."""
    lacking = obstacle()
    if lacking:
        pytest.skip(lacking)
    try:
        find_library()
    except LibraryError as error:
        pytest.skip(str(error))
    return cache_dir()


@pytest.fixture
def emulator(emulator_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulators can be started."""
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(emulator_cache))


@pytest.fixture(scope="session")
def shared_bench(emulator_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BODYDOUBLE_CACHE", str(emulator_cache))
        sim = PicoSim.start("bench", None, folder / "bench.flash", clock="emulated")
    with sim:
        yield Bench(sim, folder)


@pytest.fixture
def bench(shared_bench: Bench, emulator: None) -> Bench:
    return shared_bench
