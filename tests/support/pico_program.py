"""Programs for an emulated Pico without MicroPython: a small Thumb assembler, and flash images that boot."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

FLASH = 0x10000000
CODE = 0x200
STACK = 0x20040000
RESULTS = 0x20001000
"""Where programs leave what a test reads."""
CONDITIONS = ("eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")


@dataclass
class Program:
    """Instructions in order; registers are numbers, labels are names."""

    code: list[int] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    branches: list[tuple[int, str, str]] = field(default_factory=list)
    literals: list[tuple[int, int, int]] = field(default_factory=list)

    def op(self, *halfwords: int) -> Program:
        self.code += halfwords
        return self

    def label(self, name: str) -> Program:
        self.labels[name] = len(self.code)
        return self

    def movs(self, d: int, value: int) -> Program:
        return self.op(0x2000 | d << 8 | value)

    def ldr(self, d: int, value: int) -> Program:
        """Any constant, from a pool behind the code."""
        self.literals.append((len(self.code), d, value & 0xFFFFFFFF))
        return self.op(0)

    def load(self, d: int, base: int, offset: int = 0) -> Program:
        return self.op(0x6800 | offset // 4 << 6 | base << 3 | d)

    def store(self, d: int, base: int, offset: int = 0) -> Program:
        return self.op(0x6000 | offset // 4 << 6 | base << 3 | d)

    def load_half(self, d: int, base: int, offset: int = 0) -> Program:
        return self.op(0x8800 | offset // 2 << 6 | base << 3 | d)

    def store_byte(self, d: int, base: int, offset: int = 0) -> Program:
        return self.op(0x7000 | offset << 6 | base << 3 | d)

    def adds(self, d: int, value: int) -> Program:
        return self.op(0x3000 | d << 8 | value)

    def subs(self, d: int, value: int) -> Program:
        return self.op(0x3800 | d << 8 | value)

    def cmp(self, n: int, value: int) -> Program:
        return self.op(0x2800 | n << 8 | value)

    def b(self, label: str, condition: str = "al") -> Program:
        self.branches.append((len(self.code), label, condition))
        return self.op(0)

    def blx(self, m: int) -> Program:
        return self.op(0x4780 | m << 3)

    def wfi(self) -> Program:
        """Sleep for good: nothing wakes it but what the program armed."""
        return self.label(f"sleep{len(self.code)}").op(0xBF30).b(f"sleep{len(self.code) - 1}")

    # --- what programs do often

    def put(self, address: int, value: int) -> Program:
        """Write a word; r6 and r7 are lost."""
        return self.ldr(6, address).ldr(7, value).store(7, 6)

    def get(self, d: int, address: int) -> Program:
        """Read a word; r6 is lost."""
        return self.ldr(6, address).load(d, 6)

    def keep(self, d: int, number: int) -> Program:
        """Leave a register as the test's result `number`; r6 is lost."""
        return self.ldr(6, RESULTS + 4 * number).store(d, 6)

    def rom(self, name: str, *arguments: int) -> Program:
        """Call a function of the boot ROM by its two letters, as pico-sdk looks it up; its result is in r0."""
        self.movs(4, 0x14).load_half(0, 4).load_half(4, 4, 4).ldr(1, ord(name[0]) | ord(name[1]) << 8)
        self.blx(4).op(0x4604)  # mov r4, r0
        for number, value in enumerate(arguments):
            self.ldr(number, value)
        return self.blx(4)

    def led(self, on: bool = True) -> Program:
        """Drive the board's LED."""
        self.put(0x400140CC, 5)  # GPIO25_CTRL: SIO
        self.put(0xD0000024, 1 << 25)  # GPIO_OE_SET
        return self.put(0xD0000014 if on else 0xD0000018, 1 << 25)

    # --- machine code

    def assemble(self) -> bytes:
        code = [*self.code]
        for at, label, condition in self.branches:
            distance = self.labels[label] - at - 2
            if condition == "al":
                code[at] = 0xE000 | distance & 0x7FF
            else:
                code[at] = 0xD000 | CONDITIONS.index(condition) << 8 | distance & 0xFF
        if len(code) % 2:
            code.append(0xBF00)
        for at, d, value in self.literals:
            code[at] = 0x4800 | d << 8 | (len(code) - (at + 2 & ~1)) // 2
            code += (value & 0xFFFF, value >> 16)
        return struct.pack(f"<{len(code)}H", *code)


def boot_checksum(data: bytes) -> int:
    """CRC-32/MPEG-2, as the boot ROM checks the second stage."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def bootable(program: Program) -> bytes:
    """The flash from its first byte on: a second stage that is never run, vectors, the program."""
    stage = bytes(252)
    vectors = struct.pack("<2I", STACK, FLASH + CODE | 1) + struct.pack("<I", FLASH + CODE | 1) * 62
    return stage + struct.pack("<I", boot_checksum(stage)) + vectors.ljust(CODE - 256, b"\0") + program.assemble()
