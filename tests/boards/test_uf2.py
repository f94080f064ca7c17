"""UF2 images: what is read, and what is refused and why."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from bodydouble.boards import board_type
from bodydouble.boards.errors import ImageError
from bodydouble.boards.uf2 import PAGE_BYTES, Image, parse_uf2, read_image, wrap
from bodydouble.errors import ExitCode

BASE = 0x10000000
RP2040, ABSOLUTE, ARM, RISCV = 0xE48BFF56, 0xE48BFF57, 0xE48BFF59, 0xE48BFF5A
BANNER = b"MicroPython v1.26.1 on 2025-09-11; Raspberry Pi Pico%s with RP2040\r\n\0"


def block(address: int, number: int, total: int, family: int = RP2040, flags: int = 0x2000, size: int = 256) -> bytes:
    # Put together by hand from the specification, not by the code that is tested.
    head = struct.pack("<IIIIIIII", 0x0A324655, 0x9E5D5157, flags, address, size, number, total, family)
    return head + bytes([number & 255]) * 256 + bytes(220) + struct.pack("<I", 0x0AB16F30)


def whole(count: int = 4, family: int = RP2040, base: int = BASE) -> bytes:
    return b"".join(block(base + 256 * number, number, count, family) for number in range(count))


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def saved(data: bytes, name: str = "image.uf2") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return saved


PICO, PICO2 = board_type("pico"), board_type("pico2")


def test_a_sound_image_is_read_and_written_as_it_was(save: Callable[..., Path]) -> None:
    image = read_image(save(whole()), PICO)
    assert list(image.pieces()) == [(BASE, b"".join(bytes([n]) * 256 for n in range(4)))]
    assert image.size_bytes == 1024
    assert image.to_uf2() == whole()


def test_the_order_of_blocks_does_not_matter(save: Callable[..., Path]) -> None:
    data = whole(64)
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    random.Random(1).shuffle(blocks)
    assert read_image(save(b"".join(blocks)), PICO).to_uf2() == data


def test_gaps_make_pieces() -> None:
    image = Image(RP2040, {BASE: b"a" * 256, BASE + 256: b"b" * 256, BASE + 1024: b"c" * 256})
    assert [(address, len(data)) for address, data in image.pieces()] == [(BASE, 512), (BASE + 1024, 256)]


def test_several_families_in_one_file(save: Callable[..., Path]) -> None:
    path = save(block(0x10FFFF00, 0, 2, ABSOLUTE) + whole(3, ARM) + whole(2, RP2040))
    assert read_image(path, PICO2).size_bytes == 768
    assert read_image(path, PICO).size_bytes == 512


def test_blocks_that_are_not_for_the_flash_are_passed_over(save: Callable[..., Path]) -> None:
    path = save(whole() + block(BASE, 0, 1, flags=0x2001))
    assert read_image(path, PICO).size_bytes == 1024


def test_a_binary_is_wrapped(save: Callable[..., Path]) -> None:
    image = read_image(save(b"x" * 300, "firmware.bin"), PICO2)
    assert image.family == ARM
    assert list(image.pieces()) == [(BASE, b"x" * 300 + b"\xff" * 212)]
    assert parse_uf2(image.to_uf2(), "it") == {ARM: image}


def _torn(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (whole()[:-1], r"image\.uf2 is damaged: 2,047 bytes are no whole number of 512-byte blocks \(get the file"),
        (_torn(whole(), 516, b"\0"), "damaged: block 1 lacks its magic numbers"),
        (_torn(whole(), 1535, b"\0"), "damaged: block 2 lacks its magic numbers"),
        (whole()[:-512], "damaged: 1 of 4 blocks are missing"),
        (whole()[:-512] + whole()[:512], "damaged: block 3 says that it is number 0 of 4"),
        (whole()[:-512] + block(BASE + 768, 4, 4), "damaged: block 3 says that it is number 4 of 4"),
        (whole()[:-512] + block(BASE + 768, 3, 5), "damaged: block 3 says that it is number 3 of 5"),
        (whole()[:-512] + block(BASE, 3, 4), "damaged: two blocks are for the same address"),
        (block(BASE, 0, 1, size=476), "damaged: block 0 holds 476 bytes for 0x10000000; boot ROMs take whole pages"),
        (block(BASE + 4, 0, 1), "damaged: block 0 holds 256 bytes for 0x10000004"),
        (block(BASE, 0, 1, flags=1), "damaged: no block is for the flash"),
        (block(BASE, 0, 1, flags=0), r"image\.uf2 does not say which chip it is for"),
        (whole(family=ARM), r"is for RP2350 Arm, the pico has an RP2040 \(get MicroPython's image for RPI_PICO, or"),
        (block(0x10FFFF00, 0, 2, ABSOLUTE) + whole(family=RISCV), "is for RP2350 RISC-V, the pico has an RP2040"),
        (whole(family=0xADA52840), "is for family 0xada52840, the pico has"),
        (
            whole(base=0x20000000),
            "does not fit the pico's flash of 2,097,152 bytes at 0x10000000: it goes from 0x20000",
        ),
        (whole(base=BASE + (2 << 20) - 512), "does not fit the pico's flash"),
        (whole(2, base=BASE + (2 << 20) - 256), "does not fit the pico's flash"),
        (whole(base=BASE + 4096), "would not start: nothing is at the flash's beginning"),
        (b"PK\3\4 whatever", r"image\.uf2 is no UF2 file \(name a \.uf2 file, or a \.bin"),
        (b"", r"image\.uf2 is no UF2 file"),
    ],
)
def test_what_is_no_image_for_this_board(data: bytes, complaint: str, save: Callable[..., Path]) -> None:
    with pytest.raises(ImageError, match=complaint) as caught:
        read_image(save(data), PICO)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in str(caught.value)


def test_an_image_of_another_board_with_the_same_chip(save: Callable[..., Path]) -> None:
    path = save(bytes(700) + BANNER % b" W", "firmware.bin")
    with pytest.raises(ImageError, match=r"is for a Raspberry Pi Pico W, not for a Raspberry Pi Pico \(get"):
        read_image(path, PICO)
    image = read_image(path, board_type("pico-w"))
    assert (image.machine, image.version) == ("Raspberry Pi Pico W", "1.26.1")
    assert read_image(save(bytes(700) + BANNER % b"", "pico.bin"), PICO).machine == "Raspberry Pi Pico"


def test_files_that_are_none(tmp_path: Path, save: Callable[..., Path]) -> None:
    with pytest.raises(ImageError, match=r"cannot read .*gone\.uf2: No such file or directory \(name a"):
        read_image(tmp_path / "gone.uf2", PICO)
    with pytest.raises(ImageError, match=r"cannot read .*: Is a directory"):
        read_image(tmp_path, PICO)
    with pytest.raises(ImageError, match=r"does not fit the pico's flash .* from 0x0 to 0x0"):
        read_image(save(b"", "empty.bin"), PICO)
    with pytest.raises(ImageError, match=r"a unix board takes no image \(flashing is for microcontrollers"):
        read_image(save(whole()), board_type("unix"))


def test_any_single_bit_that_flips_in_a_header_is_noticed_or_harmless() -> None:
    data, generator = whole(8), random.Random(7)
    sound = parse_uf2(data, "it")[RP2040]
    for _ in range(300):
        at = generator.randrange(8) * 512 + generator.choice([*range(32), *range(508, 512)])
        torn = _torn(data, at, bytes([data[at] ^ 1 << generator.randrange(8)]))
        try:
            images = parse_uf2(torn, "it")
        except ImageError:
            continue
        # What is left can only be a flag that says nothing to a boot ROM, or a whole other address.
        assert images[RP2040].size_bytes == sound.size_bytes
        assert len(set(images[RP2040].pages) - set(sound.pages)) <= 1


def test_the_last_page_of_a_binary_is_filled_only_where_it_must_be() -> None:
    assert PICO.micropython
    assert len(wrap(bytes(512), PICO.micropython).pages) == 2
    assert len(wrap(bytes(513), PICO.micropython).pages) == 3
    assert all(len(page) == PAGE_BYTES for page in wrap(bytes(513), PICO.micropython).pages.values())
