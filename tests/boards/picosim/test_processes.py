"""The emulator ends with whoever started it, however that came."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bodydouble.boards import picosim
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.picosim.node import find_node
from support.processes import wait_for

pytestmark = pytest.mark.usefixtures("emulator")

PARENT = """
import sys, time
from pathlib import Path
from bodydouble.boards import picosim
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.picosim.node import find_node

sim = PicoSim.start("child", None, Path(sys.argv[1]))
print(sim.pid, flush=True)
time.sleep(1000)
"""


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "child.flash")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) == (2 if os.name == "posix" else 1)
        parent.send_signal(signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=20)[1] == []


BUSY = """
import json, subprocess, sys, time

options = json.dumps({"library": sys.argv[3], "unique_id": "00" * 8})
print(subprocess.Popen([sys.argv[1], sys.argv[2], options], stdin=subprocess.PIPE).pid, flush=True)
time.sleep(1000)
"""


def test_an_emulator_that_hangs_ends_with_its_parent_too(tmp_path: Path) -> None:
    (tmp_path / "library.mjs").write_text("for (;;);\n")
    harness = Path(picosim.__file__).parent / "harness" / "main.mjs"
    command = [sys.executable, "-c", BUSY, str(find_node()), str(harness), str(tmp_path / "library.mjs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(lambda: child.cpu_times().user > 0.3, "work")  # past its start
        parent.send_signal(signal.SIGKILL)
    assert psutil.wait_procs([child], timeout=20)[1] == []


def test_closing_leaves_nothing(tmp_path: Path) -> None:
    flash = tmp_path / "mine.flash"
    before = set(psutil.Process().children(recursive=True))
    with PicoSim.start("mine", None, flash) as sim:
        started = set(psutil.Process().children(recursive=True)) - before
        assert sim.pid in {child.pid for child in started}
    assert not set(psutil.Process().children(recursive=True)) - before
    assert not flash.with_suffix(".port").is_symlink()
    with PicoSim.start("mine", None, flash):  # the lock went with it
        pass


def test_a_killed_emulator_is_noticed(tmp_path: Path) -> None:
    with PicoSim.start("mine", None, tmp_path / "mine.flash") as sim:
        os.kill(sim.pid, signal.SIGKILL)

        def gone() -> bool:
            try:
                sim.control("state")
            except Exception as error:  # noqa: BLE001 - whichever it is, it says so
                return "ended" in str(error)
            return False

        assert wait_for(gone, "sign of its end")
