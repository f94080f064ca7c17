"""Options and skips that every test shares."""

from __future__ import annotations

import shutil
from functools import lru_cache

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long proofs whole instead of a seeded sample")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("hardware"):
        pytest.skip("connect a Raspberry Pi Pico running MicroPython by USB")
    if item.get_closest_marker("pico_image") and (lacking := no_pico()):
        pytest.skip(lacking)
    missing = [tool for tool in ("flite", "espeak-ng") if not shutil.which(tool)]
    if item.get_closest_marker("speech") and missing:
        pytest.skip(f"install {' and '.join(missing)}: apt-get install flite espeak-ng")


@lru_cache(maxsize=1)
def no_pico() -> str:
    """What an emulated Pico lacks here: node, or a MicroPython image."""
    from bodydouble.boards.images import find_image
    from bodydouble.boards.inventory import board_type
    from bodydouble.boards.picosim.driver import obstacle
    from bodydouble.errors import BodydoubleError

    try:
        find_image(board_type("pico-sim"))
    except BodydoubleError as error:
        return str(error)
    return obstacle()


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> bool:
    """True where the whole of a long proof is asked for."""
    return bool(request.config.getoption("--soak"))
