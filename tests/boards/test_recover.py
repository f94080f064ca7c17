"""The ladder: boards wedged in every way that a fake Pico can be, and what each rung says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bodydouble.boards.errors import ImageError, PortHeldError
from bodydouble.boards.holders import Holding, port_holders
from bodydouble.boards.recover import Power, Recovery, recover
from bodydouble.boards.repl import Repl
from bodydouble.boards.rescue import rescue_image
from bodydouble.boards.uf2 import Image
from bodydouble.errors import BoardError, ExitCode
from support.fake_pico import FakePico

LOOP = "while True: pass"
DEAF = "import machine\nmachine.deafen()\nwhile True: pass"
CRASH = "import no_such_module"
IMAGE = Image(1, {0: b"..._boot.py\0MPY: soft reboot\r\n\0main.py\0FATAL".ljust(256, b"."), 256: b"\0" * 256})


class Patient:
    """A fake Pico that a host sees as a real one; `absent` looks at its port find none first."""

    where = "the fake Pico"

    def __init__(self, flash: Path) -> None:
        self.pico = FakePico(flash)
        self.absent = 0
        self.written: list[Image] = []
        self.has_bootsel = False

    def port(self) -> str | None:
        self.absent -= 1
        return "fake" if self.pico.alive and self.absent < 0 else None

    def target(self, *, deaf: bool = False) -> Patient | None:
        return self if self.has_bootsel else None

    # --- a Target and its Loader

    name = "drive"
    serial = ""

    def enter(self) -> Patient:
        self.pico.off()
        return self

    def write(self, image: Image, tell: Callable[[str, int, int], None]) -> bool:
        self.written.append(image)
        self.pico.on(*(["rescue"] if image != IMAGE else []))
        return False

    def back(self) -> None:
        pass

    def digest(self, code: str) -> str | None:
        return None

    # --- what a test does with it

    def run(self, code: str) -> bytes:
        stream = self.pico.stream()
        try:
            repl = Repl(stream)
            repl.attend(10)
            return repl.exec(code)
        finally:
            stream.close()

    def with_main(self, source: str) -> None:
        self.run(f"with open('/main.py','w') as f: f.write({source!r})")
        self.pico.off()
        self.pico.on()

    def files(self) -> list[str]:
        return self.run("import os;print(*sorted(os.listdir('/')))").decode().split()


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    # A fake Pico answers in milliseconds, if at all.
    for name, seconds in {"BURST_S": 0.7, "RAW_S": 1.5, "VANISHING_S": 2.0, "PORT_S": 1.0, "PROOF_S": 4.0}.items():
        monkeypatch.setattr(f"bodydouble.boards.recover.{name}", seconds)
    patient = Patient(tmp_path / "flash")
    yield patient
    if patient.pico.alive:
        patient.pico.close()


class Switch:
    def __init__(self, patient: Patient, works: bool = True) -> None:
        self.patient, self.works = patient, works

    def off(self) -> None:
        if self.works:
            self.patient.pico.off()

    def on(self) -> None:
        if self.works:
            self.patient.pico.on()


def cure(patient: Patient, **options: object) -> Recovery:
    defaults = {"open_port": lambda port: patient.pico.stream(), "held_by": lambda port: [], **options}
    return recover(patient, **defaults)  # type: ignore[arg-type]


def outcomes(report: Recovery) -> list[tuple[str, str]]:
    return [(rung.name, rung.outcome) for rung in report.rungs]


GENTLE = [("port", "answered"), ("Ctrl-C", "answered"), ("proof", "answered")]


@pytest.mark.parametrize("main", ["", LOOP, CRASH])
def test_a_board_that_only_needs_ctrl_c_keeps_its_files(patient: Patient, main: str) -> None:
    patient.with_main(main)
    report = cure(patient)
    assert report.healthy and outcomes(report) == GENTLE
    assert report.changes == [] and report.notes == []
    assert patient.files() == ["main.py"]
    assert all(rung.seconds >= 0 for rung in report.rungs)
    assert report.seconds >= sum(rung.seconds for rung in report.rungs) - 0.1


def test_a_board_in_the_middle_of_a_raw_paste(patient: Patient) -> None:
    stream = patient.pico.stream()
    repl = Repl(stream)
    repl.attend()
    repl.write(b"\x05A\x01print('half of")
    stream.close()
    assert outcomes(cure(patient)) == GENTLE


def test_a_deaf_main_py_where_nothing_helps(patient: Patient) -> None:
    patient.with_main(DEAF)
    report = cure(patient)
    assert not report.healthy and report.changes == []
    assert outcomes(report) == [
        ("port", "answered"),
        ("Ctrl-C", "no answer"),
        ("raw REPL", "no answer"),
        ("soft reset", "skipped"),
        ("reset", "skipped"),
        ("BOOTSEL", "skipped"),
        ("power", "skipped"),
    ]
    assert "did not answer Ctrl-C" in report.rungs[2].said
    assert report.rungs[-1].said.endswith("name it: --power COMMAND, or --hub LOCATION")


def test_a_deaf_main_py_is_renamed_by_way_of_bootsel(patient: Patient) -> None:
    patient.with_main(DEAF)
    patient.has_bootsel = True
    report = cure(patient, image=IMAGE)
    assert report.healthy
    assert outcomes(report)[-2:] == [("BOOTSEL", "answered"), ("proof", "answered")]
    assert report.changes == [
        "/main.py is now /main.py.bad: the board did not answer",
        "MicroPython was flashed again",
    ]
    assert patient.files() == ["main.py.bad"]
    assert patient.written == [rescue_image(IMAGE), IMAGE]


def test_a_deaf_boot_py_comes_second(patient: Patient) -> None:
    patient.run(f"with open('/boot.py','w') as f: f.write({DEAF!r})")
    patient.with_main(DEAF)
    patient.has_bootsel = True
    report = cure(patient, image=IMAGE)
    assert report.healthy
    assert patient.files() == ["boot.py.bad", "main.py.bad"]


def test_bootsel_needs_an_image(patient: Patient) -> None:
    patient.with_main(DEAF)
    patient.has_bootsel = True
    report = cure(patient)
    assert not report.healthy
    assert "name one: --image FILE" in next(rung.said for rung in report.rungs if rung.name == "BOOTSEL")


@pytest.mark.parametrize("works", [True, False])
def test_power(patient: Patient, works: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bodydouble.boards.recover.POWER_OFF_S", 0.2)
    # Deaf in this run only: the next boot is well.
    patient.run("import machine\nwith open('/main.py','w') as f: f.write('pass')")
    stream = patient.pico.stream()
    repl = Repl(stream)
    repl.attend()
    repl.start(DEAF)
    stream.close()
    power: Power = Switch(patient, works)
    report = cure(patient, power=power)
    assert report.healthy == works
    said = next(rung for rung in report.rungs if rung.name == "power")
    assert (said.outcome == "answered") == works
    assert works or "the power never dropped" in said.said


def test_a_port_that_vanishes_and_returns(patient: Patient) -> None:
    patient.absent = 5
    report = cure(patient)
    assert report.healthy and outcomes(report) == GENTLE
    assert report.rungs[0].seconds > 0.3


def test_no_port_at_all(patient: Patient) -> None:
    patient.absent = 1 << 30
    report = cure(patient)
    assert not report.healthy
    assert report.rungs[0].said == "there is no port"


def test_a_holder_is_named_and_waited_for(patient: Patient) -> None:
    looks = iter([[Holding(7, "ModemManager")]] * 3 + [[]] * 100)
    assert cure(patient, held_by=lambda port: next(looks)).healthy
    with pytest.raises(
        PortHeldError, match=r"fake is held by minicom \(process 7\) \(close it, or: kill 7\)"
    ) as caught:
        cure(patient, held_by=lambda port: [Holding(7, "minicom")])
    assert caught.value.exit_code == ExitCode.NO_BOARD
    with pytest.raises(PortHeldError, match="systemctl stop ModemManager"):
        cure(patient, held_by=lambda port: [Holding(7, "ModemManager")])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_holders_are_found_in_proc() -> None:
    master, slave = os.openpty()
    port = os.ttyname(slave)
    child = subprocess.Popen([sys.executable, "-c", "import sys;sys.stdin.read()"], stdin=slave)
    try:
        until = time.monotonic() + 5
        while not (found := port_holders(port)):
            assert time.monotonic() < until
        assert [one.pid for one in found] == [child.pid]
        assert found[0].program.startswith("python")
    finally:
        child.kill()
        child.wait()
        os.close(master)
        os.close(slave)
    assert port_holders("socket://127.0.0.1:1") == []
    assert port_holders("/dev/null", Path("/no/such/proc")) == []


def test_a_full_filesystem_is_given_room(patient: Patient, tmp_path: Path) -> None:
    patient.run("with open('/log.bin','wb') as f:\n for n in range(340): f.write(bytes([n & 255]) * 4096)")
    patient.with_main(LOOP)
    report = cure(patient)
    assert report.healthy and "log.bin has 1,392,640" in report.notes[0] and "log.bin" in patient.files()
    report = cure(patient, save_to=tmp_path / "saved")
    assert report.healthy and "full: /log.bin (1,392,640 bytes) is now in" in report.changes[0]
    assert (tmp_path / "saved" / "log.bin").read_bytes() == b"".join(bytes([n & 255]) * 4096 for n in range(340))
    assert patient.files() == ["main.py"]


def damage(flash: Path, content: bytes) -> None:
    """Break the pointers that LittleFS keeps at the beginning of a long file's blocks."""
    data = bytearray(flash.read_bytes())
    found = [at for at in range(0, len(data), 4096) if content * 100 in data[at : at + 4096]]
    assert len(found) > 2
    for at in found:
        data[at : at + 8] = b"\x5a" * 8
    flash.write_bytes(data)


def test_a_corrupt_filesystem_is_formatted_and_what_could_be_read_put_back(patient: Patient, tmp_path: Path) -> None:
    patient.run(
        "import os\nos.mkdir('/data')\n"
        "with open('/data/readings','w') as f: f.write('reading' * 3000)\n"
        "with open('/data/notes.txt','w') as f: f.write('mine' * 900)"
    )
    patient.pico.off()
    damage(tmp_path / "flash", b"reading")
    patient.pico.on()
    report = cure(patient)
    assert "is damaged (/data/readings cannot be read)" in report.notes[0] and report.changes == []
    report = cure(patient, save_to=tmp_path / "saved")
    assert report.healthy
    assert "formatted (/data/readings cannot be read); 1 files were put back" in report.changes[0]
    assert report.changes[1] == "/data/readings is lost: it could not be read"
    assert patient.run("print(open('/data/notes.txt').read())") == b"mine" * 900 + b"\r\n"
    assert (tmp_path / "saved" / "data" / "notes.txt").read_bytes() == b"mine" * 900
    assert patient.files() == ["data"]


def test_formatting_on_request(patient: Patient, tmp_path: Path) -> None:
    patient.run("with open('/notes.txt','w') as f: f.write('mine')")
    assert cure(patient, reformat=True).changes == ["the filesystem was formatted (as asked)"]
    assert patient.files() == []


def test_what_the_rescue_image_runs() -> None:
    rescued = b"".join(rescue_image(IMAGE).pages.values())
    assert b"\0main.py\0" not in rescued and b"boot.py\0" not in rescued
    assert sum(a != b for a, b in zip(rescued, b"".join(IMAGE.pages.values()), strict=True)) == 2
    with pytest.raises(ImageError, match=r"runs no main\.py"):
        rescue_image(Image(1, {0: bytes(256)}))


def test_power_that_fails_is_told(patient: Patient) -> None:
    class Broken:
        def off(self) -> None:
            raise BoardError("no hub", hint="plug it in")

        def on(self) -> None:
            raise AssertionError("never reached")

    patient.with_main(DEAF)
    report = cure(patient, power=Broken())
    assert report.rungs[-1].said == "no hub (plug it in)"
