"""What `model info` says: counts that were made by hand, how often a streaming model runs, and text that fits."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bodydouble.session.model.describe import Description, describe, facts
from bodydouble.session.model.library import ModelFile, find_model, list_models
from bodydouble.views.models import description, model_list
from support.graphs import FAMILIES, RandomGraph
from support.tflite_build import GraphBuilder

# By hand, from the shapes: positions * taps * inputs * outputs. Where a depthwise filter looks at n rows, n taps.
ALEXA = (
    5 * 40 * 32  # five rows of 40 features by 32 filters
    + (5 * 32 + 32 * 64)  # each depthwise filter and the pointwise layer behind it
    + (9 * 64 + 64 * 64)
    + (13 * 64 + 64 * 64)
    + (21 * 64 + 64 * 64)
    + 5 * 64  # the dense layer over five rows
)


def _net() -> bytes:
    # 8 x 6 x 3, SAME, stride 2 -> 4 x 3 x 4; depthwise 3 x 3, VALID, twice as many -> 2 x 1 x 8; dense -> 5.
    b = GraphBuilder()
    ones = lambda *shape: np.ones(shape, np.int8)  # noqa: E731
    x = b.tensor((1, 8, 6, 3), 0.1, 0)
    y = b.tensor((1, 4, 3, 4), 3.0, 0)
    weights = b.tensor((4, 3, 3, 3), [0.1] * 4, 0, data=ones(4, 3, 3, 3))
    b.op("CONV_2D", [x, weights, -1], [y], padding=0, strideH=2, strideW=2, dilationHFactor=1, dilationWFactor=1)
    z = b.tensor((1, 2, 1, 8), 3.0, 0)
    weights = b.tensor((1, 3, 3, 8), [0.1] * 8, 0, data=ones(1, 3, 3, 8), dimension=3)
    b.op(
        "DEPTHWISE_CONV_2D", [y, weights, -1], [z],
        padding=1, strideH=1, strideW=1, depthMultiplier=2, dilationHFactor=1, dilationWFactor=1,
    )  # fmt: skip
    out = b.tensor((1, 5), 3.0, 0)
    b.op("FULLY_CONNECTED", [z, b.tensor((5, 16), 0.1, 0, data=ones(5, 16)), -1], [out])
    return b.build([x], [out])


def _described(tmp_path: Path, data: bytes, manifest: str = "", name: str = "m") -> Description:
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(data)
    if manifest:
        path.with_suffix(".json").write_text(manifest)
    return describe(ModelFile(name, path, "file"))


def _shown(found: Description, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(description(found))
    assert all(len(line) <= width for line in out.getvalue().splitlines())
    return out.getvalue()


def test_counts_made_by_hand(tmp_path: Path) -> None:
    found = _described(tmp_path, _net())
    parts = [4 * 3 * 9 * 3 * 4, 2 * 1 * 9 * 8, 16 * 5]
    assert found.plan.macs == sum(parts)
    assert [record["label"] for record in facts(found)["records"] if record["macs"]] == [
        "conv_2d", "depthwise_conv_2d", "depthwise_conv_2d", "fully_connected",
    ]  # fmt: skip
    assert sum(record["macs"] for record in facts(found)["records"]) == sum(parts)
    assert found.macs_per_second is None


def test_a_streaming_model_runs_as_often_as_its_manifest_says() -> None:
    found = describe(find_model("alexa"))
    assert found.plan.macs == ALEXA == 23968
    assert found.period_s == pytest.approx(0.03)
    assert found.macs_per_second == pytest.approx(ALEXA / 0.03)
    shown = " ".join(_shown(found, 80).split())
    assert "23,968 multiply-accumulates per inference 798,933 per second of audio: an inference takes 30 ms" in shown


@pytest.mark.parametrize(
    "manifest",
    ["{}", '{"feature_step_size": 0}', '{"feature_step_size": "10"}', '{"feature_step_size": 1e999}', '{"micro": 7}'],
)
def test_a_period_that_nobody_says(tmp_path: Path, manifest: str) -> None:
    found = _described(tmp_path, find_model("alexa").read(), manifest)
    assert (found.period_s, found.macs_per_second, found.manifest_error) == (None, None, "")


@pytest.mark.parametrize("manifest", ["[1]", "{", "\\0"])
def test_a_damaged_manifest_is_told(tmp_path: Path, manifest: str) -> None:
    found = _described(tmp_path, _net(), manifest)
    assert "m.json is no model's manifest" in found.manifest_error
    assert facts(found)["manifest"] is None
    assert "manifest" in _shown(found, 80) and "no model's manifest" in " ".join(_shown(found, 400).split())


@pytest.mark.parametrize("width", [80, 120])
def test_everything_fits_the_terminal(tmp_path: Path, width: int) -> None:
    """Nothing is cut off but tensors' long names; a path is whole, if folded; a name is no markup."""
    for seed in range(12):
        found = _described(tmp_path, RandomGraph(seed, FAMILIES).build(), name=f"[bold]wörld [{seed}]")
        shown = _shown(found, width)
        assert str(found.model.path) in "".join(
            line.strip().removeprefix("file").strip() for line in shown.splitlines()
        )
        json.dumps(facts(found), allow_nan=False)
        for op in found.plan.ops:
            assert not op.macs or f"{op.macs:,}" in shown


def test_a_list_is_no_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_MODELS", str(tmp_path))
    (tmp_path / "a.tflite").write_bytes(_net())
    (tmp_path / "a.json").write_text('{"description": "[/] of [bold]bells[/bold]"}')
    out = io.StringIO()
    Console(file=out, width=80).print(model_list(list_models()))
    assert "[/] of [bold]bells[/bold]" in out.getvalue()
