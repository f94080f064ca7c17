"""Boards as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bodydouble.boards.locks import spoken

if TYPE_CHECKING:
    from bodydouble.boards.discovery import Device
    from bodydouble.boards.flash import FlashReport
    from bodydouble.boards.inventory import BoardType
    from bodydouble.boards.locks import Holder
    from bodydouble.boards.probes import Probe
    from bodydouble.boards.setup import Step
    from bodydouble.boards.survey import Plugged, Survey

MARKS = {"ok": ("✓", "green"), "missing": ("✗", "red"), "optional": ("–", "yellow")}
MODES = {
    "micropython": ("MicroPython", "green"),
    "bootsel": ("BOOTSEL", "yellow"),
    "program": ("another program", "yellow"),
    "other": ("no board of ours", "dim"),
}


def board_list(found: Survey) -> RenderableType:
    """Emulated boards, what is plugged in, and who was here before."""
    parts: list[RenderableType] = [Text("emulated", "dim"), _grid()]
    for one in found.emulated:
        mark = Text("✗ ", "red") if one.obstacle else Text("✓ ", "green")
        _last(parts).add_row(mark + Text(one.kind.type, "bold"), Text(one.obstacle or one.kind.description))
    ours = [one for one in found.plugged if one.device.mode != "other"]
    if ours:
        parts += [Text("plugged in", "dim"), _grid()]
        for plugged in ours:
            _last(parts).add_row(*_plugged(plugged))
    others = [one.device for one in found.plugged if one.device.mode == "other"]
    if others:
        parts += [Text("other serial devices, never touched", "dim"), _grid()]
        for device in others:
            what = " ".join(part for part in (device.manufacturer, device.product) if part)
            _last(parts).add_row(Text(f"  {device.where}"), Text(what, "dim"))
    if found.away:
        parts += [Text("seen before", "dim"), _grid()]
        for probe in found.away:
            _last(parts).add_row(Text(f"  {probe.serial}"), Text(_said(probe), "dim"))
    if found.absent:
        names = ", ".join(kind.type for kind in found.absent)
        parts.append(Text(f"not seen: {names}; `bodydouble boards setup` says what real boards need", "dim"))
    return Group(*parts)


def _plugged(one: Plugged) -> tuple[Text, ...]:
    device = one.device
    mode, style = MODES[device.mode]
    state = Text(f"in use by {one.holder.describe()}", "yellow") if one.holder else Text(mode, style)
    may_be = f"may be {' or '.join(device.types)}" if len(device.types) > 1 else device.product
    said = _said(device.probe) if device.probe else f"{may_be}; not asked yet" if device.port else may_be
    return Text(f"  {one.name}", "bold"), Text(device.where), state, Text(said, "dim")


def _said(probe: Probe) -> str:
    machine = probe.machine or "its machine is not known"
    firmware = f", firmware {probe.firmware[:12]}" if probe.firmware else ""
    return f"{machine}, MicroPython {probe.micropython}{firmware} ({spoken(probe.age_s())} ago)"


def board_info(
    kind: BoardType, device: Device | None, user: Holder | None, probe: Probe | None, live: dict[str, Any]
) -> RenderableType:
    """One board: what its type says, where it is, what it says itself."""
    table = _grid()
    table.add_row(Text("type", "dim"), f"{kind.type}: {kind.description}")
    if kind.arch or kind.clock_hz:
        clock = f"{kind.clock_hz / 1e6:g} MHz" if kind.clock_hz else "its own clock"
        table.add_row(Text("processor", "dim"), f"{kind.arch or 'not known before it is asked'}, {clock}")
    if image := kind.micropython:
        table.add_row(
            Text("flash", "dim"),
            f"{image.flash_bytes:,} bytes, of which {image.filesystem_bytes:,} are its filesystem ({image.board})",
        )
    if device:
        mode, style = MODES[device.mode]
        table.add_row(Text("port", "dim"), Text(f"{device.where}: ") + Text(mode, style))
        if device.serial:
            table.add_row(Text("USB", "dim"), f"serial number {device.serial}, at {device.location or 'some port'}")
    if user:
        table.add_row(Text("in use", "dim"), Text(f"by {user.describe()}", "yellow"))
    if probe:
        table.add_row(Text("says", "dim"), _said(probe))
        if kind.micropython and probe.board and probe.board != kind.micropython.machine:
            table.add_row("", Text(f"it is no {kind.type}: choose another --board", "red"))
    for key in ("machine", "micropython", "tier", "heap_bytes", "heap_free", "firmware"):
        if key in live:
            value = live[key]
            table.add_row(Text(key.replace("_", " "), "dim"), f"{value:,}" if isinstance(value, int) else str(value))
    return table


def setup_steps(steps: Sequence[Step]) -> RenderableType:
    """What is right and what is not, each with the command that cures it."""
    lines: list[RenderableType] = []
    for step in steps:
        mark, style = MARKS[step.state]
        lines.append(Text(f"{mark} ", style) + Text(f"{step.name:<14}", "bold") + Text(step.detail))
        if step.command:
            lines.append(Text(f"{'':16}→ {step.command}", "cyan", no_wrap=True, overflow="ignore"))
    return Group(*lines)


def flash_summary(report: FlashReport, where: str) -> RenderableType:
    """What was written where, and who says so."""
    what = f"{report.machine}, MicroPython {report.version}" if report.machine else "a program of its own"
    spent = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.seconds.items())
    sure = report.verified or "not verified"
    head = Text("✓ ", "bold green") if report.verified else Text("– ", "yellow")
    return Group(
        head + Text(f"{what}: {report.size_bytes:,} bytes by {report.via}, {sure}; {where}"),
        Text(f"  {spent} (host clock)", "dim"),
    )


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    return table


def _last(parts: list[RenderableType]) -> Table:
    table = parts[-1]
    assert isinstance(table, Table)  # noqa: S101 - added just before
    return table
