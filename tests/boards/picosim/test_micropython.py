"""MicroPython on the emulated Pico, seen from its serial port. Needs an image."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import serial

from bodydouble.boards.images import find_image
from bodydouble.boards.inventory import board_type
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.picosim.emulator import unique_id
from bodydouble.boards.uf2 import Image
from support.processes import wait_for

pytestmark = [pytest.mark.pico_image, pytest.mark.usefixtures("emulator")]

PATIENCE_S = 60.0


class Repl:
    """The raw REPL on a port that is open."""

    def __init__(self, port: serial.Serial) -> None:
        self.port = port
        self.port.timeout = PATIENCE_S
        self.port.write(b"\r\x03\x03\r\x01")
        self.until(b"raw REPL; CTRL-B to exit\r\n>")

    def until(self, end: bytes) -> bytes:
        data: bytes = self.port.read_until(end)
        assert data.endswith(end), data
        return data[: -len(end)]

    def start(self, code: str) -> None:
        self.port.write(code.encode() + b"\x04")
        self.until(b"OK")

    def run(self, code: str) -> str:
        self.start(code)
        output, error = self.until(b"\x04"), self.until(b"\x04>")
        assert not error, error.decode()
        return output.decode().strip()


@pytest.fixture(scope="module")
def image(emulator_cache: Path) -> Image:
    return find_image(board_type("pico-sim"))


@pytest.fixture(scope="module")
def flash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("micropython") / "board.flash"


@pytest.fixture(scope="module")
def sim(image: Image, flash: Path) -> Iterator[PicoSim]:
    with PicoSim.start("tested", image, flash) as sim:
        yield sim


@pytest.fixture
def repl(sim: PicoSim) -> Iterator[Repl]:
    sim.wait_attached(PATIENCE_S)
    with serial.Serial(sim.port, 115200) as port:
        yield Repl(port)


def test_it_is_the_board_that_it_says(sim: PicoSim, repl: Repl) -> None:
    assert repl.run("import machine; print(machine.unique_id().hex(), machine.freq())").split() == [
        unique_id("tested"),
        "125000000",
    ]
    usb = sim.control("state")["usb"]
    assert (usb["vid"], usb["pid"], usb["serial"].lower()) == (0x2E8A, 5, unique_id("tested"))


def test_over_a_socket_too(sim: PicoSim) -> None:
    with serial.serial_for_url(sim.socket_url) as port:
        assert Repl(port).run("print(6 * 7)") == "42"


def test_pins_and_converter(sim: PicoSim, repl: Repl) -> None:
    sim.control("adc", channel=0, volts=1.65)
    sim.control("gpio_in", pin=2, level=1)
    code = "from machine import *; import rp2; led = Pin(25, Pin.OUT, value=1)\n"
    code += (
        "print(led(), Pin(2, Pin.IN)(), Pin(4, Pin.IN, Pin.PULL_UP)(), ADC(26).read_u16() >> 8, rp2.bootsel_button())"
    )
    assert repl.run(code) == "1 1 1 128 0"
    assert sim.control("state")["led"] is True


def test_assembler_viper_and_arithmetic(repl: Repl) -> None:
    code = (
        "import micropython, math\n"
        "@micropython.asm_thumb\ndef a(r0):\n add(r0, r0, r0)\n"
        "@micropython.viper\ndef v(n: int) -> int:\n s = 0\n for i in range(n):\n  s += i\n return s\n"
        "print(a(21), v(100), math.sqrt(2) == 2 ** .5, 7 // -2, 1 << 40, round(math.sin(1), 4))"
    )
    assert repl.run(code) == "42 4950 True -4 1099511627776 0.8415"


def test_a_reset_takes_the_port_away_and_the_files_stay(sim: PicoSim, repl: Repl) -> None:
    repl.run("with open('kept', 'w') as f: f.write('x' * 5000)")
    before = sim.attachments
    repl.start("import machine; machine.reset()")
    with pytest.raises(serial.SerialException):
        repl.port.read(1)
    sim.wait_attached(PATIENCE_S, beyond=before)
    assert sim.control("state")["reset_cause"] == "watchdog-forced"
    with serial.Serial(sim.port) as port:
        again = Repl(port)
        assert again.run("import os, machine; print(os.stat('kept')[6], machine.reset_cause())") == "5000 3"


def test_the_boot_loader_is_asked_for_and_a_file_ends_it(sim: PicoSim, repl: Repl, image: Image, flash: Path) -> None:
    repl.run("open('behind', 'w').close()")
    repl.start("import machine; machine.bootloader()")
    wait_for(lambda: sim.control("state")["mode"] == "bootsel", "BOOTSEL mode")
    assert not sim.attached
    file = flash.with_suffix(".uf2")
    file.write_bytes(image.to_uf2())
    assert sim.control("uf2", path=str(file))["complete"] is True
    sim.wait_attached(PATIENCE_S)
    with serial.Serial(sim.port) as port:
        assert Repl(port).run("import os; print('behind' in os.listdir())") == "True", "files are behind the image"


def test_the_board_hears_when_its_port_is_opened_and_what_it_said_before_is_shown(
    image: Image, tmp_path: Path
) -> None:
    with PicoSim.start("heard", image, tmp_path / "heard.flash") as sim, serial.Serial(sim.port, timeout=20) as port:
        assert b"MicroPython" in port.read_until(b">>> ")


def test_the_cable_is_pulled_and_put_back(sim: PicoSim, repl: Repl) -> None:
    repl.run("x = 17")
    sim.control("usb", connected=False)
    assert not sim.attached and not Path(sim.port).is_symlink()
    sim.control("usb", connected=True)
    sim.wait_attached(PATIENCE_S)
    with serial.Serial(sim.port) as port:
        assert Repl(port).run("print(x)") == "17", "it kept its power"


def test_the_bus_carries_no_more_than_a_real_one(sim: PicoSim, repl: Repl) -> None:
    repl.run("import sys; b = bytes(4000)")
    before = sim.control("stats")
    repl.start("for _ in range(10): sys.stdout.buffer.write(b)")
    data = repl.until(b"\x04>")
    after = sim.control("stats")
    assert len(data) > 40_000
    rate = (after["usb_received"] - before["usb_received"]) / (after["emulated_s"] - before["emulated_s"])
    assert rate < 19 * 64 * 1000


def test_idle_costs_next_to_nothing(sim: PicoSim, repl: Repl) -> None:
    repl.run("pass")
    wait_for(lambda: sim.control("state")["idle"], "rest")
    before, cycles = psutil.Process(sim.pid).cpu_times(), sim.control("stats")["cycles"]
    time.sleep(0.5)  # what is measured is rest
    after = psutil.Process(sim.pid).cpu_times()
    assert sim.control("stats")["cycles"] == cycles
    assert after.user + after.system - before.user - before.system <= 0.05


def test_the_same_input_takes_the_same_cycles(image: Image, tmp_path: Path) -> None:
    counts = []
    code = "s = 0\nfor i in range(3000): s += i * i\nopen('a', 'w').write(str(s))\n" + "#" * 300
    for number in range(2):
        with (
            PicoSim.start("same", image, tmp_path / f"{number}.flash", clock="emulated") as sim,
            serial.Serial(sim.port) as port,
        ):
            repl = Repl(port)
            at_rest = wait_for(lambda sim=sim: (s := sim.control("state"))["resting"] and s, "rest")
            repl.run(code)
            after = wait_for(lambda sim=sim: (s := sim.control("state"))["resting"] and s, "rest")
            counts.append(after["cycles"] - at_rest["cycles"])
    assert counts[0] == counts[1] > 1_000_000
