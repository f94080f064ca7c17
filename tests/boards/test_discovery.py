"""Boards that are plugged in: found by identity, told apart, found again after a reset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bodydouble.boards import Selector, board_type
from bodydouble.boards.discovery import Device, resolve, same_board, wait_back
from bodydouble.boards.errors import AmbiguousBoardError, NoReplyError, NoSuchBoardError
from bodydouble.boards.probes import Probe, write_probe
from bodydouble.errors import ExitCode
from support.desk import ROM_SERIAL, Desk, Port, micropython

ONE, TWO = "e660583883724a32", "e661a4d4176f5a2b"
PICO, RADIO, PICO2 = board_type("pico"), board_type("pico-w"), board_type("pico2")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "cache"))
    return Desk(tmp_path / "root")


def find(desk: Desk, text: str, *, bootsel: bool = False) -> Device:
    selector = Selector.parse(text)
    return resolve(board_type(selector.type), selector, desk.here, bootsel=bootsel)


def test_the_only_board_needs_no_name(desk: Desk) -> None:
    desk.ports = [Port("/dev/ttyS0"), micropython("/dev/ttyACM3", ONE, "1-4")]
    found = find(desk, "pico")
    assert (found.port, found.serial, found.location, found.mode) == ("/dev/ttyACM3", ONE, "1-4", "micropython")
    assert found.types == ("pico", "pico-w", "pico2")  # USB says no more


def test_other_serial_devices_are_seen_and_never_taken(desk: Desk) -> None:
    desk.ports = [
        Port("/dev/ttyUSB0", 0x0403, 0x6001, "FT1", "1-1:1.0", "FTDI", "FT232R"),
        Port("/dev/ttyACM0", 0x2E8A, 0x000C, "E1", "1-2:1.0", "Raspberry Pi", "Debug Probe"),
        Port("/dev/ttyACM1", 0x1234, 0x0005, "X", "1-3:1.0", "Somebody", "a false product id"),
    ]
    assert [device.mode for device in desk.here.devices()] == ["other"] * 3
    assert all(device.types == () for device in desk.here.devices())
    with pytest.raises(
        NoSuchBoardError, match=r"no pico is plugged in \(plug one in; `bodydouble boards list`"
    ) as no:
        find(desk, "pico")
    assert no.value.exit_code == ExitCode.NO_BOARD


def test_several_boards_are_refused_with_the_list(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1"), micropython("/dev/ttyACM1", TWO, "1-2")]
    write_probe(Probe(TWO, machine="Raspberry Pi Pico with RP2040", at=1.0))
    with pytest.raises(AmbiguousBoardError) as caught:
        find(desk, "pico")
    assert caught.value.exit_code == ExitCode.USAGE
    assert str(caught.value).splitlines() == [
        "2 boards may be pico (name one of them)",
        f"  pico:{ONE}  /dev/ttyACM0  Board in FS mode",
        f"  pico:{TWO}  /dev/ttyACM1  Raspberry Pi Pico with RP2040",
    ]
    for line in caught.value.candidates:  # each line's first word is what to say
        assert find(desk, line.split()[0]).serial in line


def test_a_serial_number_may_be_shortened_while_it_names_one(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1"), micropython("/dev/ttyACM1", TWO, "1-2")]
    assert find(desk, "pico:E660").serial == ONE
    assert find(desk, f"pico:{TWO.upper()}").serial == TWO
    with pytest.raises(AmbiguousBoardError, match="2 boards may be pico:e66"):
        find(desk, "pico:e66")
    with pytest.raises(
        NoSuchBoardError, match=rf"no pico has the serial number F \(there is pico:{ONE}, pico:{TWO}\)"
    ):
        find(desk, "pico:F")


def test_a_whole_serial_number_is_never_ambiguous(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", "E6", "1-1"), micropython("/dev/ttyACM1", "E66", "1-2")]
    assert find(desk, "pico:e6").port == "/dev/ttyACM0"


def test_what_a_board_said_of_itself_tells_types_apart(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1"), micropython("/dev/ttyACM1", TWO, "1-2")]
    write_probe(Probe(ONE, machine="Raspberry Pi Pico with RP2040"))
    write_probe(Probe(TWO, machine="Raspberry Pi Pico2 with RP2350"))
    assert find(desk, "pico").serial == ONE
    assert find(desk, "pico2").serial == TWO
    with pytest.raises(NoSuchBoardError, match="no pico-w is plugged in"):
        find(desk, "pico-w")


def test_a_port_is_taken_as_named(desk: Desk, tmp_path: Path) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1"), micropython("COM7", TWO, "1-2")]
    assert find(desk, "pico:/dev/ttyACM0").serial == ONE
    assert find(desk, "pico:com7").serial == TWO
    pty = tmp_path / "pty"
    pty.touch()
    assert find(desk, f"pico:{pty}").port == str(pty)
    assert find(desk, "pico:socket://127.0.0.1:9").port == "socket://127.0.0.1:9"
    with pytest.raises(NoSuchBoardError, match=r"there is no port /dev/ttyACM9 \(ports here: /dev/ttyACM0, COM7\)"):
        find(desk, "pico:/dev/ttyACM9")


def test_a_link_to_a_port_is_that_port(desk: Desk, tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    (tmp_path / "by-id").symlink_to(port)
    desk.ports = [micropython(str(port), ONE, "1-1")]
    assert find(desk, f"pico:{tmp_path / 'by-id'}").serial == ONE


def test_boards_in_bootsel_mode(desk: Desk) -> None:
    folder = desk.bootsel("1-1.4")
    desk.bootsel("1-2", pid=0x000F, serial=TWO.upper(), mounted=False)
    first, second = desk.here.devices()
    assert (first.types, first.location, first.address, first.serial) == (
        ("pico", "pico-w"),
        "1-1.4",
        (1, 1),
        ROM_SERIAL,
    )
    assert first.drive and first.drive.path == folder
    assert (second.types, second.serial) == (("pico2",), TWO.upper())
    assert second.drive and second.drive.path is None
    assert second.where == "/dev/sdb1 (not mounted)"
    assert find(desk, "pico", bootsel=True) == first
    with pytest.raises(
        NoSuchBoardError, match=r"the pico at .*my drive 1-1\.4 runs no MicroPython \(bodydouble boards"
    ):
        find(desk, "pico")


def test_two_boot_roms_with_one_serial_number_are_two_boards(desk: Desk) -> None:
    desk.bootsel("1-1")
    desk.bootsel("1-2")
    with pytest.raises(AmbiguousBoardError) as caught:
        find(desk, "pico", bootsel=True)
    assert [line.split()[0] for line in caught.value.candidates] == ["pico:usb-1-1", "pico:usb-1-2"]
    assert find(desk, "pico:usb-1-2", bootsel=True).location == "1-2"
    assert find(desk, f"pico:{desk.root}/media/my drive 1-1", bootsel=True).location == "1-1"
    one, two = desk.here.devices()
    assert one.serial == two.serial
    assert not same_board(one, two, desk.here)
    assert one.key != two.key


def test_firmware_that_can_be_touched(desk: Desk) -> None:
    desk.ports = [Port("/dev/ttyACM0", 0x2E8A, 0x000A, ONE, "1-1:1.0", "Raspberry Pi", "Pico")]
    assert find(desk, "pico", bootsel=True).mode == "program"
    with pytest.raises(NoSuchBoardError, match="runs no MicroPython"):
        find(desk, "pico")


class Time:
    """A clock that only sleeping moves; `events` happen at their second."""

    def __init__(self, events: dict[float, Callable[[], object]]) -> None:
        self.now, self.events = 0.0, dict(events)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in sorted(self.events):
            if at <= self.now:
                self.events.pop(at)()


def test_a_board_is_found_again_under_another_port(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1"), micropython("/dev/ttyACM1", TWO, "1-2")]
    was = find(desk, f"pico:{ONE}")
    time = Time(
        {
            0.3: lambda: desk.unplug("1-1"),
            # Another board takes the port's name meanwhile: it must not be mistaken for ours.
            1.0: lambda: desk.ports.append(micropython("/dev/ttyACM0", "E6FF", "1-3")),
            2.0: lambda: desk.ports.append(micropython("/dev/ttyACM2", ONE.upper(), "1-1")),
        }
    )
    back = wait_back(was, here=desk.here, clock=time.clock, sleep=time.sleep)
    assert (back.port, back.serial) == ("/dev/ttyACM2", ONE.upper())
    assert 2.0 <= time.now < 2.2


def test_a_board_that_was_back_before_anyone_looked(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1")]
    time = Time({})
    back = wait_back(find(desk, "pico"), vanish_s=3.0, here=desk.here, clock=time.clock, sleep=time.sleep)
    assert back.port == "/dev/ttyACM0"
    assert 3.0 <= time.now < 3.2


def test_a_board_that_does_not_come_back(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1")]
    was = find(desk, "pico")
    time = Time({0.2: lambda: desk.unplug("1-1")})
    with pytest.raises(
        NoReplyError, match=r"the board at /dev/ttyACM0 did not come back with MicroPython within 5 s"
    ):
        wait_back(was, timeout_s=5.0, here=desk.here, clock=time.clock, sleep=time.sleep)
    assert time.now == pytest.approx(5.0, abs=0.2)


def test_into_bootsel_the_usb_port_tells_which(desk: Desk) -> None:
    desk.bootsel("1-9")
    desk.ports = [micropython("/dev/ttyACM0", ONE, "1-1")]
    was, before = find(desk, "pico"), desk.here.devices()
    time = Time({1.0: lambda: (desk.unplug("1-1"), desk.bootsel("1-1"), desk.bootsel("1-8"))})
    back = wait_back(was, mode="bootsel", before=before, here=desk.here, clock=time.clock, sleep=time.sleep)
    assert back.location == "1-1"
    # And out of it again, though the serial number is another one.
    time = Time({1.0: lambda: (desk.unplug("1-1"), desk.ports.append(micropython("/dev/ttyACM5", ONE, "1-1")))})
    assert wait_back(back, here=desk.here, clock=time.clock, sleep=time.sleep).serial == ONE


def test_into_bootsel_where_usb_ports_are_not_known(desk: Desk) -> None:
    # Windows and macOS show drives alone: the one that was not there before is ours.
    from bodydouble.boards.discovery import Surroundings
    from bodydouble.boards.drives import Drive

    old, new = Drive("RPI-RP2", Path("E:/")), Drive("RPI-RP2", Path("F:/"))
    drives = [old]
    ports = [micropython("COM3", ONE)]
    here = Surroundings(ports=lambda: ports, drives=lambda: drives, sysfs=Path("/nowhere"))
    was, before = resolve(PICO, Selector("pico"), here), here.devices()
    time = Time({1.0: lambda: (ports.clear(), drives.append(new))})
    back = wait_back(was, mode="bootsel", before=before, here=here, clock=time.clock, sleep=time.sleep)
    assert back.drive == new
    assert back.types == ("pico", "pico-w")


def test_an_rp2350_keeps_its_serial_number_in_bootsel(desk: Desk) -> None:
    desk.ports = [micropython("/dev/ttyACM0", TWO, None)]
    was = find(desk, "pico2")
    desk.bootsel("1-1", pid=0x000F, serial="0123456789ABCDEF")
    desk.bootsel("1-2", pid=0x000F, serial=TWO.upper())
    same = [
        device for device in desk.here.devices() if device.mode == "bootsel" and same_board(was, device, desk.here)
    ]
    assert [device.location for device in same] == ["1-2"]
