"""Compiled plans, kept by content: the model's hash, its name, the packing, and the compiler that made the plan.

An entry is one file: the hex sha256 of the rest, a line of JSON, the plan. One that is damaged is made again.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from bodydouble.compiler.errors import ModelFileError
from bodydouble.compiler.packing import ROWS
from bodydouble.compiler.plan import COMPILER_VERSION, OpInfo, Place, Plan, TensorInfo, compile_model
from bodydouble.compiler.reader import MODEL_BYTES_MAX
from bodydouble.resources import cache_dir as default_cache_dir
from bodydouble.resources import write_atomically

_DIGEST_BYTES = 64


@cache
def _compiler_digest() -> str:
    # Any change of the compiler's source makes new plans, so that nobody has to remember to raise a number.
    digest = hashlib.sha256(str(COMPILER_VERSION).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MODEL_BYTES_MAX:
            raise ModelFileError(
                f"{path}: larger than {MODEL_BYTES_MAX >> 20} MB",
                hint="give a .tflite model; boards run small ones",
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such model file", hint="give the path of a .tflite file") from error
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read: {error.strerror}", hint="give a readable .tflite file"
        ) from error


def _pack(plan: Plan) -> bytes:
    meta = {key: value for key, value in asdict(plan).items() if key != "blob"}
    body = json.dumps(meta, sort_keys=True).encode() + b"\n" + plan.blob
    return hashlib.sha256(body).hexdigest().encode() + body


def _unpack(entry: bytes) -> Plan | None:
    digest, body = entry[:_DIGEST_BYTES], entry[_DIGEST_BYTES:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    line, _, blob = body.partition(b"\n")
    meta: dict[str, Any] = json.loads(line)
    meta["ops"] = tuple(OpInfo(**{**op, "shape": tuple(op["shape"])}) for op in meta["ops"])
    for key in ("inputs", "outputs"):
        meta[key] = tuple(TensorInfo(**{**port, "shape": tuple(port["shape"])}) for port in meta[key])
    meta["places"] = {
        int(index): Place(**{**place, "shape": tuple(place["shape"]), "strides": tuple(place["strides"])})
        for index, place in meta["places"].items()
    }
    return Plan(blob=blob, **meta)


def load_plan(path: str | Path, cache_dir: Path | None = None, name: str | None = None, packing: int = ROWS) -> Plan:
    """The plan of the model at `path`, compiled now or earlier; the board calls it `name` (default: the file's stem).

    `packing` is one that the board names (`best_packing`).

    Raises ModelFileError and UnsupportedModelError.
    """
    path = Path(path)
    name = name or path.stem
    data = _read(path)
    key = hashlib.sha256(b"\0".join((_compiler_digest().encode(), name.encode(), bytes([packing]), data))).hexdigest()
    entry = (cache_dir or default_cache_dir() / "plans") / f"{key}.plan"
    try:
        plan = _unpack(entry.read_bytes())
    except OSError:
        plan = None
    if plan is None:
        plan = compile_model(data, name, str(path), packing)
        with suppress(OSError):  # a cache that cannot be written costs time, no more
            write_atomically(entry, _pack(plan))
    return plan
