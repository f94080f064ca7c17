"""Type-checks firmware/ against MicroPython's own types: `python tools/check_firmware.py [mypy options]`.

mypy sees the stub packages `micropython-rp2-rpi-pico-stubs` and `micropython-stdlib-stubs` in place of CPython's
typeshed, so that what MicroPython lacks is an error. The Pico's stubs serve every port: `port/rp2.py` needs them, and
two boards' stubs would overwrite each other in site-packages. Both packages are copied to a temporary folder, for two
reasons: they would also be seen from the host's code, and a few things in them are not so (see `_adapt`). The
firmware is annotated only where viper needs it, so functions without annotations are checked as well, and what mypy
merely guesses from a first assignment is not held against a later one (NO_PROMISES).
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUBS = ("micropython-rp2-rpi-pico-stubs", "micropython-stdlib-stubs")
NO_PROMISES = (
    "no-redef",  # one of two modules under one name: the tier that can be loaded
    "has-type",  # an attribute that a method called by __init__ sets
    "dict-item",  # a dictionary that begins with values of one type
)
OPTIONS = (
    *(f"--disable-error-code={code}" for code in NO_PROMISES),
    "--no-strict-optional",  # None at first, a buffer from reset() on
    "--check-untyped-defs",
    "--no-site-packages",
    "--no-incremental",
    "--explicit-package-bases",
    "--warn-unreachable",
    "--warn-redundant-casts",
    "--warn-unused-ignores",
    "--strict-equality",
    "--no-error-summary",
    "--hide-error-context",
)


def copy_stubs(folder: Path) -> None:
    """Copy the stub files of the installed packages to `folder`. Raises SystemExit where one is missing."""
    for package in STUBS:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            raise SystemExit(f"{package} is not installed (pip install 'bodydouble[test]')") from None
        for file in files:
            if file.suffix == ".pyi" or file.name == "VERSIONS":
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(Path(str(file.locate())).read_bytes())
    _adapt(folder)


def _adapt(folder: Path) -> None:
    # A viper function takes any buffer where it declares a pointer: its body is checked, calls of it are not.
    _replace(
        folder / "micropython.pyi",
        "def viper(_func: Callable[_Param, _Ret], /) -> Callable[_Param, _Ret]:",
        "def viper(_func: Callable[_Param, _Ret], /) -> Callable[..., _Ret]:",
    )
    # Ticks are small integers, and masking them is the way to keep them so.
    for unit in ("Ms", "Us", "CPU"):
        _replace(folder / "_mpy_shed" / "time_mp.pyi", f"class _Ticks{unit}:", f"class _Ticks{unit}(int):")
    # sys.implementation is a tuple as well.
    _replace(
        folder / "stdlib" / "sys" / "__init__.pyi",
        "class _implementation:\n",
        "class _implementation:\n    def __getitem__(self, index: int) -> Any: ...\n",
    )


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise SystemExit(f"{path.name} of the MicroPython stubs has changed: {old!r} is not there once")
    path.write_text(text.replace(old, new), encoding="utf-8")


def _asm_modules(firmware: Path) -> list[str]:
    modules = [path.relative_to(firmware).with_suffix("") for path in firmware.rglob("*_*.py")]
    return [".".join(module.parts) for module in modules if module.name.endswith(("_asm", "_dsp"))]


def check(arguments: list[str], firmware: Path = ROOT / "firmware") -> subprocess.CompletedProcess[str]:
    """Run mypy over `firmware`, with `arguments` added; its lines are on stdout."""
    with tempfile.TemporaryDirectory(prefix="bodydouble-stubs-") as name:
        typeshed = Path(name)
        copy_stubs(typeshed)
        config = typeshed / "mypy.ini"
        config.write_text(
            f"[mypy]\nmypy_path = {firmware}:{typeshed}\ncustom_typeshed_dir = {typeshed}\n"
            # The stubs' own slips are not ours.
            "[mypy-_mpy_shed.*,machine,vfs]\nignore_errors = True\n[mypy-_io]\nignore_missing_imports = True\n"
            # The inline assembler's instructions and registers are no names, and its str is not the type.
            + "".join(
                f"[mypy-{m}]\ndisable_error_code = name-defined, call-overload\n" for m in _asm_modules(firmware)
            )
        )
        command = [sys.executable, "-m", "mypy", "--config-file", str(config), *OPTIONS, *arguments, str(firmware)]
        return subprocess.run(command, cwd=firmware.parent, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    done = check(sys.argv[1:])
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    raise SystemExit(done.returncode)
