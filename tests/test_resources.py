"""Package data and the cache: found, made, and replaced in one step."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodydouble import resources
from bodydouble.errors import ExitCode, InputError


def test_every_folder_of_the_package_is_there() -> None:
    assert (resources.firmware_dir() / "main.py").is_file()
    assert (resources.boards_dir() / "unix.toml").is_file()
    assert (resources.demo_dir() / "truth.json").is_file()
    assert (resources.models_dir() / "vad.tflite").is_file()


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError) as caught:
        resources.cache_dir()
    assert str(caught.value).endswith("cannot be made: Not a directory (set BODYDOUBLE_CACHE to another folder)")
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept"
    resources.write_atomically(path, b"old")
    (tmp_path / "plain").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode  # what the user's umask says
    (tmp_path / "plain").unlink()

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        resources.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
