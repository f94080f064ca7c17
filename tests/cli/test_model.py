"""`bodydouble model` from outside: what each command prints, writes and refuses."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from bodydouble.cli.main import main
from support.graphs import RandomGraph
from support.micropython import ROOT
from support.processes import run, running, strict
from support.tflite_build import GraphBuilder

RECORDING = ROOT / "tests" / "data" / "recordings" / "alexa-slt-silence.flac"


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.tflite"
    path.write_bytes(RandomGraph(11).build())
    return path


def test_list_and_add(tmp_path: Path, graph: Path) -> None:
    env = {"BODYDOUBLE_MODELS": str(tmp_path / "library")}
    done = run("model", "add", graph, "--name", "mine", env=env)
    assert done.code == 0 and "added mine" in done.out
    done = run("model", "list", "--json", "-", env=env)
    found = {model["name"]: model for model in strict(done.out)["models"]}
    assert found["mine"]["origin"] == "added" and found["alexa"]["purpose"] == "wake word 'Alexa'"
    assert "mine" in done.err
    done = run("model", "add", graph, "--name", "mine", env=env)
    assert done.code == 2
    assert done.one_line() == (
        "bodydouble: a model called mine is there already (added) (give another --name, or --replace)"
    )


def test_info() -> None:
    done = run("model", "info", "alexa", "--json", "-")
    found = strict(done.out)
    assert (found["macs"], found["inputs"][0]["shape"], found["outputs"][0]["type"]) == (23968, [1, 3, 40], "UINT8")
    assert found["operations"]["CONV_2D"] == 5
    assert found["pico_ms"]["clock"] == "projected"
    for words in ("INT8 [1, 3, 40]", "23,968 multiply-accumulates", "projected", "sha256 9011a8155b04"):
        assert words in " ".join(done.err.split())


def test_compile(tmp_path: Path) -> None:
    done = run("model", "compile", "alexa", "--output", tmp_path / "a.plan", "--json", "-")
    found = strict(done.out)
    data = (tmp_path / "a.plan").read_bytes()
    assert data[:4] == b"BDPL" and found["plan_bytes"] == len(data)


def test_run(tmp_path: Path) -> None:
    done = run("model", "run", "alexa", "--input", RECORDING, "--output", tmp_path / "y.npy", "--json", "-")
    found = strict(done.out)
    outputs = np.load(tmp_path / "y.npy")
    assert outputs.dtype == np.uint8 and outputs.max() > 230
    assert np.array_equal(np.array(found["outputs"][0]["values"]), outputs)
    assert found["us_per_inference"]["clock"] == "board"
    assert "board clock" in done.err
    assert len(found["ends_s"]) == found["inferences"] == len(outputs)
    (heard,) = found["heard"]
    streamed = strict(run("stream", RECORDING, "--cloud", "none", "--json", "-").out)["wakes"]
    assert [(heard["t"], heard["score"])] == [(wake["t"], wake["score"]) for wake in streamed]
    assert f"heard   Alexa at {heard['t']:.2f} s, score {heard['score']:.2f} (must exceed 0.90)" in done.err


@pytest.mark.parametrize("tier", ["viper", "bytecode"])
def test_compare(tier: str, graph: Path) -> None:
    done = run("model", "compare", graph, "alexa", "--tier", tier, "--count", "5", "--json", "-")
    found = strict(done.out)
    assert done.code == 0 and found["exact"] is True
    assert [model["model"] for model in found["models"]] == ["graph", "alexa"]
    for model in found["models"]:
        assert model["board"]["tier"] == tier
        assert model["golden"]["values"] > 0 == model["golden"]["differing"]
        assert model["arena_bytes"]["tflite-micro"] > model["arena_bytes"]["board"] > 0
    assert "values equal tflite-micro's" in done.err


def test_a_comparison_that_is_broken_off_is_not_exact(graph: Path, tmp_path: Path) -> None:
    """What was compared is told, and so is why not all of it was."""
    result = tmp_path / "result.json"
    arguments = ("model", "compare", graph, "alexa", "--count", "1500", "--tier", "bytecode", "--json", result)
    with running(*arguments) as tool:
        tool.says("graph on unix")
        tool.send(signal.SIGINT)
        done = tool.done()
    found = strict(result.read_text())
    assert (done.code, done.one_line()) == (130, "bodydouble: interrupted")
    assert (found["status"], found["exit_code"], found["exact"]) == ("interrupted", 130, False)
    assert [model["exact"] for model in found["models"]] == [True]


def test_without_references(graph: Path, tmp_path: Path) -> None:
    """Told at once, before a board starts."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'tflite_micro' else find(name, package)\n"
    )
    done = run("model", "compare", graph, "--json", "-", env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 2
    assert done.one_line() == "bodydouble: tflite-micro is not installed (pip install 'bodydouble[golden]')"
    assert strict(done.out)["error"].startswith("tflite-micro is not installed")


@pytest.mark.parametrize("command", ["list", "info", "run"])
def test_a_reader_that_goes_away(command: str, graph: Path, tmp_path: Path) -> None:
    """`| head -1` ends quietly."""
    names = [] if command == "list" else [graph, "--json", "-"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = run("model", command, *names, stdout=gone, cwd=tmp_path)
    assert done.code == 0 and "Traceback" not in done.err


def test_bench() -> None:
    done = run("model", "bench", "alexa", "--json", "-")
    (found,) = strict(done.out)["models"]
    assert found["clock"] == "board" and found["us"] > 0
    assert sum(record["macs"] for record in found["records"]) == 23968
    assert sum(record["share"] for record in found["records"]) == pytest.approx(1)
    assert found["others"]["tflite-micro"]["clock"] == "host"
    assert "conv_2d" in done.err


def test_bench_beside_projected_silicon() -> None:
    done = run("model", "bench", "alexa", "--silicon", "ethos-u55-128", "--silicon", "neuroncore-v1", "--json", "-")
    (found,) = strict(done.out)["models"]
    assert [(one["name"], one["clock"]) for one in found["silicon"]] == [
        ("ethos-u55-128", "projected"), ("neuroncore-v1", "projected")
    ]  # fmt: skip
    assert all(one["board_us"] == found["us"] and one["us"] > 0 and one["sources"] for one in found["silicon"])
    assert "projected, never measured" in done.err and "ethos-u55-128" in done.err


def test_profile(tmp_path: Path) -> None:
    done = run("model", "profile", "alexa", "--output", tmp_path / "t.perfetto-trace", "--json", "-")
    found = strict(done.out)
    assert found["records"] == 13 and found["clock"] == "board"
    assert (tmp_path / "t.perfetto-trace").stat().st_size > 500


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["info", "nobody"], "bodydouble: no model is called 'nobody' ("),
        (
            ["bench", "alexa", "--silicon", "m4"],
            "bodydouble: no silicon 'm4' (known: ethos-u55-128, ethos-u65-256, neuroncore-v1)",
        ),
        (["info", "gone.tflite"], "bodydouble: gone.tflite: no such model file (give the path of a .tflite file)"),
        (
            ["run", "alexa", "--input", "gone.npy"],
            "bodydouble: Invalid value for '--input': File 'gone.npy' does not",
        ),
        (["compare"], "bodydouble: Missing argument 'MODEL...' (see bodydouble model compare --help)"),
        (["run", "alexa", "--heap", "190000"], "bodydouble: the board refused 'load': alexa needs "),
        (["dance"], "bodydouble: No such command 'dance'"),
        (["run", "alexa", "--seed", "-1"], "bodydouble: Invalid value for '--seed': -1 is not in the range x>=0"),
        (["run", "alexa", "--count", "0"], "bodydouble: Invalid value for '--count': 0 is not in the range"),
        (["info", "alexxa"], "bodydouble: no model is called 'alexxa' (did you mean alexa?)"),
        (["info", "."], "bodydouble: . is a folder (give the path of a .tflite file in it)"),
    ],
)
def test_mistakes(arguments: list[str], line: str) -> None:
    done = run("model", *arguments)
    assert done.one_line().startswith(line)
    assert done.code in (2, 4)
    assert done.out == ""


def _unsupported() -> dict[str, bytes]:
    def one(kind: str, types: tuple[str, str, str], shape: tuple[int, ...] = (1, 8)) -> bytes:
        b = GraphBuilder()
        x, y = (b.tensor(shape, 0.1, 0, kind) for kind in (types[0], types[2]))
        inputs = [x]
        if kind == "FULLY_CONNECTED":
            ones = np.ones((8, 8), {"INT8": np.int8, "FLOAT32": np.float32, "UINT8": np.uint8}[types[1]])
            inputs = [x, b.tensor((8, 8), 0.1, 0, types[1], data=ones), -1]
        b.op(kind, inputs, [y])
        return b.build([x], [y])

    floats, bytes_ = ("FLOAT32",) * 3, ("INT8",) * 3
    return {
        "float": one("FULLY_CONNECTED", floats),
        "hybrid": one("FULLY_CONNECTED", ("FLOAT32", "INT8", "FLOAT32")),
        "uint8": one("FULLY_CONNECTED", ("UINT8",) * 3),
        "dynamic": one("RELU", bytes_, (-1, 8)),
        "if": one("IF", bytes_),
        "while": one("WHILE", bytes_),
        "custom": one("CUSTOM", bytes_),
        "text": b"no flatbuffer at all",
        "page": b"<!DOCTYPE html><html></html>",
        "empty": b"",
        "cut": RandomGraph(11).build()[:500],
    }


@pytest.mark.parametrize("kind", _unsupported())
def test_unsupported_models(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the cure from every command, and valid JSON."""
    path = tmp_path / f"{kind} modèl.tflite"
    path.write_bytes(_unsupported()[kind])
    for command in ("add", "info", "compile", "run", "compare", "bench", "profile"):
        code = main(["model", command, str(path), "--json", "-"])
        said = capsys.readouterr()
        (line,) = said.err.splitlines()
        assert code == 2
        assert line.startswith("bodydouble: ") and line.endswith(")")
        assert "modèl" in line
        found = strict(said.out)
        assert (found["exit_code"], found["error"]) == (2, line.removeprefix("bodydouble: "))
        if command == "compare":
            assert found["exact"] is False


def test_a_folder_is_added_as_far_as_it_goes(tmp_path: Path, graph: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"nonsense")
    done = run("model", "add", tmp_path, "--json", "-", env={"BODYDOUBLE_MODELS": str(tmp_path / "library")})
    found = strict(done.out)
    assert done.code == 2
    assert [model["name"] for model in found["added"]] == ["graph"]
    (refused,) = found["refused"]
    assert "bad.tflite is no TensorFlow Lite model" in refused
    assert f"bodydouble: {refused}" in done.err.splitlines()
