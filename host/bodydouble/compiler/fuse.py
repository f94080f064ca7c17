"""Joins steps where the numbers between them need not exist; the result stays the same, bit for bit.

Two tables in a row become one, a flip of bit 7 counting as a table. What only clamps or copies goes into the clamps
of the steps before it, which then write where it would have written.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bodydouble.compiler.quantise import quantize_multiplier
from bodydouble.compiler.steps import Program, Step
from bodydouble.compiler.steps_binary import Binary
from bodydouble.compiler.steps_dot import Conv, Depthwise
from bodydouble.compiler.steps_move import Copy, Lookup
from bodydouble.compiler.steps_unary import Rescale, WideLookup
from bodydouble.compiler.steps_wide import Conv16, Depthwise16
from bodydouble.compiler.views import Storage, View

_Mapping = Copy | Lookup | WideLookup | Rescale  # steps that map each element by itself
_ONE = quantize_multiplier(1.0)


def fuse(program: Program) -> Program:
    """The same program in fewer steps; tensors that are no longer written leave its places."""
    steps: list[Step | None] = list(program.steps)
    touching: dict[Storage, list[int]] = {}
    for index, step in enumerate(program.steps):
        for storage in set(step.storages()):
            touching.setdefault(storage, []).append(index)
    kept = {port.view.storage for port in (*program.inputs, *program.outputs)}
    kept.update(storage for storage in touching if storage.persistent)
    gone = set()
    for index, step in enumerate(program.steps):
        if not isinstance(step, _Mapping) or step.source.storage in kept or not _whole(step.source):
            continue
        *before, last = touching[step.source.storage]
        # Nothing may look at where the result will be from when it is written on.
        if last != index or not before or any(before[0] <= i < index for i in touching[step.target.storage]):
            continue
        joined = _join([steps[i] for i in before], step)
        if joined is None:
            continue
        steps[index] = None
        for i, new in zip(before, joined, strict=True):
            steps[i] = new
        users = touching[step.target.storage]
        users.remove(index)
        for i in before:
            bisect.insort(users, i)
        gone.add(step.source.storage)
    remaining = [0]
    for one in steps:
        remaining.append(remaining[-1] + (one is not None))
    places = {
        index: (remaining[after], view, kind)
        for index, (after, view, kind) in program.places.items()
        if view.storage not in gone
    }
    return replace(program, steps=[step for step in steps if step is not None], places=places)


def _whole(view: View) -> bool:
    return view.contiguous and view.offset == 0 and view.bytes == view.storage.size


def _join(before: Sequence[Step | None], step: _Mapping) -> list[Step] | None:
    # The steps that do what `before`, all that touch the source of `step`, and `step` itself did.
    first = before[0]
    if len(before) == 1 and isinstance(first, (Copy, Lookup)) and _whole(first.target):
        composed = _compose(first, step)
        return None if composed is None else [composed]
    joined = [_clamped(one, step) for one in before if one is not None]
    found = [one for one in joined if one is not None]
    return found if len(found) == len(before) else None


def _table(step: Step) -> bytes | None:
    # What a step does to each byte.
    if isinstance(step, Lookup):
        return step.table
    if isinstance(step, Copy) and step.source.item == 1 and step.source.contiguous and step.target.contiguous:
        return bytes(x ^ step.flip for x in range(256))
    return None


def _compose(first: Copy | Lookup, second: _Mapping) -> Step | None:
    inner, outer = _table(first), _table(second)
    if inner is None or (isinstance(first, Copy) and isinstance(second, Copy)):
        return None
    if isinstance(second, WideLookup):
        item = second.target.item
        wide = b"".join(second.table[item * x : item * x + item] for x in inner)
        return replace(second, source=first.source, table=wide)
    if outer is None:
        return None
    known: dict[str, Any] = {"operator": second.operator, "tensor": second.tensor, "label": second.label}
    if isinstance(second, Copy):  # the flip of an output: what computed it says more
        known.update(operator=first.operator, label=first.label)
    return Lookup(second.target, first.source, bytes(outer[x] for x in inner), **known)


def _clamps(step: _Mapping, low: int, high: int) -> tuple[int, int] | None:
    # Where `step` clamps numbers from `low` to `high`, all as the arena holds them; None where it does more.
    if isinstance(step, Copy):
        return (low, high) if not step.flip and step.target.contiguous else None
    if isinstance(step, Lookup):
        ends = step.table[low], step.table[high]
        same = all(step.table[x] == min(max(x, ends[0]), ends[1]) for x in range(low, high + 1))
        return ends if same else None
    if isinstance(step, WideLookup) or step.target.item != step.source.item:
        return None
    r = step.rescaling
    if r.negate or r.zero_in != r.zero_out or not r.above == r.below == _ONE:
        return None
    return r(low), r(high)


def _clamped(step: Step, mapping: _Mapping) -> Step | None:
    # `step` with the clamps of `mapping`, writing where that does.
    if not isinstance(step, (Conv, Depthwise, Conv16, Depthwise16, Binary)):
        return None
    source, target = mapping.source.storage, mapping.target
    if step.target.storage is not source or list(step.storages()).count(source) != 1:
        return None
    limits = step if isinstance(step, Binary) else step.requantisation
    clamps = _clamps(mapping, limits.low, limits.high)
    if clamps is None:
        return None
    place = replace(step.target, storage=target.storage, offset=step.target.offset + target.offset)
    tensor = mapping.tensor if mapping.tensor >= 0 else step.tensor
    changes: dict[str, Any] = {"low": clamps[0], "high": clamps[1]}
    if not isinstance(step, Binary):
        changes = {"requantisation": replace(step.requantisation, **changes)}
    return replace(step, target=place, tensor=tensor, **changes)
