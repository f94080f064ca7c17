"""Models on a board: runs, comparisons, inputs, times, traces."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console, RenderableType

from bodydouble.compiler.reader import read_model
from bodydouble.errors import InputError
from bodydouble.session.model import compare as comparing
from bodydouble.session.model import golden
from bodydouble.session.model.compare import compare, facts
from bodydouble.session.model.inputs import random_inputs, read_inputs
from bodydouble.session.model.lab import open_model
from bodydouble.session.model.library import find_model
from bodydouble.session.model.measure import facts as measured
from bodydouble.session.model.measure import measure, others, timing
from bodydouble.session.model.profile import perfetto_trace
from bodydouble.session.model.runner import BoardModel
from bodydouble.views.models import timing_table, verdict_lines
from support import pymicro
from support.graphs import RandomGraph
from support.micropython import ROOT

ALEXA = find_model("alexa")
RECORDING = ROOT / "tests" / "data" / "recordings" / "alexa-slt-silence.flac"


def rendered(what: RenderableType, width: int = 80) -> str:
    """As text without colour; no line is wider than the terminal."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    assert all(len(line) <= width for line in out.getvalue().splitlines())
    return out.getvalue()


@pytest.fixture(scope="module")
def alexa() -> Iterator[BoardModel]:
    with open_model(ALEXA) as opened:
        yield opened


def test_a_wake_model_is_exact(alexa: BoardModel) -> None:
    """Every tensor, in order; the arena's figure is tflite-micro's own."""
    verdict = compare(alexa, ALEXA.read(), random_inputs(alexa.plan, 40, 3))
    assert verdict.exact
    assert verdict.golden.values > 400_000
    assert verdict.golden.first_difference is None
    assert alexa.plan.arena_bytes < verdict.golden.arena_bytes / 4
    ops = [alexa.plan.places[i].ops for i in sorted(alexa.plan.places)]
    assert ops


def test_a_difference_is_found_and_named(alexa: BoardModel) -> None:
    """A weight of the file that the reference runs is another one than the board's."""
    data = bytearray(ALEXA.read())
    graph = read_model(bytes(data), "alexa").subgraphs[0]
    last = [op for op in graph.operators if op.kind == "CONV_2D"][-1]
    weights = graph.tensors[last.inputs[1]].data
    assert weights is not None
    at = data.find(weights)
    data[at : at + 64] = bytes(64)
    verdict = compare(alexa, bytes(data), random_inputs(alexa.plan, 10, 3), witnesses=())
    assert not verdict.exact
    first = verdict.golden.first_difference
    assert first is not None and first.differing and first.first is not None
    where, ours, theirs = first.first
    assert len(where) == 1 + len(first.shape) and ours != theirs
    assert (first.operation, first.tensor) == ("CONV_2D", graph.tensors[last.outputs[0]].name)


def test_a_reference_that_fails_is_told() -> None:
    """Not a model; and one that crashes the process: both become one line, and the other jobs still run."""
    with pytest.raises(golden.GoldenError, match="tflite-micro did not run the model"):
        golden.run_golden(golden.Job(b"nothing at all", [np.zeros((1, 4), np.int8)]))
    good = golden.Job(ALEXA.read(), [np.zeros((2, 1, 3, 40), np.int8)])
    found = golden.run_many([golden.Job(b"x", [np.zeros((1, 1), np.int8)]), good])
    assert isinstance(found[0], golden.GoldenError)
    assert isinstance(found[1], golden.GoldenRun) and found[1].outputs[0].shape == (2, 1, 1)


def test_a_reference_that_crashes_is_told(alexa: BoardModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a signal, in the middle of the run: one line says so, and what others say still stands beside it."""
    real = golden.run_golden

    def crashing(job: golden.Job, runtime: str = golden.GOLDEN, timeout_s: float = 300) -> golden.GoldenRun:
        if runtime == golden.GOLDEN:
            monkeypatch.setattr(golden.sys, "executable", "/bin/false")
        try:
            return real(job, runtime, timeout_s)
        finally:
            monkeypatch.undo()
            monkeypatch.setattr(comparing, "run_golden", crashing)

    monkeypatch.setattr(comparing, "run_golden", crashing)
    verdict = compare(alexa, ALEXA.read(), random_inputs(alexa.plan, 2, 0))
    assert not verdict.exact
    assert "tflite-micro did not run the model (exit 1)" in verdict.golden.error
    assert all(one.values and not one.error for one in verdict.witnesses)
    said = facts(alexa, verdict)
    assert said["exact"] is False and said["golden"]["error"] == verdict.golden.error
    shown = rendered(verdict_lines(alexa, verdict))
    assert shown.startswith("✗ alexa on unix") and "not compared: tflite-micro did not run the model" in shown


def test_results_that_are_no_numbers_are_json() -> None:
    """NaN and infinity, which JSON does not know."""
    ours, theirs = np.array([[1.0, np.nan]], np.float32), np.array([[np.inf, 2.0]], np.float32)
    one = comparing._tensor("t", "ADD", ours, theirs)
    json.dumps(comparing._facts(comparing.Comparison("r", (one,))), allow_nan=False)


def test_a_reference_that_hangs_is_given_up() -> None:
    with pytest.raises(golden.GoldenError, match="no answer within"):
        golden.run_golden(golden.Job(ALEXA.read(), [np.zeros((2, 1, 3, 40), np.int8)]), timeout_s=0.01)


def test_a_runtime_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"tflite-micro is not installed \(pip install 'bodydouble\[golden\]'\)"):
        golden.run_golden(golden.Job(b"", []))


def test_random_inputs_are_the_seeds(alexa: BoardModel) -> None:
    first, second = random_inputs(alexa.plan, 30, 1), random_inputs(alexa.plan, 30, 1)
    assert np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], random_inputs(alexa.plan, 30, 2)[0])
    assert (first[0].min(), first[0].max()) == (-128, 127)


def test_a_recording_becomes_the_boards_features(alexa: BoardModel) -> None:
    inputs = read_inputs(RECORDING, alexa)
    (x,) = inputs.arrays
    pcm, _ = soundfile.read(RECORDING, dtype="int16")
    features = np.clip((pymicro.features(pcm).astype(np.int64) * 256 + 333) // 666 - 128, -128, 127)
    rows = len(features) // 3 * 3
    assert np.array_equal(x.reshape(-1, 40), features[:rows].astype(np.int8))
    outputs = alexa.run([x]).outputs[0]
    assert outputs.max() > 230  # the wake word is in it
    assert len(inputs.ends_s) == len(x) and inputs.ends_s[:3] == (0.05, 0.08, 0.11)
    assert inputs.ends_s[-1] <= len(pcm) / 16000


def test_arrays(alexa: BoardModel, tmp_path: Path) -> None:
    whole = np.arange(-120, 120).astype(np.int8).reshape(2, 120)
    path = tmp_path / "x.npy"
    np.save(path, whole)
    (x,) = read_inputs(path, alexa).arrays
    assert x.shape == (2, 1, 3, 40) and x.dtype == np.int8
    np.save(path, np.full((1, 3, 40), 2.0))
    (x,) = read_inputs(path, alexa).arrays
    assert set(x.ravel()) == {round(2.0 / alexa.plan.input.scale) - 128}


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(100, np.int8), "no whole number of inputs"),
        (np.full((1, 120), 300), "holds 300 to 300, which INT8 does not"),
        (np.zeros((1, 120), np.uint8), "holds uint8, the model takes INT8"),
        (np.zeros(0, np.int8), "no whole number of inputs"),
        (np.zeros((1, 120), complex), "holds complex128"),
        (np.full((1, 120), np.nan), "holds values that are no numbers"),
        (np.full((1, 120), -np.inf, np.float16), "holds values that are no numbers"),
        (np.zeros((1, 40, 3), np.int8), r"shape \[1, 40, 3\] is no whole number of inputs of shape \[1, 3, 40\]"),
        (np.array([{"a": 1}], object), "holds Python objects, which could run code"),
        (np.array(["a"] * 120), "holds <U1"),
        (np.zeros(120, "M8[s]"), "holds datetime64"),
        (np.zeros(120, [("a", "i1")]), "holds"),
        (np.full((1, 120), 2**64 - 1, np.uint64), "holds uint64"),
    ],
)
def test_arrays_that_do_not_fit(alexa: BoardModel, tmp_path: Path, array: np.ndarray, words: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, array)
    with pytest.raises(InputError, match=words):
        read_inputs(path, alexa)


def test_other_files_that_do_not_fit(alexa: BoardModel, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"no array")
    head = b"{'descr': '|i1', 'fortran_order': False, 'shape': (1000000000000000,), }".ljust(117) + b"\n"
    (tmp_path / "bomb.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    np.savez(tmp_path / "two.npz", np.zeros(120, np.int8), np.zeros(120, np.int8))
    np.savez(tmp_path / "none.npz")
    np.savez(tmp_path / "objects.npz", np.array([{"a": 1}], object))
    whole = (tmp_path / "two.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:200])
    (tmp_path / "damaged.npz").write_bytes(whole[:80] + bytes(100) + whole[180:])
    for samples in (1, 400):
        soundfile.write(tmp_path / f"short{samples}.wav", np.zeros(samples, np.int16), 16000)
    for name, words in (
        ("x.npy", "cannot be read as NumPy's"),
        ("bomb.npy", "does not fit memory"),
        ("two.npz", "holds 2 arrays, alexa has 1 input "),
        ("none.npz", "holds 0 arrays, alexa has 1 input "),
        ("objects.npz", "holds Python objects"),
        ("cut.npz", "cannot be read as NumPy's"),
        ("damaged.npz", "cannot be read as NumPy's"),
        ("short1.wav", "is shorter than one input"),
        ("short400.wav", "is shorter than one input"),
    ):
        with pytest.raises(InputError, match=words):
            read_inputs(tmp_path / name, alexa)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(48000, 2, "PCM_16"), (16000, 1, "PCM_24"), (44100, 2, "PCM_24")]
)
def test_other_recordings(alexa: BoardModel, tmp_path: Path, rate: int, channels: int, subtype: str) -> None:
    """Any rate, any number of channels, any depth: an inference for every 30 ms of it."""
    sound = np.random.default_rng(0).normal(0, 0.1, (rate, channels))
    soundfile.write(tmp_path / "x.wav", sound, rate, subtype=subtype)
    inputs = read_inputs(tmp_path / "x.wav", alexa)
    assert len(inputs.arrays[0]) == len(inputs.ends_s) == 32
    assert inputs.ends_s[-1] == 0.98


def test_too_many_random_inputs(alexa: BoardModel) -> None:
    with pytest.raises(InputError, match=r"inputs of 120 bytes are more than 64 MB \(give --count 559240 or"):
        random_inputs(alexa.plan, 1_000_000, 0)


def test_times_add_up(alexa: BoardModel) -> None:
    alexa.run(random_inputs(alexa.plan, 5, 0))
    timed = measure(alexa)
    assert len(timed.records) == len(alexa.plan.ops)
    assert sum(one.share for one in timed.records) == pytest.approx(1)
    assert sum(one.us for one in timed.records) == pytest.approx(timed.us, rel=0.6)
    assert timed.macs_per_second == pytest.approx(alexa.plan.macs / timed.us * 1e6)
    assert timed.cycles is None  # the host's clock rate says nothing about a board
    beside = others(ALEXA.read(), random_inputs(alexa.plan, 5, 0))
    assert beside["tflite-micro"] > 0
    shown = rendered(timing_table(alexa, timed, beside))
    assert "cycles" not in shown and "…" not in shown.split("ns/MAC")[0]
    clocked = timing(alexa.plan, timed.us, [one.us for one in timed.records], 125_000_000)
    assert "cycles" in rendered(timing_table(alexa, clocked, {}))
    assert "cycles" not in json.dumps(measured(alexa, timed, beside))
    assert measured(alexa, clocked, beside)["cycles"] == pytest.approx(timed.us * 125)


def test_a_slow_model_is_waited_for(alexa: BoardModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as its inferences took, times the rounds, beside what is waited anyway."""
    asked: list[dict[str, Any]] = []

    def exchange(op: str, blob: bytes = b"", **given: Any) -> tuple[dict[str, Any], bytes]:
        asked.append({"op": op, **given})
        size = 4 * (len(alexa.plan.ops) + 1) if op == "time" else 1
        return {"us": 9_000_000, "us_min": 9_000_000, "us_max": 9_000_000}, bytes(size)

    monkeypatch.setattr(alexa, "_board", SimpleNamespace(exchange=exchange))
    monkeypatch.setattr(alexa, "_slowest_us", 0)
    alexa.run(random_inputs(alexa.plan, 1, 0))
    alexa.time_us(7, 1)
    assert asked[-1]["timeout_s"] >= alexa._stall_s + 2 * 7 * 9


def test_a_trace_that_perfetto_reads(alexa: BoardModel) -> None:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

    alexa.run(random_inputs(alexa.plan, 5, 0))
    ends = alexa.profile_ns()
    trace = Trace()
    trace.ParseFromString(perfetto_trace(alexa.plan, ends, "unix"))
    begins = [p for p in trace.packet if p.track_event.type == TrackEvent.TYPE_SLICE_BEGIN]
    stops = [p for p in trace.packet if p.track_event.type == TrackEvent.TYPE_SLICE_END]
    assert len(begins) == len(stops) == len(alexa.plan.ops) + 1
    assert begins[0].track_event.name == "inference"
    assert [p.timestamp for p in begins[1:]] == ends[:-1]
    tracks = {
        p.track_descriptor.uuid: p.track_descriptor.name for p in trace.packet if p.HasField("track_descriptor")
    }
    assert {p.track_event.track_uuid for p in begins} <= tracks.keys()
    assert "unix (board clock)" in tracks.values()


def test_any_graph(tmp_path: Path) -> None:
    path = tmp_path / "graph.tflite"
    path.write_bytes(RandomGraph(11).build())
    file = find_model(str(path))
    with open_model(file, tier="bytecode") as opened:
        assert opened.board["tier"] == "bytecode"
        assert compare(opened, file.read(), random_inputs(opened.plan, 6, 0)).exact


def test_a_large_model_is_given_room_on_an_emulated_board(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    file = find_model("okay_nabu")
    with open_model(file, grown=lambda own, heap: told.append((own, heap))) as opened:
        opened.run(random_inputs(opened.plan, 1, 0))
    assert not told
