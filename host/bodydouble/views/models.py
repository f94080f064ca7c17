"""Models as people read them: lists, what they are made of, verdicts, times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bodydouble.session.model.outputs import port_text, real
from bodydouble.views.summary import board_clock

if TYPE_CHECKING:
    from bodydouble.session.model.compare import Comparison, Verdict
    from bodydouble.session.model.describe import Description
    from bodydouble.session.model.detect import Detection, Heard
    from bodydouble.session.model.library import ModelFile
    from bodydouble.session.model.measure import Timing
    from bodydouble.session.model.runner import BoardModel, BoardRun
    from bodydouble.session.model.silicon import Projection

CLASSES_SHOWN = 5
NAME_SHOWN = 18
MS_FROM_US = 10_000
S_FROM_US = 1_000_000


def model_list(models: Sequence[ModelFile]) -> Table:
    """Name, origin and purpose."""
    table = Table.grid(padding=(0, 2))
    for model in models:
        table.add_row(Text(model.name, "bold"), Text(model.origin, "dim"), Text(model.purpose))
    return table


def description(found: Description) -> RenderableType:
    """Everything of a model in a screenful."""
    plan, table = found.plan, _facts()
    table.add_row("file", Text(str(found.model.path), overflow="fold"))
    table.add_row("", f"{found.model.origin}, sha256 {plan.model_sha256[:12]}…")
    for what, ports in (("input", plan.inputs), ("output", plan.outputs)):
        for info in ports:
            table.add_row(what, port_text(info))
    operations = sorted(found.operations.items(), key=lambda one: (-one[1], one[0]))
    table.add_row("operations", ", ".join(f"{n} {kind}" for kind, n in operations))
    weights = f"{plan.weight_bytes:,} bytes of weights in a plan of {len(plan.blob):,}"
    table.add_row("memory", f"{weights}; an arena of {plan.arena_bytes:,} bytes, {plan.state_bytes:,} of them state")
    table.add_row("costs", f"{plan.macs:,} multiply-accumulates per inference")
    pico = f"about {_time(found.pico_ms * 1e3)} on a Pico (projected)"
    if found.period_s:
        each = f"an inference takes {found.period_s * 1e3:g} ms of audio"
        table.add_row("", f"{found.macs_per_second:,.0f} per second of audio: {each}")
        pico += f", {found.pico_ms / found.period_s / 1e3:.1%} of the time"
    table.add_row("", pico)
    for line in found.slow:
        table.add_row(Text("slow", "yellow"), Text(line))
    if found.manifest_error:
        table.add_row(Text("manifest", "yellow"), Text(found.manifest_error))
    return Group(table, _records(found))


def _records(found: Description) -> Table:
    plan = found.plan
    table = Table(box=box.SIMPLE)
    table.add_column("record", no_wrap=True)
    table.add_column("of tensor", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    for op in plan.ops:
        macs = (f"{op.macs:,}", f"{op.macs / plan.macs:.1%}") if op.macs else ("", "")
        table.add_row(op.label, Text(_short(op.tensor)), "×".join(map(str, op.shape)), *macs)
    return table


def run_summary(
    model: BoardModel,
    done: BoardRun,
    labels: Sequence[str],
    ends_s: Sequence[float] = (),
    heard: Heard | str | None = None,
) -> RenderableType:
    """The time, the range of each output, the classes that won, what passed the manifest's rule.

    `ends_s` places inferences in a recording. `heard`: a text says why the rule was not applied, None: there is none.
    """
    table = _facts()
    count = len(done.outputs[0])
    clock = board_clock(model.board)
    table.add_row("board", _board(model))
    if count > 1:
        spread = f"{_time(done.us_mean)} per inference ({_time(done.us_min)} to {_time(done.us_max)}, {clock})"
        table.add_row("time", f"{count:,} inferences, {spread}")
    else:
        table.add_row("time", f"1 inference, {_time(done.us_max)} ({clock})")
    for values, info in zip(done.outputs, model.plan.outputs, strict=True):
        numbers = real(values, info).reshape(count, -1)
        low, high = numbers.min(), numbers.max()
        highest = _when(int(np.argmax(numbers.max(axis=1))), ends_s)
        table.add_row("output", port_text(info))
        table.add_row("", f"always {low:.4g}" if low == high else f"{low:.4g} to {high:.4g}, highest {highest}")
        if numbers.shape[1] > 1 and low < high:
            won = numbers.argmax(axis=1)
            for k, n in Counter(won.tolist()).most_common(CLASSES_SHOWN):
                first = f", first {_when(int(np.argmax(won == k)), ends_s)}" if ends_s else ""
                table.add_row("", Text(f"{_label(k, labels)} highest in {n:,} of {count:,}{first}"))
    if heard:
        _add_heard(table, heard, ends_s)
    return table


def _when(inference: int, ends_s: Sequence[float]) -> str:
    return f"at {ends_s[inference]:.2f} s" if ends_s else f"in inference {inference}"


def _add_heard(table: Table, heard: Heard | str, ends_s: Sequence[float]) -> None:
    if isinstance(heard, str):
        table.add_row(Text("heard", "yellow"), f"not judged: {escape(heard)}")
        return
    for one in heard.detections:
        table.add_row("heard", f"[bold]{escape(one.label)}[/] at {one.t:.2f} s, {_score(one)}")
    if not heard.detections:
        table.add_row("heard", f"nothing in {ends_s[-1]:.2f} s")
    if heard.nearest:
        table.add_row(
            "", f"nearest: {escape(heard.nearest.label)} at {heard.nearest.t:.2f} s, {_score(heard.nearest)}"
        )


def _score(one: Detection) -> str:
    return f"score {one.score:.2f} (must exceed {one.cutoff:.2f})"


def _label(index: int, labels: Sequence[str]) -> str:
    return labels[index] if index < len(labels) else f"class {index}"


def verdict_lines(model: BoardModel, verdict: Verdict) -> RenderableType:
    """Exact or not, and where it began to differ."""
    golden = verdict.golden
    mark = Text("✓ ", "bold green") if verdict.exact else Text("✗ ", "bold red")
    head = Text.assemble(mark, (model.plan.name, "bold"), f" on {_board(model)}: {_said(golden)}")
    table = Table.grid(padding=(0, 2))
    for one in verdict.witnesses:
        table.add_row("", Text(one.reference, "dim"), Text(_said(one), "dim"))
    arena = f"arena {model.plan.arena_bytes:,} bytes"
    if golden.arena_bytes:
        arena += f", {golden.reference}'s own {golden.arena_bytes:,}"
    table.add_row("", Text("memory", "dim"), Text(arena, "dim"))
    return Group(head, table)


def _said(one: Comparison) -> str:
    if one.error:
        return f"not compared: {one.error}"
    first = one.first_difference
    if first is None:
        return f"{one.values:,} values equal {one.reference}'s"
    where, ours, theirs = first.first or ((), 0.0, 0.0)
    return (
        f"{one.differing:,} of {one.values:,} values differ from {one.reference}'s, by {one.largest:g} at most; "
        f"first in tensor {first.tensor!r} of {first.operation} at {list(where)}: "
        f"board {ours:g}, reference {theirs:g}"
    )


def timing_table(model: BoardModel, timed: Timing, beside: dict[str, float]) -> RenderableType:
    """Record by record, then the whole, then other runtimes."""
    table = Table(
        title=Text(f"{model.plan.name} on {_board(model)}, {board_clock(model.board)}"),
        title_justify="left",
        box=box.SIMPLE,
    )
    for column in ("record", "of tensor"):
        table.add_column(column, no_wrap=True)
    for column in ("µs", "share", "MACs", "ns/MAC", *(["cycles"] if timed.cpu_hz else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for one in timed.records:
        per_mac = f"{one.ns_per_mac:.{2 if one.ns_per_mac < 100 else 0}f}" if one.ns_per_mac else ""
        cycles = [f"{one.cycles:,.0f}"] if one.cycles is not None else []
        macs = f"{one.op.macs:,}" if one.op.macs else ""
        us = f"{one.us:,.2f}" if timed.us < MS_FROM_US else f"{one.us:,.0f}"
        table.add_row(one.op.label, Text(_short(one.op.tensor)), us, f"{one.share:.1%}", macs, per_mac, *cycles)
    whole = f"{_time(timed.us)} per inference"
    if timed.cycles:
        whole += f", {timed.cycles:,.0f} cycles at {timed.cpu_hz:,} Hz" if timed.cpu_hz else ""
    if timed.macs:
        whole += f", {timed.macs:,} MACs, {timed.macs_per_second / 1e6:,.0f} million a second"
    lines: list[RenderableType] = [table, Text(whole, "bold")]
    if beside:
        others = Table.grid(padding=(0, 2))
        for name, other_us in beside.items():
            ratio = f"the board takes {timed.us / other_us:,.2f} times that"
            others.add_row(name, Text(_time(other_us), justify="right"), ratio)
        lines += [Text("beside it, on this machine (host clock, from Python):", "dim"), others]
    return Group(*lines)


def silicon_table(projected: Sequence[Projection], board_us: float) -> RenderableType:
    """What the model would take on other chips, and what holds each back; projected, as it says."""
    table = Table.grid(padding=(0, 2))
    for one in projected:
        bound = max(one.bound_us, key=lambda name: one.bound_us[name])
        share = one.bound_us[bound] / one.us if one.us else 1.0
        ratio = f"the board takes {board_us / one.us:,.3g} times that" if one.us else ""
        table.add_row(one.silicon.name, Text(_time(one.us), justify="right"), f"{share:.0%} of it {bound}", ratio)
    return Group(Text("projected, never measured: at best, by a roofline", "dim"), table)


def _time(us: float) -> str:
    if us < MS_FROM_US:
        return f"{us:,.1f} µs" if us < 1000 else f"{us:,.0f} µs"
    return f"{us / 1e3:,.1f} ms" if us < S_FROM_US else f"{us / 1e6:,.2f} s"


def _short(name: str) -> str:
    # Converters join the names of fused operations; the first one's end says most.
    first = name.split(";", maxsplit=1)[0]
    return first if len(first) <= NAME_SHOWN else "…" + first[1 - NAME_SHOWN :]


def _board(model: BoardModel) -> str:
    return f"{model.board['type']}, {model.board['tier']} tier"


def _facts() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    return table
