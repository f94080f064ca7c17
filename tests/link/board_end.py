"""The firmware's end of the link under CPython, with a clock and a stream that the test holds in its hands.

Only where speed counts (thousands of faulty runs): the tests in tests/firmware run the same code under MicroPython.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "coproc"


class World:
    """A clock in microseconds that only moves when told to; it stands for both ends."""

    def __init__(self) -> None:
        self.us = 1_000_000

    @property
    def now(self) -> float:
        return self.us / 1e6


_world = World()


def _load(name: str, **needs: ModuleType) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FIRMWARE / f"{name.rsplit('.', maxsplit=1)[-1]}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    saved = {key: sys.modules.get(key) for key in needs}
    sys.modules.update(needs)
    try:
        spec.loader.exec_module(module)
    finally:
        for key, old in saved.items():
            if old is None:
                del sys.modules[key]
            else:
                sys.modules[key] = old
    return module


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(content)
    return module


def _firmware() -> tuple[ModuleType, ModuleType]:
    micropython = _module("micropython", const=lambda value: value)
    port = _module(
        "coproc.port",
        ticks_us=lambda: _world.us & 0x3FFFFFFF,
        ticks_diff=lambda end, start: ((end - start + 0x20000000) & 0x3FFFFFFF) - 0x20000000,
    )
    package = _module("coproc", port=port)
    base = {"micropython": micropython, "coproc": package, "coproc.port": port}
    wire = _load("coproc.wire", **base)
    package.wire = wire  # type: ignore[attr-defined]
    base["coproc.wire"] = wire
    base["coproc.link_sender"] = _load("coproc.link_sender", **base)
    return _load("coproc.link", **base), _load("coproc.link_bytecode", **base)


link, kernels = _firmware()


class MemoryStream:
    """What the board reads is put into `incoming`; what it writes, `room` bytes at most, into `outgoing`."""

    def __init__(self) -> None:
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.room = 1 << 30

    def readinto(self, buf: bytearray) -> int:
        count = min(len(buf), len(self.incoming))
        buf[:count] = self.incoming[:count]
        del self.incoming[:count]
        return count

    def write(self, buf: bytearray, start: int, n: int) -> int:
        count = min(n, self.room)
        self.outgoing += buf[start : start + count]
        self.room -= count
        return count

    def wait(self, ms: int) -> None:
        pass


def board_link(on_frame: Callable[[int, bytes], None], world: World, **options: Any) -> tuple[Any, MemoryStream]:
    """A Link of the firmware on a MemoryStream, told the time by `world`."""
    global _world  # noqa: PLW0603 - one clock for the module that the firmware imported
    _world = world
    stream = MemoryStream()

    def deliver(channel: int, buf: bytearray, start: int, length: int) -> None:
        on_frame(channel, bytes(buf[start : start + length]))

    return link.Link(stream, deliver, kernels, **{"ticks_bits": 30, **options}), stream
