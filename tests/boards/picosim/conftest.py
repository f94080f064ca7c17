"""One emulator for all programs: it starts in BOOTSEL mode, where each test gives it a program by its drive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.picosim.driver import obstacle
from bodydouble.boards.picosim.node import find_library
from support.pico_bench import Bench


@pytest.fixture(scope="session")
def emulator_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with rp2040js in it, or a skip where it cannot be had."""
    lacking = obstacle()
    if lacking:
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("picosim-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BODYDOUBLE_CACHE", str(folder))
        find_library()
    return folder


@pytest.fixture(autouse=True)
def _emulator_cache(emulator_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def bench(shared_bench: Bench) -> Bench:
    return shared_bench
