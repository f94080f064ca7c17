"""Every wedge on an emulated Pico with MicroPython's own image, and its cure within 30 s of the board's time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodydouble.boards.inventory import board_type
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.picosim.driver import SimReached
from bodydouble.boards.reach import attention
from bodydouble.boards.recover import Recovery, recover
from bodydouble.boards.uf2 import Image

pytestmark = pytest.mark.pico_image

LIMIT_S = 30.0
SAMPLE = ("deaf",)
"""Wedges of the whole suite; the others take a minute each on a busy machine, and run with --soak."""

MAINS = {
    "loop": "while True: pass",
    "stubborn": "while True:\n try:\n  while True: pass\n except BaseException: pass",
    "deaf": "import micropython\nmicropython.kbd_intr(-1)\nwhile True: pass",
    "crash": "import no_such_module",
    "watchdog": "import machine\nmachine.WDT(timeout=1500)\nwhile True: pass",
}


class Wedged:
    """An emulated Pico, and what a test does to it."""

    def __init__(self, sim: PicoSim) -> None:
        self.sim = sim
        self.reached = SimReached(board_type("pico-sim"), sim)

    def run(self, code: str, timeout_s: float = 60.0) -> str:
        with attention(self.reached, 60.0) as repl:
            return repl.exec(code, timeout_s).decode()

    def with_main(self, source: str) -> None:
        self.run(f"with open('/main.py','w') as f: f.write({source!r})")
        self.sim.control("reset", cause="run-pin")
        self.sim.wait_detached(30)
        self.sim.wait_attached(60)

    def board_s(self) -> float:
        return float(self.sim.control("state")["emulated_s"])

    def cure(self, image: Image, save_to: Path | None = None) -> Recovery:
        report = recover(self.reached, image=image, power=self.reached.power, save_to=save_to, clock=self.board_s)
        print(f"{report.seconds:.1f} s of the board's time: {[(r.name, r.outcome, r.seconds) for r in report.rungs]}")
        print(report.changes, report.notes)
        assert report.healthy, report
        # A board that waits for a host that gets no processor is not slow.
        assert report.seconds < LIMIT_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        return report


@pytest.fixture
def wedged(image: Image, tmp_path: Path, request: pytest.FixtureRequest, soak: bool) -> Iterator[Wedged]:
    given = getattr(request.node, "callspec", None)
    if not soak and not (given and given.params.get("wedge") in SAMPLE):
        pytest.skip("run with --soak")
    with PicoSim.start("wedged", image, tmp_path / "wedged.flash", clock="wall", attach_s=120.0) as sim:
        yield Wedged(sim)


@pytest.mark.parametrize("wedge", MAINS)
def test_a_main_py(wedged: Wedged, image: Image, tmp_path: Path, wedge: str) -> None:
    wedged.with_main(MAINS[wedge])
    report = wedged.cure(image, tmp_path / "saved")
    files = wedged.run("import os;print(*os.listdir('/'))").split()
    assert ("main.py.bad" in files) == (wedge in ("stubborn", "deaf", "watchdog")), (files, report)


FILL = "import os\nf=open('/log','wb')\nfor n in range(os.statvfs('/')[3]-8): f.write(bytes(4096))\nf.close()"


def test_a_full_filesystem(wedged: Wedged, image: Image, tmp_path: Path) -> None:
    wedged.run("f=open('/notes','w');f.write('mine');f.close()")
    wedged.run(FILL, 600.0)
    wedged.sim.control("reset", cause="run-pin")
    wedged.sim.wait_detached(30)
    wedged.sim.wait_attached(60)
    report = wedged.cure(image, tmp_path / "saved")
    assert "the filesystem was full: /log " in report.changes[0]
    assert (tmp_path / "saved" / "log").stat().st_size > 1_000_000
    assert wedged.run("import os;print(*os.listdir('/'))").split() == ["notes"]


def test_a_raw_paste(wedged: Wedged, image: Image) -> None:
    with attention(wedged.reached) as repl:
        repl.write(b"\x05A\x01print('half of")
    wedged.cure(image)


def test_a_corrupt_filesystem(wedged: Wedged, image: Image, tmp_path: Path) -> None:
    wedged.run(
        "with open('/readings','w') as f: f.write('reading' * 3000)\nwith open('/notes','w') as f: f.write('mine')"
    )
    wedged.sim.control("power", on=False)
    flash = tmp_path / "wedged.flash"
    data = bytearray(flash.read_bytes())
    for at in range(0, len(data), 4096):
        if b"reading" * 100 in data[at : at + 4096]:
            data[at : at + 8] = b"\x5a" * 8
    wedged.sim.close()
    flash.write_bytes(data)
    with PicoSim.start("wedged", None, flash, attach_s=120.0) as sim:
        again = Wedged(sim)
        again.cure(image, tmp_path / "saved")
        assert again.run("print(open('/notes').read())").strip() == "mine"


def test_a_port_that_vanishes_and_returns(wedged: Wedged, image: Image) -> None:
    wedged.sim.control("usb", connected=False)
    wedged.sim.wait_detached(30)
    back = threading.Timer(2.0, lambda: wedged.sim.control("usb", connected=True))
    back.start()
    wedged.cure(image)
    back.join()


def test_a_port_that_another_process_holds(wedged: Wedged, image: Image) -> None:
    code = "import sys,time;f=open(sys.argv[1],'rb',0);print('holding',flush=True);time.sleep(2)"
    holder = subprocess.Popen([sys.executable, "-c", code, wedged.sim.port], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline()
    report = wedged.cure(image)
    holder.wait()
    assert report.rungs[0].seconds > 0.5
