"""Flashing: a fake drive, a fake picotool, and a board that restarts under another port."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bodydouble import boards
from bodydouble.boards import Selector, board_type
from bodydouble.boards.discovery import Device, Surroundings, resolve
from bodydouble.boards.drives import Drive
from bodydouble.boards.errors import FlashError, NoDriverError, NoReplError, NoReplyError
from bodydouble.boards.flash import FlashReport, digest_code, digest_of, flash
from bodydouble.boards.flash_usb import DriveLoader, UsbTarget
from bodydouble.boards.uf2 import PAGE_BYTES, Image, parse_uf2, wrap
from bodydouble.errors import ExitCode
from bodydouble.link.errors import PortError
from support.desk import Desk, micropython

SERIAL = "e660583883724a32"
PICO = board_type("pico")
BANNER = b"MicroPython v1.26.1 on 2025-09-11\0; Raspberry Pi Pico with RP2040"
assert PICO.micropython
MICROPYTHON = wrap(bytes(range(256)) * 20 + BANNER, PICO.micropython)
BLINK = wrap(b"no banner" * 100, PICO.micropython)


class Pico:
    """A board on a desk: goes to BOOTSEL, takes an image from its drive, restarts. Only time that passes moves it."""

    def __init__(self, desk: Desk, *, mounted: bool = True) -> None:
        self.desk, self.mounted = desk, mounted
        self.flash: dict[int, bytes] = {}
        self.events: list[str] = []
        self.now = 0.0
        self.folder: Path | None = None
        self.entering = False
        self.comes_back = True
        self.spoils = False
        self.unready = 0

    def start(self, port: str = "/dev/ttyACM0", pid: int = 0x0005) -> None:
        self.desk.ports.append(micropython(port, SERIAL, "1-1", pid))

    def wait_for_image(self) -> None:
        self.desk.unplug("1-1")
        self.folder = self.desk.bootsel("1-1", mounted=self.mounted)

    # What UsbTarget reaches outside with.

    def bootloader(self, port: str) -> None:
        self.events.append(f"repl {port}")
        self.entering = True

    def mute(self, port: str) -> None:
        self.events.append(f"mute {port}")
        raise NoReplError("the board did not answer Ctrl-C")

    def touch(self, port: str) -> None:
        self.events.append(f"touch {port}")
        self.entering = True

    def run(self, port: str, code: str) -> str:
        if self.unready:
            self.unready -= 1
            raise PortError(f"cannot open {port}")
        self.events.append(f"run {port}")
        return execute(code, self.flash)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.entering:
            self.entering = False
            self.wait_for_image()
        elif self.folder and (self.folder / "firmware.uf2").exists():
            self.take((self.folder / "firmware.uf2").read_bytes())

    def take(self, data: bytes) -> None:
        self.folder = None
        self.desk.unplug("1-1")
        (image,) = parse_uf2(data, "what arrived").values()
        self.flash = dict(image.pages)
        if self.spoils:
            self.flash[0x10000000] = bytes(PAGE_BYTES)
        if self.comes_back:
            self.start("/dev/ttyACM7")


def execute(code: str, flash: dict[int, bytes]) -> str:
    """Run what would run on the board, with `uctypes` reading the board's flash."""
    printed: list[str] = []
    reads = SimpleNamespace(
        bytearray_at=lambda at, n: b"".join(flash[page] for page in range(at, at + n, PAGE_BYTES))
    )
    before = sys.modules.get("uctypes")
    sys.modules["uctypes"] = reads  # type: ignore[assignment]
    try:
        exec(code, {"print": printed.append})  # noqa: S102 - our own code, as a board runs it
    finally:
        del sys.modules["uctypes"]
        if before:
            sys.modules["uctypes"] = before
    return "\n".join(printed)


@pytest.fixture
def pico(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pico:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "cache"))
    return Pico(Desk(tmp_path / "root"))


def put(
    pico: Pico, image: Image = MICROPYTHON, device: Device | None = None, **options: Any
) -> tuple[FlashReport, UsbTarget, list[str]]:
    target = UsbTarget(
        device or resolve(PICO, Selector("pico"), pico.desk.here, bootsel=True),
        **{
            "here": pico.desk.here,
            "bootloader": pico.bootloader,
            "touched": pico.touch,
            "run": pico.run,
            "which": lambda name: None,
            "clock": pico.clock,
            "sleep": pico.sleep,
            **options,
        },
    )
    told: list[str] = []
    report = flash(image, target, lambda what, done, total: told.append(what), pico.clock)
    return report, target, list(dict.fromkeys(told))


def test_from_micropython_by_its_repl_and_its_drive(pico: Pico) -> None:
    pico.start()
    report, target, told = put(pico)
    assert (report.via, report.verified) == ("drive", "hashed by the board")
    assert (report.machine, report.version, report.size_bytes) == (
        "Raspberry Pi Pico",
        "1.26.1",
        MICROPYTHON.size_bytes,
    )
    assert pico.flash == MICROPYTHON.pages
    assert target.device.port == "/dev/ttyACM7"
    assert pico.events == ["repl /dev/ttyACM0", "run /dev/ttyACM7"]
    assert told == ["entering BOOTSEL mode", "writing", "restarting", "verifying"]
    assert list(report.seconds) == ["enter", "write", "restart", "verify"]


def test_a_board_that_does_not_answer_is_touched(pico: Pico) -> None:
    pico.start()
    put(pico, bootloader=pico.mute)
    assert pico.events[:2] == ["mute /dev/ttyACM0", "touch /dev/ttyACM0"]


def test_another_program_is_touched(pico: Pico) -> None:
    pico.start(pid=0x000A)
    put(pico)
    assert pico.events[0] == "touch /dev/ttyACM0"


def test_a_board_that_waits_already(pico: Pico) -> None:
    pico.wait_for_image()
    report, target, _ = put(pico)
    assert report.verified == "hashed by the board"
    assert pico.events == ["run /dev/ttyACM7"]
    assert target.device.serial == SERIAL


def test_where_usb_ports_are_not_known_the_new_drive_is_ours(pico: Pico, tmp_path: Path) -> None:
    # As on Windows and macOS: another board waits already, and another one runs MicroPython.
    folders = [tmp_path / "E", tmp_path / "F"]
    for folder in folders:
        folder.mkdir()
    drives, ports = [Drive("RPI-RP2", folders[0])], [micropython("COM3", SERIAL), micropython("COM4", "E6FF")]
    here = Surroundings(ports=lambda: ports, drives=lambda: list(drives), sysfs=tmp_path / "no")

    def sleep(seconds: float) -> None:
        pico.now += seconds
        if (folders[1] / "firmware.uf2").exists():
            drives[1:], ports[1:] = [], [micropython("COM9", SERIAL), ports[-1]]
        else:
            drives[1:], ports[:] = [Drive("RPI-RP2", folders[1])], ports[-1:]

    device = resolve(PICO, Selector("pico", SERIAL), here)
    report, target, _ = put(
        pico, device=device, here=here, sleep=sleep, run=lambda port, code: digest_of(MICROPYTHON)
    )
    assert report.verified
    assert not (folders[0] / "firmware.uf2").exists()
    assert target.device.serial == SERIAL

    # And one that waited already comes back as the board that was not there before.
    shutil.rmtree(folders[1])
    folders[1].mkdir()
    drives[:], ports[:] = [Drive("RPI-RP2", folders[1])], [micropython("COM4", "E6FF")]
    device = resolve(PICO, Selector("pico", str(folders[1])), here, bootsel=True)
    _, target, _ = put(pico, device=device, here=here, sleep=sleep, run=lambda port, code: digest_of(MICROPYTHON))
    assert target.device.serial == SERIAL


def test_a_board_that_cannot_be_brought_to_bootsel(pico: Pico) -> None:
    pico.start()
    with pytest.raises(FlashError, match=r"at /dev/ttyACM0 did not enter BOOTSEL mode \(hold its BOOTSEL") as caught:
        put(pico, bootloader=pico.mute, touched=lambda port: None)
    assert caught.value.exit_code == ExitCode.FIRMWARE


def test_what_the_board_holds_is_not_what_was_sent(pico: Pico) -> None:
    pico.start()
    pico.spoils = True
    with pytest.raises(FlashError, match="does not hold the image that was written"):
        put(pico)


def test_a_board_that_does_not_come_back(pico: Pico) -> None:
    pico.start()
    pico.comes_back = False
    with pytest.raises(NoReplyError, match="did not come back with MicroPython"):
        put(pico)


def test_a_board_that_cannot_hash_is_not_called_verified(pico: Pico) -> None:
    pico.start()
    report, _, _ = put(pico, run=lambda port, code: pico.mute(port))
    assert report.verified == ""


def test_a_port_that_udev_is_not_done_with(pico: Pico) -> None:
    pico.start()
    pico.unready = 5
    assert put(pico)[0].verified == "hashed by the board"


def test_an_image_that_is_no_micropython_is_not_waited_for(pico: Pico) -> None:
    pico.wait_for_image()
    report, _, told = put(pico, BLINK)
    assert report.verified == ""
    assert told == ["entering BOOTSEL mode", "writing"]


def test_a_drive_that_nobody_mounts(pico: Pico) -> None:
    pico.mounted = False
    pico.start()
    with pytest.raises(FlashError, match=r"drive /dev/sda1 is not mounted \(run: udisksctl mount -b /dev/sda1; or"):
        put(pico)
    assert pico.now >= 12


def test_a_drive_that_is_mounted_late(pico: Pico) -> None:
    pico.mounted = False
    pico.start()

    def sleep(seconds: float) -> None:
        pico.sleep(seconds)
        if pico.now > 3 and not pico.mounted:
            pico.mounted = True
            pico.wait_for_image()

    assert put(pico, sleep=sleep)[0].verified


def test_a_copy_that_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "firmware.uf2").mkdir()
    with pytest.raises(FlashError, match=r"the copy to .*firmware\.uf2 broke off after 0 of 10,752 bytes: Is a dir"):
        DriveLoader(tmp_path).write(MICROPYTHON, lambda *told: None)


def test_a_full_drive(tmp_path: Path) -> None:
    (tmp_path / "firmware.uf2").symlink_to("/dev/full")
    with pytest.raises(FlashError, match=r"broke off after 0 of .*: No space left on device"):
        DriveLoader(tmp_path).write(MICROPYTHON, lambda *told: None)


FAKE = """#!{python}
import json, shutil, sys
with open("{log}", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "{fails}":
    print("Loading into Flash: [====]")
    sys.stderr.write("ERROR: {says}\\n")
    sys.exit(249)
if sys.argv[1] == "load":
    shutil.copy(sys.argv[2], "{log}.uf2")
"""


@pytest.fixture
def picotool(tmp_path: Path) -> Callable[..., tuple[Callable[[str], str], Callable[[], list[list[str]]], Path]]:
    def made(fails: str = "", says: str = "") -> Any:
        program, log = tmp_path / "bin" / "picotool", tmp_path / "log"
        program.parent.mkdir()
        program.write_text(FAKE.format(python=sys.executable, log=log, fails=fails, says=says))
        program.chmod(0o755)
        return (
            lambda name: str(program),
            lambda: [json.loads(line) for line in log.read_text().splitlines()],
            Path(f"{log}.uf2"),
        )

    return made


def test_picotool_reads_back(pico: Pico, picotool: Callable[..., Any]) -> None:
    pico.start()
    pico.desk.bootsel("1-9", pid=0x000F, serial="FF")  # another board waits: ours is meant by its address
    which, log, taken = picotool()

    def sleep(seconds: float) -> None:
        pico.sleep(seconds)
        if taken.exists() and pico.folder:
            pico.take(taken.read_bytes())

    report, target, _ = put(pico, which=which, sleep=sleep)
    assert (report.via, report.verified) == ("picotool", "read back by picotool")
    assert [call[0] for call in log()] == ["load", "verify", "reboot"]
    assert all(call[-4:] == ["--bus", "1", "--address", "2"] for call in log())
    assert pico.flash == MICROPYTHON.pages
    assert target.device.port == "/dev/ttyACM7"


@pytest.mark.parametrize("step", ["load", "verify", "reboot"])
def test_picotool_fails(step: str, pico: Pico, picotool: Callable[..., Any]) -> None:
    pico.wait_for_image()
    which, _, _ = picotool(step, "No accessible RP-series devices in BOOTSEL mode were found.")
    with pytest.raises(FlashError) as caught:
        put(pico, which=which)
    assert str(caught.value) == (
        f"picotool {step} failed: ERROR: No accessible RP-series devices in BOOTSEL mode were found. "
        "(bodydouble boards setup; or try --via drive)"
    )


def test_of_two_that_wait_the_named_one_is_flashed(pico: Pico) -> None:
    pico.desk.bootsel("1-9")
    pico.start()
    pico.wait_for_image()
    device = resolve(PICO, Selector("pico", "usb-1-1"), pico.desk.here, bootsel=True)
    assert put(pico, device=device)[0].verified
    assert [one.location for one in pico.desk.here.devices() if one.mode == "bootsel"] == ["1-9"]


def test_who_writes_can_be_said(pico: Pico, picotool: Callable[..., Any]) -> None:
    pico.wait_for_image()
    which, _, _ = picotool()
    assert put(pico, which=which, via="drive")[0].via == "drive"
    pico.wait_for_image()
    with pytest.raises(FlashError, match=r"picotool is not to be found \(install it, or leave --via out\)"):
        put(pico, via="picotool")


def test_the_code_hashes_every_piece() -> None:
    image = Image(1, {0x10000000: b"a" * 256, 0x10000100: b"b" * 256, 0x10010000: b"c" * 256})
    code = digest_code(image)
    assert re.findall(r"\(\d+,\d+\)", code) == ["(268435456,512)", "(268500992,256)"]
    assert execute(code, dict(image.pages)) == digest_of(image)
    assert execute(code, {**image.pages, 0x10010000: b"d" * 256}) != digest_of(image)


def test_an_emulated_board_is_flashed_by_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = ModuleType("a_driver")
    driver.__spec__ = ModuleSpec("a_driver", None)
    monkeypatch.setitem(sys.modules, "a_driver", driver)
    monkeypatch.setitem(boards._DRIVERS, "pico-sim", "a_driver")
    kind = board_type("pico-sim")
    with pytest.raises(NoDriverError, match=r"cannot flash a pico-sim board \(flash a board on a USB port\)"):
        boards.flash_target(kind, Selector("pico-sim"))
    monkeypatch.setattr(
        driver, "flash_target", lambda kind, selector, *, purpose: (kind.type, str(selector), purpose), raising=False
    )
    said: Any = boards.flash_target(kind, Selector("pico-sim", "left"), purpose="test")
    assert said == ("pico-sim", "pico-sim:left", "test")
