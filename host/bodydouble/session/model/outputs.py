"""What came out of a run: as plain data, as NumPy's files, and as real numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bodydouble.resources import write_atomically
from bodydouble.session.model.runner import Array, BoardModel, BoardRun

if TYPE_CHECKING:
    from bodydouble.compiler.plan import TensorInfo
    from bodydouble.session.model.detect import Heard
    from bodydouble.session.model.inputs import Inputs


def real(values: Array, info: TensorInfo) -> Array:
    """Quantised values as the real numbers that they stand for; floats as they are."""
    if info.type in ("FLOAT32", "BOOL"):
        return values
    found: Array = (values.astype(np.float64) - info.zero_point) * info.scale
    return found


def port_text(info: TensorInfo) -> str:
    """An input or output in a line: its type, shape and scale."""
    text = f"{info.type} {list(info.shape)}"
    if info.type in ("FLOAT32", "BOOL"):
        return text
    if not info.zero_point:
        return f"{text}, real = {info.scale:.6g} * value"
    return f"{text}, real = {info.scale:.6g} * (value {'-+'[info.zero_point < 0]} {abs(info.zero_point)})"


def facts(model: BoardModel, done: BoardRun, inputs: Inputs, heard: Heard | None) -> dict[str, Any]:
    """As plain data; times of work are the board's own clock's, `ends_s` and `t` are seconds of the recording."""
    return {
        "model": model.plan.name,
        "board": dict(model.board),
        "inferences": len(done.outputs[0]),
        "us_per_inference": {"mean": done.us_mean, "min": done.us_min, "max": done.us_max, "clock": "board"},
        "ends_s": list(inputs.ends_s) or None,
        "heard": [asdict(one) for one in heard.detections] if heard else None,
        "outputs": [
            {"type": info.type, "shape": list(info.shape), "values": _listed(values)}
            for values, info in zip(done.outputs, model.plan.outputs, strict=True)
        ],
    }


def _listed(values: Array) -> Any:
    # JSON knows neither NaN nor infinity.
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        found = values.astype(object)
        found[~np.isfinite(values)] = None
        return found.tolist()
    return values.tolist()


def write_outputs(path: Path, outputs: Sequence[Array]) -> None:
    """Write `.npy`, or `.npz` where there are several outputs."""
    with io.BytesIO() as file:
        if len(outputs) == 1:
            np.save(file, outputs[0])
        else:
            np.savez(file, *outputs)
        write_atomically(path, file.getvalue())
