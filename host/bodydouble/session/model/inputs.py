"""What a model is run on: arrays from .npy and .npz files, features of recordings, or noise by seed."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bodydouble.errors import InputError
from bodydouble.session.model.runner import DTYPES, Array, BoardModel
from bodydouble.session.result import frame_time

if TYPE_CHECKING:
    from bodydouble.compiler.plan import Plan, TensorInfo

FEATURES = 40
RATE_HZ = 16000
BLOCK_SAMPLES = 160
RANDOM_BYTES_MAX = 1 << 26
_LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "INT32": (-(1 << 20), 1 << 20)}


@dataclass(frozen=True)
class Inputs:
    """`arrays`: one [inferences, *shape] per input of the model.

    `ends_s`, of a recording: seconds from its start to the end of what each inference takes.
    """

    arrays: list[Array]
    ends_s: tuple[float, ...] = ()


def random_inputs(plan: Plan, count: int, seed: int) -> list[Array]:
    """`count` inputs: uniform ones, some at the type's extremes, some that change slowly as real signals do.

    Raises InputError for more than fit a reasonable memory.
    """
    each = sum(int(np.prod(info.shape, dtype=int)) * np.dtype(DTYPES[info.type]).itemsize for info in plan.inputs)
    if count * each > RANDOM_BYTES_MAX:
        raise InputError(
            f"{count:,} inputs of {each:,} bytes are more than {RANDOM_BYTES_MAX >> 20} MB",
            hint=f"give --count {max(RANDOM_BYTES_MAX // each, 1)} or less",
        )
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


def read_inputs(path: Path, model: BoardModel) -> Inputs:
    """The inferences that a file holds.

    `.npy`: the first input's values, `.npz`: one array per input, in order. A recording becomes rows of features that
    the board's own front end makes, or int16 samples where the model takes those. Raises InputError.
    """
    plan = model.plan
    if path.suffix.lower() not in (".npy", ".npz"):
        return _from_recording(path, model)
    arrays = _load(path)
    if len(arrays) != len(plan.inputs):
        raise InputError(
            f"{path} holds {_several(len(arrays), 'array')}, {plan.name} has {_several(len(plan.inputs), 'input')}",
            hint="save one array per input with numpy.savez",
        )
    found = [_shaped(x, info, path) for x, info in zip(arrays, plan.inputs, strict=True)]
    if len({len(x) for x in found}) != 1:
        raise InputError(f"{path}: the inputs differ in number", hint="give as many of each")
    return Inputs(found)


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def _load(path: Path) -> list[Array]:
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        return [loaded] if isinstance(loaded, np.ndarray) else [loaded[key] for key in loaded.files]
    except MemoryError as error:
        raise InputError(f"{path} does not fit memory", hint="save fewer inputs") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        why = " ".join(str(error).split())
        if "Object arrays" in why:
            raise InputError(
                f"{path} holds Python objects, which could run code", hint="save an array of numbers"
            ) from error
        if "pickle" in why:
            why = "it is neither an array nor an archive of them"
        raise InputError(f"{path} cannot be read as NumPy's: {why}", hint="save it with numpy.save") from error


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    # Whole inputs, one after the other; flat ones; or rows that several of make an input, as of features or images.
    core, given = (tuple(n for n in sizes if n != 1) for sizes in (wanted, shape))
    size = int(np.prod(wanted, dtype=int))
    ends = core if len(core) < 2 else core[1:]
    return len(given) <= 1 or given[-len(ends) :] == ends or (len(given) == 2 and given[1] == size)


def _shaped(x: Array, info: TensorInfo, path: Path) -> Array:
    wanted = np.dtype(DTYPES[info.type])
    size = int(np.prod(info.shape, dtype=int))
    if not x.size or x.size % size or not _fits(x.shape, info.shape):
        raise InputError(
            f"{path} of shape {list(x.shape)} is no whole number of inputs of shape {list(info.shape)}",
            hint=f"give an array of shape [n, {', '.join(map(str, info.shape))}]",
        )
    if x.dtype != wanted and x.dtype.kind == "f" and wanted.kind in "iu":
        limits = np.iinfo(wanted)
        if not np.isfinite(x).all():
            raise InputError(
                f"{path} holds values that are no numbers", hint=f"{info.type} has neither NaN nor infinity"
            )
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


def _from_recording(path: Path, model: BoardModel) -> Inputs:
    from bodydouble.streams import open_source  # noqa: PLC0415 - audio libraries

    info = model.plan.input
    size = int(np.prod(info.shape, dtype=int))
    features = info.type == "INT8" and size % FEATURES == 0 and FEATURES in info.shape
    if len(model.plan.inputs) > 1 or not (features or (info.type == "INT16" and size > FEATURES)):
        raise InputError(
            f"{model.plan.name} takes {', '.join(f'{i.type} {list(i.shape)}' for i in model.plan.inputs)}: "
            "neither features nor samples",
            hint="give its inputs as a .npy or .npz file",
        )
    with open_source(str(path)) as source:
        blocks = list(source)
    pcm: NDArray[np.int16] = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
    values: Array = pcm
    if features:
        values = model.features(pcm).reshape(-1) if len(pcm) >= BLOCK_SAMPLES else pcm[:0]
    count = len(values) // size
    if not count:
        raise InputError(f"{path} is shorter than one input of {model.plan.name}", hint="give a longer recording")
    ends = range(size, (count + 1) * size, size)
    ends_s = tuple(frame_time(end // FEATURES - 1) if features else end / RATE_HZ for end in ends)
    return Inputs([values[: count * size].reshape(count, *info.shape)], ends_s)
