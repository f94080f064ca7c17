"""The emulated chip under hand-made programs: boot ROM, flash, resets, pins, time. No MicroPython is needed."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from bodydouble.boards.errors import BoardGoneError
from bodydouble.boards.picosim import PicoSim
from bodydouble.boards.picosim.emulator import unique_id
from bodydouble.boards.picosim.errors import EmulatorBusyError, EmulatorError
from support.pico_bench import Bench, uf2
from support.pico_program import RESULTS, Program, bootable

AREA = 0x100000  # of the flash, far behind the programs
WATCHDOG = 0x40058000
TIMER = 0x40054000
SSI = 0x18000000


def flash_bytes(bench: Bench, offset: int, count: int) -> bytes:
    with bench.flash.open("rb") as file:
        file.seek(offset)
        return file.read(count)


def filler(address: int, words: int) -> Program:
    """r2 counts down, r1 walks: a pattern from `address` on."""
    return (
        Program().ldr(1, address).ldr(2, words).ldr(3, 0x12345678)
        .label("fill").store(3, 1).adds(1, 4).adds(3, 17).subs(2, 1).b("fill", "ne")
    )  # fmt: skip


def pattern(words: int) -> bytes:
    return b"".join(struct.pack("<I", 0x12345678 + 17 * at & 0xFFFFFFFF) for at in range(words))


# --- BOOTSEL


def test_a_complete_file_is_started_and_a_part_of_one_is_not(bench: Bench) -> None:
    program = filler(RESULTS, 300).led().wfi()
    for _ in range(200):
        program.op(0xBF00)  # so that it takes several blocks
    file = uf2(program)
    bench.sim.control("reset", cause="bootsel")
    assert bench.copy(file[:-512])["complete"] is False
    assert bench.settled()["mode"] == "bootsel"
    done = bench.copy(file)
    assert done == {"taken": len(file) // 512, "ignored": 0, "complete": True}
    state = bench.settled()
    assert (state["mode"], state["led"]) == ("running", True)
    with pytest.raises(EmulatorError, match="BOOTSEL"):
        bench.copy(file)


def test_blocks_for_another_chip_are_ignored(bench: Bench) -> None:
    file = bytearray(uf2(Program().wfi()))
    bench.sim.control("reset", cause="bootsel")
    for at in range(0, len(file), 512):
        file[at + 28 : at + 32] = struct.pack("<I", 0xE48BFF59)  # an RP2350
    assert bench.copy(bytes(file)) == {"taken": 0, "ignored": len(file) // 512, "complete": False}
    assert bench.settled()["mode"] == "bootsel"


def test_a_damaged_second_stage_stays_in_bootsel(bench: Bench) -> None:
    bench.run(Program().wfi())
    file = bytearray(uf2(Program().wfi()))
    file[32 + 5] ^= 1
    bench.sim.control("reset", cause="bootsel")
    assert bench.copy(bytes(file))["complete"]
    assert bench.settled()["mode"] == "bootsel"


def test_the_program_can_ask_for_bootsel(bench: Bench) -> None:
    bench.give(Program().rom("UB", 0, 0).wfi())
    state = bench.settled(lambda state: state["mode"] == "bootsel")
    assert state["reset_cause"] == "bootsel"


# --- the boot ROM


def test_bit_functions(bench: Bench) -> None:
    program = Program()
    calls = [("P3", 0xF00F0001), ("L3", 0x00012345), ("T3", 0x00012340), ("R3", 0x00000001), ("T3", 0), ("L3", 0)]
    for number, (name, value) in enumerate(calls):
        program.rom(name, value).keep(0, number)
    bench.run(program.wfi())
    assert bench.results(6) == [9, 15, 6, 0x80000000, 32, 32]


def test_memory_functions(bench: Bench) -> None:
    program = filler(RESULTS, 8).rom("MC", RESULTS + 64, RESULTS + 1, 13).keep(0, 24).rom("MS", RESULTS + 70, 0xA5, 3)
    bench.run(program.wfi())
    got = bytes.fromhex(bench.sim.control("memory", address=RESULTS + 64, bytes=16)["data"])
    expected = bytearray(pattern(8)[1:14])
    expected[6:9] = b"\xa5" * 3
    assert got[:13] == expected
    assert bench.results(25)[24] == RESULTS + 64


@pytest.mark.parametrize(
    ("entry", "arguments", "expected"),
    [
        (0, (1.5, 2.25), struct.pack("<f", 3.75)),
        (3, (1.0, 3.0), struct.pack("<f", 1 / 3)),
        (6, (2.0,), struct.pack("<f", math.sqrt(2))),
        (7, (-2.5,), struct.pack("<i", -3)),  # towards minus infinity
        (9, (-2.5,), struct.pack("<I", 0)),
    ],
)
def test_single_precision(bench: Bench, entry: int, arguments: tuple[float, ...], expected: bytes) -> None:
    words = [struct.unpack("<I", struct.pack("<f", value))[0] for value in arguments]
    program = Program().movs(4, 0x14).load_half(0, 4, 2).load_half(4, 4, 4).ldr(1, ord("S") | ord("F") << 8).blx(4)
    program.load(4, 0, 4 * entry)
    for number, word in enumerate(words):
        program.ldr(number, word)
    bench.run(program.blx(4).keep(0, 0).wfi())
    assert struct.pack("<I", bench.results(1)[0]) == expected


# --- flash


def test_what_a_program_writes_is_in_the_file_and_only_clears_bits(bench: Bench) -> None:
    program = (
        filler(RESULTS, 64)
        .rom("RE", AREA, 4096, 1 << 16, 0xD8)
        .rom("RP", AREA, RESULTS, 256)
        .put(RESULTS, 0x00FF00FF)
        .rom("RP", AREA, RESULTS, 256)
    )
    bench.run(program.led().wfi())
    expected = bytearray(pattern(64))
    expected[:4] = struct.pack("<I", 0x12345678 & 0x00FF00FF)
    assert flash_bytes(bench, AREA, 512) == bytes(expected) + b"\xff" * 256
    mapped = bench.sim.control("memory", address=0x10000000 + AREA, bytes=256)["data"]
    assert bytes.fromhex(mapped) == expected


def test_a_power_cut_leaves_an_erase_half_done(bench: Bench) -> None:
    bench.run(filler(RESULTS, 64).rom("RE", AREA, 8192, 1 << 16, 0xD8).rom("RP", AREA + 0xF00, RESULTS, 256).wfi())
    button = 1 << 3
    waiting = Program().put(0x4001401C, 5)  # GPIO3_CTRL: SIO
    waiting.put(0x4001C010, 0x40)  # its pad: input enabled
    waiting.label("wait").get(0, 0xD0000004).ldr(1, button).op(0x4208).b("wait", "eq")  # tst r0, r1
    bench.sim.control("gpio_in", pin=3, level=0)
    bench.give(waiting.rom("RE", AREA, 4096, 1 << 16, 0xD8).led().wfi())
    bench.sim.control("cut_power", steps=5)
    bench.sim.control("gpio_in", pin=3, level=1)
    bench.settled(lambda state: state["mode"] == "off")
    assert flash_bytes(bench, AREA + 0xF00, 256) == pattern(64), "the last page was not reached"
    with pytest.raises(EmulatorError, match="off"):
        bench.sim.control("reset")
    bench.sim.control("power", on=True)
    state = bench.settled()
    assert (state["mode"], state["reset_cause"], state["led"]) == ("running", "power-on", True)
    assert flash_bytes(bench, AREA, 4096) == b"\xff" * 4096
    bench.sim.control("gpio_in", pin=3, level=None)


def test_the_chip_gives_the_id_of_the_boards_name(bench: Bench) -> None:
    program = Program().put(0x4001800C, 2 << 8)  # chip select low
    program.ldr(5, SSI).movs(0, 0x4B).store(0, 5, 0x60)
    for _ in range(12):
        program.movs(0, 0).store(0, 5, 0x60)
    program.ldr(4, RESULTS).movs(2, 13)
    program.label("more").load(0, 5, 0x60).store_byte(0, 4).adds(4, 1).subs(2, 1).b("more", "ne")
    bench.run(program.put(0x4001800C, 3 << 8).wfi())
    data = bench.sim.control("memory", address=RESULTS + 5, bytes=8)["data"]
    assert data == unique_id("bench") == bench.sim.control("state")["unique_id"]
    assert unique_id("bench") != unique_id("another")


# --- resets


def test_the_watchdog_resets_what_does_not_feed_it(bench: Bench) -> None:
    program = Program().get(0, WATCHDOG + 8).keep(0, 0).cmp(0, 0).b("again", "ne")
    program.put(WATCHDOG + 0x0C, 0xCAFE)  # a scratch register
    program.put(WATCHDOG + 4, 20_000).put(WATCHDOG, 1 << 30).label("loop").b("loop")
    program.label("again").get(0, WATCHDOG + 0x0C).keep(0, 1).led().wfi()
    bench.give(program)
    state = bench.settled()
    assert (state["reset_cause"], state["led"]) == ("watchdog-timer", True)
    assert bench.results(2) == [1, 0xCAFE]


def test_a_forced_watchdog_starts_what_the_scratch_registers_say(bench: Bench) -> None:
    entry = 0x10000000 + 0x200
    program = Program().get(0, WATCHDOG + 8).cmp(0, 2).b("again", "eq")
    program.put(WATCHDOG + 0x1C, 0xB007C0D3).put(WATCHDOG + 0x20, (entry ^ -0xB007C0D3) & 0xFFFFFFFF)
    program.put(WATCHDOG + 0x24, 0x20020000).put(WATCHDOG + 0x28, entry)
    program.put(WATCHDOG, 1 << 31).label("loop").b("loop")
    program.label("again").op(0x4668).keep(0, 0).led().wfi()  # mov r0, sp
    bench.give(program)
    state = bench.settled()
    assert (state["reset_cause"], state["led"]) == ("watchdog-forced", True)
    assert bench.results(1) == [0x20020000]


def test_a_system_reset_keeps_memory_and_a_power_cycle_does_not(bench: Bench) -> None:
    program = Program().get(0, RESULTS).ldr(1, 0x600DF00D).op(0x4288).b("again", "eq")  # cmp r0, r1
    program.put(RESULTS, 0x600DF00D).put(0xE000ED0C, 0x05FA0004).label("loop").b("loop")
    bench.give(program.label("again").led().wfi())
    state = bench.settled()
    assert (state["reset_cause"], state["led"]) == ("system", True)
    bench.sim.control("power", on=False)
    assert bench.sim.control("state")["mode"] == "off"
    bench.sim.control("power", on=True)
    assert bench.settled()["reset_cause"] == "system", "it had to set its mark again"


def test_a_breakpoint_halts(bench: Bench) -> None:
    state = bench.run(Program().op(0xBE2A))
    assert state["mode"] == "halted"
    assert "breakpoint 42 at 0x10000200" in bench.sim.stderr


def test_core_1_is_said_to_be_missing(bench: Bench) -> None:
    state = bench.run(Program().put(0xD0000054, 1).wfi())
    assert state["core1_asked"] is True
    assert "_thread" in bench.sim.stderr


# --- pins


def test_the_led_follows_a_pin(bench: Bench) -> None:
    program = Program().led(on=False).put(0x4001401C, 5).put(0x4001C010, 0x40)
    program.label("copy").get(0, 0xD0000004).ldr(1, 1 << 3).op(0x4008).op(0x0580)  # ands r0, r1; lsls r0, r0, #22
    program.ldr(6, 0xD0000010).store(0, 6).b("copy")
    bench.give(program)
    for level in (1, 0, 1):
        bench.sim.control("gpio_in", pin=3, level=level)
        bench.settled(lambda state, level=level: state["led"] is bool(level))
    assert bench.sim.control("gpio")["pins"][3] == {"out": False, "level": 1}
    with pytest.raises(EmulatorError, match="no pin 30"):
        bench.sim.control("gpio_in", pin=30, level=1)
    bench.sim.control("gpio_in", pin=3, level=None)


def test_the_converter_measures_what_is_put_on_it(bench: Bench) -> None:
    bench.sim.control("adc", channel=1, volts=1.1)
    program = Program().put(0x4004C000, 1 | 1 << 12).put(0x4004C000, 1 | 1 << 2 | 1 << 12)
    program.label("busy").get(0, 0x4004C000).ldr(1, 1 << 8).op(0x4208).b("busy", "eq").get(0, 0x4004C004).keep(0, 0)
    bench.run(program.wfi())
    assert bench.results(1)[0] == round(1.1 / 3.3 * 4095)


# --- time


def test_idle_time_is_jumped_over_and_cycles_are_repeatable(bench: Bench) -> None:
    second = 1_000_000
    program = filler(RESULTS, 500).get(0, TIMER + 0x28).keep(0, 0).put(TIMER + 0x38, 1)
    program.put(0xE000E100, 1)  # the timer's first interrupt
    program.get(0, TIMER + 0x28).ldr(1, second).op(0x1840).ldr(6, TIMER + 0x10).store(0, 6)  # adds r0, r0, r1
    program.op(0xB672).op(0xBF30).get(0, TIMER + 0x28).keep(0, 1).led().wfi()  # cpsid i; wfi
    runs = []
    for _ in range(2):
        bench.sim.control("reset", cause="bootsel")
        before = bench.sim.control("state")
        bench.give(program)
        after = bench.settled(lambda state: state["led"] and state["idle"])
        start, end = bench.results(2)
        assert second <= end - start < second + 100
        runs.append((after["cycles"] - before["cycles"], start, end))
    assert runs[0] == runs[1]
    assert runs[0][0] < 20_000, "a second of sleep costs no cycles"


def test_the_compiled_core_counts_as_the_plain_one(bench: Bench, tmp_path: Path) -> None:
    program = filler(RESULTS, 3000).led().wfi()
    flash = tmp_path / "plain.flash"
    flash.write_bytes(bootable(program))
    with PicoSim.start("plain", None, flash, clock="emulated", attach_s=None, compiled=False) as sim:
        plain = Bench(sim, tmp_path).settled(lambda state: state["led"] and state["idle"])
    before = bench.sim.control("state")["cycles"]
    bench.give(program)
    assert bench.settled()["cycles"] - before == plain["cycles"]


# --- the process


def test_one_flash_has_one_board(bench: Bench) -> None:
    with pytest.raises(EmulatorBusyError, match="running already"):
        PicoSim.start("bench", None, bench.flash)


def test_a_board_that_ended_says_so(tmp_path: Path) -> None:
    sim = PicoSim.start("gone", None, tmp_path / "gone.flash", clock="emulated")
    sim.close()
    sim.close()
    with pytest.raises(BoardGoneError, match="ended"):
        sim.control("state")


def test_commands_that_there_are_not(bench: Bench) -> None:
    with pytest.raises(EmulatorError, match="no command fly"):
        bench.sim.control("fly")
    with pytest.raises(EmulatorError, match="not kick"):
        bench.sim.control("reset", cause="kick")
