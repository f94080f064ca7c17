"""One inference as a Perfetto trace: a slice per record of the plan, by the board's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bodydouble.compiler.plan import Plan

_PROCESS, _THREAD = 1, 2
_SEQUENCE = 1


def perfetto_trace(plan: Plan, ends_ns: list[int], board: str) -> bytes:
    """`ends_ns`: when the inference began and when each record ended, nanoseconds from its start."""
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TrackEvent  # noqa: PLC0415 - protobuf is slow
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder  # noqa: PLC0415

    trace = TraceProtoBuilder()

    def packet(at_ns: int | None = None) -> Any:
        entry = trace.add_packet()
        entry.trusted_packet_sequence_id = _SEQUENCE
        if at_ns is not None:
            entry.timestamp = at_ns
        return entry

    def track(uuid: int, name: str, parent: int | None = None) -> None:
        descriptor = packet().track_descriptor
        descriptor.uuid, descriptor.name = uuid, name
        if parent is not None:
            descriptor.parent_uuid = parent

    def slice_(name: str, start_ns: int, end_ns: int, facts: dict[str, str | int]) -> None:
        begin = packet(start_ns).track_event
        begin.type, begin.track_uuid, begin.name = TrackEvent.TYPE_SLICE_BEGIN, _THREAD, name
        for key, value in facts.items():
            note = begin.debug_annotations.add()
            note.name = key
            if isinstance(value, int):
                note.int_value = value
            else:
                note.string_value = value
        end = packet(end_ns).track_event
        end.type, end.track_uuid = TrackEvent.TYPE_SLICE_END, _THREAD

    track(_PROCESS, f"{board} (board clock)")
    track(_THREAD, plan.name, _PROCESS)
    slice_("inference", 0, ends_ns[-1], {"macs": plan.macs, "arena_bytes": plan.arena_bytes})
    for op, start, end in zip(plan.ops, ends_ns, ends_ns[1:], strict=False):
        facts: dict[str, str | int] = {"kind": op.kind, "macs": op.macs, "shape": str(list(op.shape))}
        slice_(f"{op.label} {op.tensor}".strip(), start, end, facts)
    data: bytes = trace.serialize()
    return data
