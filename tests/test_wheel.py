"""The wheel: what is in it, and that it works from another folder, in a fresh environment, with an empty home."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from bodydouble import __version__
from support.processes import ROOT, environment, strict

pytest.importorskip("hatchling", reason="pip install hatchling")


def call(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return path


def test_what_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        sizes = sum(info.compress_size for info in archive.infolist())
    assert wheel.name == f"bodydouble-{__version__}-py3-none-any.whl"
    tops = {name.split("/")[0] for name in names}
    assert tops == {"bodydouble", f"bodydouble-{__version__}.dist-info"}
    for folder, patterns in {
        "firmware": ("*.py",),
        "boards": ("*.toml",),
        "models": ("*.tflite", "*.json"),
        "tests/data/demo": ("*",),
    }.items():
        inside = {"tests/data/demo": "demo"}.get(folder, folder)
        for pattern in patterns:
            for path in (ROOT / folder).rglob(pattern):
                if path.is_file() and "__pycache__" not in path.parts:
                    assert f"bodydouble/_data/{inside}/{path.relative_to(ROOT / folder).as_posix()}" in names
    for source in (ROOT / "host" / "bodydouble").rglob("*"):
        if source.is_file() and "__pycache__" not in source.parts:
            assert source.relative_to(ROOT / "host").as_posix() in names
    assert any(name.startswith("bodydouble/cloud/chips/") for name in names)
    assert any(name.startswith("bodydouble/cloud/models/") for name in names)
    assert any(name.endswith(".yaml") for name in names), "the sentence files"
    assert "bodydouble/py.typed" in names
    unwanted = [
        name
        for name in names
        if name.endswith((".mpy", ".pyc", ".pyo", ".orig"))
        or "/tests/" in name
        or "/test_" in name
        or "__pycache__" in name
        or "/." in name
    ]
    assert not unwanted
    assert sizes < 5e6


def test_the_wheel_does_the_main_job(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    python = venv / "bin" / "python"
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    # Dependencies come from here, so that nothing is downloaded; the package itself must not. A plain path in a .pth
    # is not searched for further .pth files, so an editable installation there stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    call(
        sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel, cwd=tmp_path
    )
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    variables = {
        key: value for key, value in environment().items() if not key.startswith(("XDG_", "PYTHON", "BODYDOUBLE_"))
    }
    variables |= {"HOME": str(home), "PATH": os.defpath}
    where = call(python, "-c", "import bodydouble; print(bodydouble.__file__)", cwd=elsewhere, env=variables)
    assert Path(where.strip()).is_relative_to(site)
    for arguments in (("demo",), ("stream", ROOT / "tests" / "data" / "demo" / "01-kitchen-light.flac")):
        out = call(python, "-m", "bodydouble.cli.main", *arguments, "--json", "-", cwd=elsewhere, env=variables)
        result = strict(out)
        assert result["outcome"]["status"] == "passed"
        assert result["wakes"] and result["requests"][0]["reply"]
    assert list(home.rglob("firmware/*")), "the cache belongs into the home folder"
    assert not list(elsewhere.iterdir())


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    call(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / f"bodydouble-{__version__}"
    assert f"{unpacked.name}/firmware/main.py" in names
    assert f"{unpacked.name}/tests/conftest.py" in names
    assert not [name for name in names if name.endswith((".mpy", ".pyc")) or "__pycache__" in name]
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "again", cwd=unpacked)
    (again,) = (tmp_path / "again").glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as two:
        assert sorted(one.namelist()) == sorted(two.namelist())
