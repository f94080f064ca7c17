"""Deploys to an emulated Pico whose power fails at random steps of writing its flash: it always boots."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bodydouble.boards.deploy import deploy
from bodydouble.boards.errors import DeployError, NoReplError
from bodydouble.boards.inventory import board_type
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.picosim.driver import SimReached
from bodydouble.boards.reach import attention
from bodydouble.boards.uf2 import Image
from bodydouble.link.errors import StreamClosedError

pytestmark = pytest.mark.pico_image

POINTS = 50
AGAIN = 5
"""After every so many cuts the deploy is made again: it must find its way from what was left."""
ERASE_STEP_BYTES, PROGRAM_STEP_BYTES = 256, 64
"""Of PicoSim's cut_power."""
LOADER = (Path(__file__).resolve().parents[2] / "firmware" / "main.py").read_text()
PARTS = 6

# As little of a firmware as a loader can start. What it prints at boot nobody hears: it leaves a note.
APP = """
VERSIONS = set()
for n in range({parts}):
    VERSIONS.add(__import__("coproc.part%d" % n, None, None, ("x",)).VERSION)
def run():
    with open("/booted", "w") as note:
        note.write(" ".join(sorted(VERSIONS)))
"""
START = """
def start(tier=None, healthy=None):
    from coproc import app
    healthy()
    app.run()


def boot():
"""


def firmware(version: str) -> dict[str, bytes]:
    rng = random.Random(version)
    texts = {
        "/main.py": LOADER.replace("def boot():\n", START),
        "/coproc/__init__.py": "",
        "/coproc/app.py": APP.format(parts=PARTS),
        **{
            f"/coproc/part{n}.py": f"VERSION = {version!r}\n# {rng.randbytes(rng.randrange(2000)).hex()}\n"
            for n in range(PARTS)
        },
    }
    assert START in texts["/main.py"]
    return {path: text.encode() for path, text in texts.items()}


class Bench:
    def __init__(self, sim: PicoSim) -> None:
        self.sim = sim
        self.reached = SimReached(board_type("pico-sim"), sim)

    def deploy(self, version: str) -> None:
        with attention(self.reached, 60.0) as repl:
            deploy(repl, firmware(version), version)

    def boot(self) -> str:
        """Power on, from whatever state; what booted, by its own note."""
        with attention(self.reached, 60.0) as repl:
            repl.exec("import os\ntry: os.remove('/booted')\nexcept OSError: pass")
        self.sim.control("power", on=False)
        self.sim.wait_detached(30)
        return self.on()

    def on(self) -> str:
        self.sim.control("power", on=True)
        self.sim.wait_attached(120)
        until = time.monotonic() + 120  # whoever knocks too early interrupts the loader
        while not self.sim.control("state")["idle"]:
            assert time.monotonic() < until
            time.sleep(0.1)
        with attention(self.reached, 60.0) as repl:
            return repl.exec("try: print(open('/booted').read())\nexcept OSError: print('nothing')").decode().strip()

    def steps(self) -> int:
        stats = self.sim.control("stats")
        return int(stats["flash_erased"] / ERASE_STEP_BYTES + stats["flash_programmed"] / PROGRAM_STEP_BYTES)


@contextmanager
def powered(image: Image | None, flash: Path) -> Iterator[Bench]:
    with PicoSim.start("deployed", image, flash, clock="emulated", paced=False, attach_s=120.0) as sim:
        yield Bench(sim)


@pytest.fixture(scope="module")
def old_flash(request: pytest.FixtureRequest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not request.config.getoption("--soak"):
        pytest.skip("run with --soak; test_deploy.py cuts a faster board")
    flash = tmp_path_factory.mktemp("old") / "flash"
    with powered(image, flash) as bench:
        bench.deploy("old")
        assert bench.boot() == "old"
    return flash


def test_power_that_fails_at_random_steps_leaves_a_board_that_boots(old_flash: Path, tmp_path: Path) -> None:
    flash = tmp_path / "flash"
    shutil.copy(old_flash, flash)
    with powered(None, flash) as bench:
        before = bench.steps()
        bench.deploy("new")
        whole = bench.steps() - before
        assert bench.boot() == "new"
    assert whole > 500
    rng = random.Random(50)
    outcomes = set()
    for point in range(POINTS):
        shutil.copy(old_flash, flash)
        with powered(None, flash) as bench:
            with attention(bench.reached, 60.0) as repl:
                repl.exec("import os\nos.remove('/booted')")
            cut = rng.randrange(1, whole)
            bench.sim.control("cut_power", steps=cut)
            with suppress(StreamClosedError, NoReplError, DeployError):
                bench.deploy("new")
            # Runs differ by a few steps: one of the last cuts may come too late for the deploy.
            bench.sim.control("cut_power", steps=None)
            bench.sim.control("power", on=False)
            bench.sim.wait_detached(30)
            booted = bench.on()
            assert booted in ("old", "new"), f"cut after {cut} of {whole} steps: {booted}"
            outcomes.add(booted)
            print(f"cut after {cut} of {whole} steps: {booted}", flush=True)
            if point % AGAIN == 0:
                bench.deploy("new")
                assert bench.boot() == "new"
    assert outcomes == {"old", "new"}
