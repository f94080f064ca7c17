"""`bodydouble boards build`: the real recipe with tools that only pretend."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from support.build_tools import Tools
from support.processes import run, running, strict, wait_for

MAKE = """
[ ! -e "$F/slow" ] || { sleep 60 & echo $! >"$F/compiler"; wait; }
mkdir -p ports/unix/build-standard; cp "$F/program" ports/unix/build-standard/micropython
"""


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    made = Tools(tmp_path / "tools")
    made.add("make", MAKE)
    made.add("python3", "")
    made.add("arm-linux-gnueabihf-gcc", "echo /usr/lib/libc.a")
    return made


@pytest.fixture
def env(tools: Tools, tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tools.bin), "BODYDOUBLE_CACHE": str(tmp_path / "cache")}


def test_the_path_is_printed_and_stages_are_told(tools: Tools, env: dict[str, str], tmp_path: Path) -> None:
    done = run("boards", "build", "pi-arm", "--jobs", "3", "--json", tmp_path / "out.json", env=env)
    assert done.code == 0, done.err
    program = tmp_path / "cache" / "micropython" / "pi-arm" / "micropython"
    assert done.out == f"{program}\n"
    assert os.access(program, os.X_OK)
    lines = done.err.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "building pi-arm: 1/5 looking for tools",
        "building pi-arm: 2/5 reading the archive's index",
        "building pi-arm: 3/5 fetching sources",
        "building pi-arm: 4/5 compiling MicroPython",
        "building pi-arm: 5/5 keeping the result",
    ]
    assert all(line.endswith(" s)") for line in lines)
    facts = strict((tmp_path / "out.json").read_text())
    assert (facts["name"], facts["version"], facts["path"]) == ("pi-arm", "1.26.1", str(program))
    assert "-j3" in next(call for call in tools.asked() if call.startswith("make"))
    again = run("boards", "build", "pi-arm", env=env)
    assert (again.code, again.out, again.err) == (0, f"{program}\n", "")


def test_what_is_missing_is_said_last(tools: Tools, env: dict[str, str]) -> None:
    (tools.bin / "make").unlink()
    done = run("boards", "build", "pi-arm", env=env)
    assert (done.code, done.out) == (4, "")
    assert done.err.splitlines()[-1].startswith(
        "bodydouble: building pi-arm needs make (apt-get install --no-install-recommends make"
    )


def test_a_board_that_nothing_is_built_for(env: dict[str, str], tmp_path: Path) -> None:
    done = run("boards", "build", "unix", "--json", tmp_path / "out.json", env=env)
    assert done.code == 2
    assert done.one_line() == (
        "bodydouble: nothing is built for a 'unix' board (boards to build for: pi, pi-arm, pico, pico-sim, pico2)"
    )
    assert strict((tmp_path / "out.json").read_text())["status"] == "UnknownBuildError"


def test_ctrl_c(tools: Tools, env: dict[str, str], tmp_path: Path) -> None:
    tools.tell("slow")
    with running("boards", "build", "pi-arm", env=env) as tool:
        compiler = tools.folder / "compiler"
        wait_for(lambda: compiler.exists() and compiler.read_text().strip(), "compiler")
        tool.send(signal.SIGINT)
        done = tool.done()
    assert done.code == 130
    assert done.err.splitlines()[-1] == "bodydouble: interrupted"
    wait_for(lambda: not psutil.pid_exists(int(compiler.read_text())), "end of the compiler")
    assert not (tmp_path / "cache" / "micropython").exists()
