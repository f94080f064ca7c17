"""What a model is run on: arrays from .npy and .npz files, features of recordings, or noise by seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bodydouble.errors import InputError
from bodydouble.session.model.runner import DTYPES, Array, BoardModel

if TYPE_CHECKING:
    from bodydouble.compiler.plan import Plan, TensorInfo

FEATURES = 40
_LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "INT32": (-(1 << 20), 1 << 20)}


def random_inputs(plan: Plan, count: int, seed: int) -> list[Array]:
    """`count` inputs: uniform ones, some at the type's extremes, some that change slowly as real signals do."""
    rng = np.random.default_rng(seed)
    return [_random(rng, info, count) for info in plan.inputs]


def _random(rng: np.random.Generator, info: TensorInfo, count: int) -> Array:
    shape = (count, *info.shape)
    if info.type == "BOOL":
        return rng.integers(0, 2, shape).astype(bool)
    if info.type == "FLOAT32":
        spread = 10.0 ** rng.uniform(-2, 1, (count, *[1] * len(info.shape)))
        return (rng.standard_normal(shape) * spread).astype(np.float32)
    low, high = _LIMITS.get(info.type, (-(1 << 31), 1 << 31))
    x = rng.integers(low, high + 1, shape)
    x[1::8] = rng.choice([low, high], x[1::8].shape)
    x[2::8] = np.clip(rng.normal((low + high) / 2, (high - low) / 8, x[2::8].shape), low, high)
    if count > 3:
        held = x[3::8]
        held[...] = rng.integers(low, high + 1, (len(held), *[1] * len(info.shape)))
    return x.astype(DTYPES[info.type])


def read_inputs(path: Path, model: BoardModel) -> list[Array]:
    """The inferences that a file holds, one array [inferences, *shape] per input.

    `.npy`: the first input's values, `.npz`: one array per input, in order. A recording becomes rows of features that
    the board's own front end makes, or int16 samples where the model takes those. Raises InputError.
    """
    plan = model.plan
    if path.suffix in (".npy", ".npz"):
        arrays = _load(path)
        if len(arrays) != len(plan.inputs):
            raise InputError(
                f"{path} holds {len(arrays)} arrays, {plan.name} has {len(plan.inputs)} inputs",
                hint="save one array per input with numpy.savez",
            )
        found = [_shaped(x, info, path) for x, info in zip(arrays, plan.inputs, strict=True)]
        if len({len(x) for x in found}) != 1:
            raise InputError(f"{path}: the inputs differ in number", hint="give as many of each")
        return found
    return [_from_recording(path, model)]


def _load(path: Path) -> list[Array]:
    try:
        loaded: Any = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as NumPy's: {error}", hint="save it with numpy.save") from error
    return [loaded] if isinstance(loaded, np.ndarray) else [loaded[key] for key in loaded.files]


def _shaped(x: Array, info: TensorInfo, path: Path) -> Array:
    wanted = np.dtype(DTYPES[info.type])
    size = int(np.prod(info.shape, dtype=int))
    if not x.size or x.size % size:
        raise InputError(
            f"{path}: {x.size} values are no whole number of inputs of shape {list(info.shape)}",
            hint=f"give an array of shape [n, {', '.join(map(str, info.shape))}]",
        )
    if x.dtype != wanted and x.dtype.kind == "f" and wanted.kind in "iu":
        limits = np.iinfo(wanted)
        x = np.clip(np.round(x / info.scale) + info.zero_point, limits.min, limits.max)
    elif x.dtype.kind != wanted.kind:
        raise InputError(
            f"{path} holds {x.dtype}, the model takes {info.type}", hint=f"convert it to {wanted.name}, or to floats"
        )
    elif wanted.kind in "iu" and (x.min() < np.iinfo(wanted).min or x.max() > np.iinfo(wanted).max):
        raise InputError(
            f"{path} holds {x.min()} to {x.max()}, which {info.type} does not", hint="scale it as the model expects"
        )
    return x.astype(wanted).reshape(-1, *info.shape)


def _from_recording(path: Path, model: BoardModel) -> Array:
    from bodydouble.streams import open_source  # noqa: PLC0415 - audio libraries

    info = model.plan.input
    size = int(np.prod(info.shape, dtype=int))
    with open_source(str(path)) as source:
        blocks = list(source)
    pcm: NDArray[np.int16] = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
    if info.type == "INT8" and size % FEATURES == 0 and FEATURES in info.shape:
        values: Array = model.features(pcm).reshape(-1)
    elif info.type == "INT16" and size > FEATURES:
        values = pcm
    else:
        raise InputError(
            f"{model.plan.name} takes {info.type} of shape {list(info.shape)}: neither features nor samples",
            hint="give its inputs as a .npy file",
        )
    count = len(values) // size
    if not count:
        raise InputError(f"{path} is shorter than one input of {model.plan.name}", hint="give a longer recording")
    return values[: count * size].reshape(count, *info.shape)
