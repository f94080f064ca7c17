"""The firmware against the types of MicroPython: what that lacks, or takes differently, is found without a board."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "check_firmware.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_firmware", TOOL)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_firmware_type_checks(tool: ModuleType) -> None:
    done = tool.check([])
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_mistakes_are_found(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "planted.py").write_text(
        "import gc, micropython, sys, time\n"
        "import concurrent.futures\n"
        "def one(a):\n    return a\n"
        "def all_of_them(buf):\n"
        "    one(1, 2)\n"
        "    gc.get_objects()\n"
        "    time.ticks_diff(1)\n"
        "    sys.implementation[1]\n"
        "    return missing\n"
        "@micropython.viper\n"
        "def kernel(buf: ptr8, n: int) -> int:\n"
        "    return buf['a'] + unknown\n"
        "kernel(bytearray(3), 3)\n"
        "later = time.ticks_us() & 0xFFFF\n"
    )
    lines = tool.check([], tmp_path / "firmware").stdout.splitlines()
    found = {int(line.split(":")[1]) for line in lines if ": error: " in line}
    assert found == {2, 6, 7, 8, 10, 13}
