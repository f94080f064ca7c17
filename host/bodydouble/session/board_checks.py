"""Which boards can be used here, with which MicroPython, code emitter and kernel tier, and why not: for `doctor`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bodydouble.boards import known_boards, obstacle, open_board
from bodydouble.boards.building.store import built
from bodydouble.boards.errors import MissingImageError
from bodydouble.boards.micropythons import (
    ARM_BUILD,
    Interpreter,
    arm_micropython,
    find_arm_micropython,
    find_micropython,
)
from bodydouble.errors import BodydoubleError
from bodydouble.session.finding import Finding

if TYPE_CHECKING:
    from bodydouble.boards.discovery import Surroundings
    from bodydouble.boards.inventory import BoardType

_WITH_CURE = re.compile(r"(?P<what>.*?) \((?P<cure>.*)\)", re.DOTALL)
_PROCESSES = {"unix": find_micropython, "pi-arm": find_arm_micropython}
"""Drivers whose boards are child processes, quickly started: to the MicroPython that plays them."""
_WHY_NOT = {
    "asm": "the assembler tier is Thumb code",
    "viper": "this MicroPython has no native code emitter",
}


def check_boards(here: Surroundings | None = None) -> Iterator[Finding]:
    """A finding per board type. Only `unix` is needed; emulated boards that start quickly are started."""
    for kind in sorted(known_boards(), key=lambda one: (not one.emulated, one.type != "unix", one.type)):
        name = f"{kind.type} board"
        try:
            yield _check(kind, name, here)
        except BodydoubleError as error:
            yield Finding(name, "missing" if kind.type == "unix" else "optional", error.message, error.hint)


def _check(kind: BoardType, name: str, here: Surroundings | None) -> Finding:
    find = _PROCESSES.get(kind.driver)
    if find:
        return _process(kind, name, find())
    if kind.driver == "pi":
        return _pi(kind, name)
    if kind.emulated:
        return _emulated(kind, name)
    return _real(kind, name, here)


def _process(kind: BoardType, name: str, found: Interpreter) -> Finding:
    with open_board(kind.type) as board:
        info = board.info
    by = f" under {info['emulator']}" if info.get("emulator") else ""
    where = f"{found.what}{' (its wheel)' if found.how == 'module' else ''}"
    emitter = f"{found.target.arch} emitter" if found.target.arch else "no emitter"
    detail = (
        f"MicroPython {info['micropython']}{by}, {emitter}: {info['tier']} tier, {info['heap_free']:,} bytes free"
    )
    better = [f"no {tier}: {_WHY_NOT[tier]}" for tier in kind.tiers[: kind.tiers.index(info["tier"])]]
    detail = "; ".join([detail, *better, where])
    if info["tier"] == "bytecode":
        cure = "use a MicroPython with a native emitter (x86-64 or ARM); bytecode is right but slow"
        return Finding(name, "optional", detail, cure)
    return Finding(name, "ok", detail)


def _pi(kind: BoardType, name: str) -> Finding:
    path = arm_micropython()
    found = built(ARM_BUILD)
    what = f"MicroPython {found.version}" if found and found.program == path else str(path)
    return Finding(name, "ok", f"{what} to put on one: {kind.tiers[0]} tier; --board pi:ssh://user@host")


def _emulated(kind: BoardType, name: str) -> Finding:
    if said := obstacle(kind):
        parts = _WITH_CURE.fullmatch(said)
        what, cure = (parts["what"], parts["cure"]) if parts else (said, "see bodydouble boards list")
        return Finding(name, "optional", what, cure)
    from bodydouble.boards.images import find_image  # noqa: PLC0415 - only where it can run

    try:
        image = find_image(kind)
    except MissingImageError:
        cure = f"bodydouble boards build {kind.type}, else it is fetched or built on first use"
        return Finding(name, "optional", "no MicroPython image yet", cure)
    return Finding(
        name, "ok", f"MicroPython {image.version} for {image.machine}; {_tier(kind)}; time is its own cycles"
    )


def _real(kind: BoardType, name: str, here: Surroundings | None) -> Finding:
    from bodydouble.boards.discovery import HERE  # noqa: PLC0415 - looks at USB

    devices = [device for device in (here or HERE).devices() if kind.type in device.types]
    if not devices:
        cure = "plug one in; bodydouble boards setup says what it needs"
        return Finding(name, "optional", f"none is plugged in; {_tier(kind)}", cure)
    said = []
    for device in devices:
        version = f"MicroPython {device.probe.micropython}" if device.probe else "not asked yet"
        said.append(f"{device.name} on {device.where}, {version if device.mode == 'micropython' else device.mode}")
    detail = f"{'; '.join(said)}; {_tier(kind)}"
    if any(device.mode == "micropython" for device in devices):
        return Finding(name, "ok", detail)
    return Finding(name, "optional", detail, f"bodydouble boards flash IMAGE --board {kind.type}")


def _tier(kind: BoardType) -> str:
    return f"{kind.arch} emitter: {kind.tiers[0]} tier"
