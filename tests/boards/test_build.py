"""Building MicroPython: tools that are missing, archives that fail, compilers that fail, breaking off and going on.

apt, dpkg and make are small scripts here, with a PATH that leads to nothing else; what they do is steered by files.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bodydouble.boards.building import builder, recipe, store
from bodydouble.boards.building.builder import BuildOptions, build
from bodydouble.boards.building.debian import upstream
from bodydouble.boards.building.errors import (
    ArchiveError,
    BuildBusyError,
    BuildFailedError,
    NotRootError,
    PackagesMissingError,
    SourceError,
    UnknownBuildError,
)
from bodydouble.boards.building.recipe import recipe_for
from bodydouble.boards.building.store import built
from bodydouble.boards.errors import BoardFileError
from bodydouble.boards.inventory import board_type
from bodydouble.boards.micropythons import find_arm_micropython
from bodydouble.boards.uf2 import read_image
from bodydouble.errors import BodydoubleError, ExitCode
from support.build_tools import HEADER, MADISON, RECIPE, Tools
from support.processes import wait_for


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_orphans: None) -> Tools:
    made = Tools(tmp_path / "tools")
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "cache"))
    return made


@pytest.fixture
def make(tools: Tools) -> Callable[..., store.Built]:
    def made(name: str = "pi-arm", **options: object) -> store.Built:
        return build(name, BuildOptions(jobs=3, **options), folder=tools.folder / "recipes")  # type: ignore[arg-type]

    return made


def _refused(make: Callable[..., store.Built], kind: type[BodydoubleError], **options: object) -> BodydoubleError:
    with pytest.raises(kind) as caught:
        make(**options)
    assert "\n" not in str(caught.value)
    assert built("pi-arm") is None
    return caught.value


# --- all goes well


def test_from_debian(tools: Tools, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    done = build("pi-arm", BuildOptions(jobs=3), lambda *stage: told.append(stage), folder=tools.folder / "recipes")
    assert (done.path, done.version) == (tmp_path / "cache" / "micropython" / "pi-arm", "1.26.1")
    assert done.program.read_text() == "code"
    assert os.access(done.program, os.X_OK)
    assert done == built("pi-arm")
    assert [number for number, _, _ in told] == [1, 2, 3, 4, 5, 6]
    assert {of for _, of, _ in told} == {6}
    assert [what for *_, what in told][2:5] == [
        "fetching sources", "compiling the compiler", "compiling MicroPython",
    ]  # fmt: skip
    calls = tools.asked()
    tree = tmp_path / "cache" / "build" / "pi-arm" / "tree"
    assert calls[-2:] == ["make first -j3", f"make second BOARD= TREE={tree}"]
    assert any(call.endswith("source --download-only micropython=1.26.1+ds-1") for call in calls)
    assert any(call.endswith("download part-source=1:2.1.1-1") for call in calls)
    # Nothing but the result is left.
    assert [path.name for path in (tmp_path / "cache" / "build").iterdir()] == ["pi-arm.lock"]
    assert [path.name for path in (tmp_path / "cache" / "micropython").iterdir()] == ["pi-arm"]


def test_the_machines_apt_is_read_and_not_changed(tools: Tools, make: Callable[..., store.Built]) -> None:
    make()
    signed = "" if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists() else (
        " [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    )  # fmt: skip
    assert (tools.folder / "list").read_text().splitlines() == [
        f"deb{signed} http://mirror.invalid/debian/ trixie main",
        f"deb-src{signed} http://mirror.invalid/debian/ sid main",
    ]
    configured = (tools.folder / "apt.conf").read_text()
    cache = os.environ["BODYDOUBLE_CACHE"]
    for what in ("Dir::State::lists", "Dir::Cache", "Dir::Etc::sourcelist"):
        assert f'{what} "{cache}/build/pi-arm/debian/' in configured
    assert 'Dir::Etc::sourceparts "-";' in configured
    assert "#clear APT::Update::Post-Invoke;" in configured


def test_what_is_built_is_not_built_again(tools: Tools, make: Callable[..., store.Built]) -> None:
    first = make()
    tools.asked()
    assert make() == first
    assert make("pi") == first, "a Pi runs the same build"
    assert tools.asked() == []
    tools.tell("program", "better")
    assert make(again=True).program.read_text() == "better"
    tools.asked()
    path = tools.folder / "recipes" / "fake.toml"
    path.write_text(path.read_text().replace("-j{jobs}", "-j{jobs} V=1"))
    make()
    assert "make first -j3 V=1" in tools.asked(), "another recipe is another build"


def test_an_image_for_a_pico_is_wrapped_too(tools: Tools, make: Callable[..., store.Built]) -> None:
    machine = b"\0MicroPython v1.26.1 on 2025-09-11; Raspberry Pi Pico with RP2040\0"
    (tools.folder / "program").write_bytes(b"\x01" * 1000 + machine)
    done = make("pico-sim")
    assert (done.path.name, list(done.files)) == ("pico", ["program", "firmware.uf2"])
    image = read_image(done.path / "firmware.uf2", board_type("pico"))
    assert (image.machine, image.version) == ("Raspberry Pi Pico", "1.26.1")
    assert "make second BOARD=RPI_PICO" in " ".join(tools.asked())


@pytest.mark.parametrize("kind", ["folder", "tarball"])
def test_from_given_sources(tools: Tools, make: Callable[..., store.Built], tmp_path: Path, kind: str) -> None:
    source = tmp_path / "micropython-1.27.0"
    (source / "py").mkdir(parents=True)
    (source / "py" / "mpconfig.h").write_text(HEADER.replace("26", "27").replace("MICRO 1", "MICRO 0"))
    (source / "ports" / "build-standard").mkdir(parents=True)
    if kind == "tarball":
        with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as tar:
            tar.add(source, source.name)
        source = tmp_path / "m.tar.gz"
    done = make(source=source)
    assert done.version == "1.27.0"
    assert not [call for call in tools.asked() if call.startswith(("apt", "dpkg"))]
    if kind == "folder":
        assert not (source / "ports" / "out").exists(), "the user's folder is not built in"


# --- tools that are missing


def test_missing_tools_are_named_with_their_packages(tools: Tools, make: Callable[..., store.Built]) -> None:
    tools.add("cross-gcc", "echo libc.a")  # what gcc answers where it finds no such file
    (tools.bin / "make").unlink()
    (tools.bin / "dpkg-source").unlink()
    error = _refused(make, PackagesMissingError)
    assert str(error) == (
        "building pi-arm needs make, libc.a for cross-gcc, dpkg-source (apt-get install --no-install-recommends make "
        "libc6-dev-cross fake-qemu-user dpkg-dev; or, as root, --install-packages)"
    )
    assert error.exit_code == ExitCode.FIRMWARE
    assert not [call for call in tools.asked() if call.startswith("apt")]


def test_a_machine_that_is_no_debian(tools: Tools, make: Callable[..., store.Built]) -> None:
    for name in ("apt-get", "apt-cache", "dpkg", "dpkg-source", "dpkg-deb"):
        (tools.bin / name).unlink()
    assert str(_refused(make, PackagesMissingError)) == (
        "building pi-arm needs dpkg-source (this machine has no apt: install them its own way, and give "
        "MicroPython's sources by --source)"
    )


def test_what_only_running_needs_does_not_stop_a_build(make: Callable[..., store.Built]) -> None:
    assert make().program.exists()  # fake-qemu is never there


def test_packages_are_installed_on_request(
    tools: Tools, make: Callable[..., store.Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tools.bin / "cross-gcc").unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    make(install_packages=True)
    asked = [call for call in tools.asked() if call.startswith("apt-get") and " -c " not in call]
    install = "apt-get install --no-install-recommends libc6-dev-cross fake-qemu-user -y -q"
    assert asked[:3] == [install, "apt-get -q update", install], "a fresh machine's lists are updated"


def test_only_root_installs_packages(
    tools: Tools, make: Callable[..., store.Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tools.bin / "cross-gcc").unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    error = _refused(make, NotRootError, install_packages=True)
    assert str(error) == (
        "only root can install packages (sudo apt-get install --no-install-recommends libc6-dev-cross fake-qemu-user)"
    )
    assert error.exit_code == ExitCode.USAGE


# --- the archive


@pytest.mark.parametrize("targets", ["", "http://archive.invalid/ubuntu/|Ubuntu|Ubuntu|main|$(SIGNED_BY)\n"])
def test_no_archive_of_debians(tools: Tools, make: Callable[..., store.Built], targets: str) -> None:
    tools.tell("targets", targets)
    error = _refused(make, ArchiveError)
    assert str(error) == (
        "apt on this machine knows no archive of Debian's (give MicroPython's sources: --source FOLDER_OR_TARBALL)"
    )
    assert error.exit_code == ExitCode.FIRMWARE


def test_a_fresh_machine_and_a_local_mirror(tools: Tools, make: Callable[..., store.Built]) -> None:
    # Without lists, apt names no targets, only where it would look for some.
    tools.tell("targets", "")
    tools.tell(
        "uris",
        "'file:/srv/debian-security/dists/stable-security/InRelease' _srv_debian-security_dists_stable 0 \n"
        "'file:/srv/debian/dists/stable/InRelease' _srv_debian_dists_stable_InRelease 0 \n",
    )
    make()
    assert " file:/srv/debian/ trixie main\n" in (tools.folder / "list").read_text()


def test_the_machines_own_key(tools: Tools, make: Callable[..., store.Built]) -> None:
    tools.tell("targets", "http://mirror.invalid/d/|Debian|Debian|main|/etc/apt/keyrings/ours.gpg\n")
    make()
    assert "deb [signed-by=/etc/apt/keyrings/ours.gpg] http://mirror.invalid/d/ trixie main" in (
        (tools.folder / "list").read_text()
    )


def test_an_archive_out_of_reach(tools: Tools, make: Callable[..., store.Built], tmp_path: Path) -> None:
    tools.tell("offline")
    error = _refused(make, BuildFailedError)
    log = tmp_path / "cache" / "build" / "pi-arm.log"
    assert str(error) == (
        "apt-get failed (exit code 100): E: Failed to fetch the index  Could not connect "
        f"(its log is {log}; the same command goes on from here)"
    )
    assert error.exit_code == ExitCode.FIRMWARE
    assert "2/6 reading the archive's index" in log.read_text()


def test_a_package_that_is_gone(tools: Tools, make: Callable[..., store.Built]) -> None:
    tools.tell("madison", MADISON.replace("trixie", "forky"))
    assert "Debian's trixie has no part-source any more (give MicroPython's" in str(_refused(make, ArchiveError))


def test_the_newest_is_taken_where_the_wanted_version_is_gone(tools: Tools, make: Callable[..., store.Built]) -> None:
    tools.tell("madison", MADISON.replace("1.26.1", "1.27.1"))
    make()
    assert any(call.endswith("micropython=1.27.0+ds-2") for call in tools.asked())


@pytest.mark.parametrize(
    ("version", "bare"), [("1.26.1+ds-1", "1.26.1"), ("1:2.1.1-1", "2.1.1"), ("0.18.0", "0.18.0")]
)
def test_upstream_versions(version: str, bare: str) -> None:
    assert upstream(version) == bare


# --- compiling


def test_a_compiler_that_fails_is_quoted_and_the_next_run_goes_on(
    tools: Tools, make: Callable[..., store.Built], tmp_path: Path
) -> None:
    tools.tell("broken")
    error = _refused(make, BuildFailedError)
    assert str(error).startswith("make failed (exit code 2): main.c:7:1: error: unknown type name 'tea' (its log is ")
    assert str(tmp_path / "cache" / "build" / "pi-arm.log") in str(error)
    assert "CC main.c" in (tmp_path / "cache" / "build" / "pi-arm.log").read_text()
    tools.unsay("broken")
    tools.asked()
    make()
    assert [call.split()[0] for call in tools.asked()] == ["cross-gcc", "make", "make"], "nothing is fetched again"


def test_what_another_recipe_or_other_sources_began_is_no_beginning(
    tools: Tools, make: Callable[..., store.Built], tmp_path: Path
) -> None:
    tools.tell("broken")
    _refused(make, BuildFailedError)
    path = tools.folder / "recipes" / "fake.toml"
    path.write_text(path.read_text().replace("-j{jobs}", "-j{jobs} V=1"))
    tools.asked()
    _refused(make, BuildFailedError)
    assert [call for call in tools.asked() if " update" in call], "fetched again"
    source = tmp_path / "source"
    (source / "py").mkdir(parents=True)
    (source / "py" / "mpconfig.h").write_text(HEADER.replace("26", "28"))
    tools.unsay("broken")
    assert make(source=source).version == "1.28.1"


def test_a_build_that_leaves_nothing(tools: Tools, make: Callable[..., store.Built]) -> None:
    tools.tell("nothing")
    assert str(_refused(make, BuildFailedError)).startswith("the build left no out (its log is ")


def test_a_file_that_is_there_is_left(make: Callable[..., store.Built], tools: Tools) -> None:
    tools.tell("broken")
    _refused(make, BuildFailedError)
    tree = store.work_dir("pi-arm") / "tree"
    assert (tree / "py" / "mpconfig.h").read_text() == HEADER
    assert (tree / "lib" / "part" / "README.md").read_text() == "made"
    assert (tree / "lib" / "part" / "part.c").exists()


@pytest.mark.parametrize("kind", ["nothing", "empty folder", "no tarball", "another tarball"])
def test_sources_that_are_none(make: Callable[..., store.Built], tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    if kind == "empty folder":
        source.mkdir()
    elif kind == "no tarball":
        source.write_text("nothing to unpack")
    elif kind == "another tarball":
        (tmp_path / "x").mkdir()
        with tarfile.open(source, "w") as tar:
            tar.add(tmp_path / "x", "x")
    error = _refused(make, SourceError, source=source)
    assert str(source) in str(error)
    assert "or leave --source out" in str(error)
    assert error.exit_code == ExitCode.USAGE


def test_two_at_once(tools: Tools, make: Callable[..., store.Built], tmp_path: Path) -> None:
    tools.tell("slow")

    def begin() -> None:
        with pytest.raises(BuildFailedError, match="make failed"):
            make()

    first = threading.Thread(target=begin)
    first.start()
    compiler = tools.folder / "compiler"
    wait_for(lambda: compiler.exists() and compiler.read_text().strip(), "compiler")
    error = _refused(make, BuildBusyError)
    assert str(error) == "another process is building pi-arm (wait until it is done)"
    for child in psutil.Process().children(recursive=True):
        if "make" in " ".join(child.cmdline()) or child.pid == int(compiler.read_text()):
            child.kill()
    first.join()


def test_an_old_build_stays_where_a_new_one_cannot_be_kept(
    make: Callable[..., store.Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make()
    renamed = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "new" and target.name == "pi-arm":
            raise OSError(28, "No space left on device", str(target))
        return renamed(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="No space left"):
        make(again=True)
    assert built("pi-arm") == first
    assert [path.name for path in store.store_dir().iterdir()] == ["pi-arm"]


@pytest.mark.parametrize("damage", ["no facts", "half", "no file"])
def test_a_damaged_build_is_none(make: Callable[..., store.Built], damage: str) -> None:
    done = make()
    if damage == "no facts":
        (done.path / "build.json").unlink()
    elif damage == "half":
        (done.path / "build.json").write_text('{"version": "1.2')
    else:
        done.program.unlink()
    assert built("pi-arm") is None
    assert built("nothing") is None


INTERRUPTED = """
import sys
from pathlib import Path
from bodydouble.boards.building.builder import BuildOptions, build
from bodydouble.cli.interrupts import INTERRUPTS
INTERRUPTS.install()
try:
    build("pi-arm", BuildOptions(jobs=1), folder=Path(sys.argv[1]))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_neither_a_child_nor_half_a_build(
    tools: Tools, make: Callable[..., store.Built], number: signal.Signals
) -> None:
    tools.tell("slow")
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tools.folder / "recipes")])
    compiler = tools.folder / "compiler"
    wait_for(lambda: compiler.exists() and compiler.read_text().strip(), "compiler")
    process.send_signal(number)
    assert process.wait(30) == 130
    wait_for(lambda: not psutil.pid_exists(int(compiler.read_text())), "end of the compiler")
    assert built("pi-arm") is None
    tools.unsay("slow")
    tools.asked()
    make()
    assert not [call for call in tools.asked() if "update" in call], "what was fetched is not fetched again"


# --- recipes


def test_what_is_built_for() -> None:
    for board in ("pi-arm", "pi", "pico", "pico-sim", "pico2"):
        name, found = recipe_for(board)
        assert found.version == "1.26.1"
        assert board_type(name)
        assert (board_type(board).micropython is None) == (next(iter(found.results)) == "micropython")
    with pytest.raises(UnknownBuildError) as caught:
        recipe_for("toaster")
    assert str(caught.value) == (
        "nothing is built for a 'toaster' board (boards to build for: pi, pi-arm, pico, pico-sim, pico2)"
    )
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('package = "make"', 'package = "-o"', "needs.0.package"),
        ('"ports/out"', '"../out"', "results.program"),
        ('"ports/out"', '"/bin/sh"', "results.program"),
        ("[[needs]]", "[[needs", "is no TOML"),
        ('version = "1.26.1"\nbuilds', "builds", "version: Field required"),
    ],
)
def test_a_recipe_that_is_none(tools: Tools, before: str, after: str, said: str) -> None:
    path = tools.folder / "recipes" / "fake.toml"
    path.write_text(RECIPE.replace(before, after, 1))
    with pytest.raises(BoardFileError) as caught:
        recipe_for("pi-arm", path.parent)
    assert said in str(caught.value)


# --- for real


@pytest.mark.soak
@pytest.mark.parametrize("board", ["pi-arm", "pico", "pico2"])
def test_a_real_build(board: str, soak: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not soak:
        pytest.skip("--soak builds MicroPython from source, for minutes")
    lacking = [need.package for need in builder.missing(recipe.recipe_for(board)[1], from_debian=True)]
    if lacking:
        pytest.skip(f"apt-get install {' '.join(lacking)}")
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path))
    monkeypatch.delenv("BODYDOUBLE_MICROPYTHON_ARM", raising=False)
    done = build(board)
    assert done.version == "1.26.1"
    if board == "pi-arm":
        assert find_arm_micropython().target.runs("asm")
    else:
        kind = board_type(board)
        assert kind.micropython
        for name in done.files:
            image = read_image(done.path / name, kind)
            assert (image.machine, image.version) == (kind.micropython.machine, "1.26.1")
