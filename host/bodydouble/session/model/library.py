"""Models by name: the community wake words, our own, those that a user added, and any file.

Added models are kept in the user's data folder (`BODYDOUBLE_MODELS` moves it), each a `.tflite` file with a manifest
beside it in microWakeWord's format; `bodydouble stream --wake NAME` finds them there, too.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from bodydouble.compiler import compile_model
from bodydouble.compiler.reader import MODEL_BYTES_MAX
from bodydouble.errors import BodydoubleError, InputError
from bodydouble.resources import library_dir, write_atomically
from bodydouble.resources import models_dir as own_models_dir
from bodydouble.session.model.download import beside, fetch, file_name, is_address
from bodydouble.session.words import MAX_NAME, PINNED_SHA256, models_dir

MANIFEST_BYTES_MAX = 1 << 20
NAMES_SHOWN = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class ModelFile:
    """A model that can be named: `origin` is community, ours, added or file."""

    name: str
    path: Path
    origin: str

    @property
    def manifest(self) -> dict[str, Any]:
        """What the JSON beside it says; empty where there is none."""
        return read_manifest(self.path.with_suffix(".json"))

    @property
    def labels(self) -> list[str]:
        """What the model's classes are called; empty where no manifest says it."""
        try:
            labels = self.manifest.get("labels")
        except InputError:
            return []
        return [str(label) for label in labels] if isinstance(labels, list) else []

    @property
    def purpose(self) -> str:
        """In a few words, for a list."""
        try:
            manifest = self.manifest
        except InputError as error:
            return error.message
        if "micro" in manifest:
            return f"wake word {str(manifest.get('wake_word') or self.name)!r}"
        return str(manifest.get("description") or manifest.get("type") or "model")

    def read(self) -> bytes:
        """The file's bytes; raises InputError where it cannot be read."""
        return _read(self.path)


def list_models() -> list[ModelFile]:
    """Every model that has a name, sorted within its origin."""
    found = [ModelFile(name, models_dir() / f"{name}.tflite", "community") for name in sorted(PINNED_SHA256)]
    for origin, folder in (("ours", own_models_dir()), ("added", library_dir())):
        found += [ModelFile(path.stem, path, origin) for path in sorted(folder.glob("*.tflite"))]
    return found


def find_model(name: str) -> ModelFile:
    """A model by name or by path; raises InputError naming near ones, or the known ones."""
    known = {model.name: model for model in list_models()}
    if name in known:
        return known[name]
    path = Path(name)
    if name and path.is_dir():
        raise InputError(f"{path} is a folder", hint="give the path of a .tflite file in it")
    if path.suffix == ".json":
        path = _described(path)
    if path.suffix == ".tflite" or path.is_file():
        if not path.is_file():
            raise InputError(f"{path}: no such model file", hint="give the path of a .tflite file")
        return ModelFile(path.stem, path, "file")
    raise InputError(f"no model is called {name!r}", hint=_known_names(name, list(known)))


def _known_names(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), [one.lower() for one in known], 3)
    if near:
        return f"did you mean {' or '.join(one for one in known if one.lower() in near)}?"
    if len(known) > NAMES_SHOWN:
        return f"`bodydouble model list` shows {len(known)} names; or give the path of a .tflite file"
    return f"use {', '.join(known)}, or the path of a .tflite file"


@dataclass(frozen=True)
class Additions:
    """What was added; of a folder also what was not, and why."""

    added: tuple[ModelFile, ...]
    refused: tuple[BodydoubleError, ...] = ()


def add_model(source: str, name: str | None = None, *, replace: bool = False) -> Additions:
    """Add a file, every file of a folder, or what a URL names; a `.json` manifest beside a model is taken along.

    Raises InputError, ModelFileError or UnsupportedModelError, and then nothing was added.
    """
    if is_address(source):
        data, manifest = _download(source)
        called = name or str(manifest.get("model") or file_name(source)).removesuffix(".tflite")
        return Additions((_add(data, manifest, called, source, replace=replace),))
    path = Path(source)
    if source and path.is_dir():
        return _add_folder(path, name, replace=replace)
    if not (source and path.exists()) and source not in {model.name for model in list_models()}:
        raise InputError(f"{source!r}: no such file", hint="give a .tflite file, a folder of them, or a URL")
    model = find_model(source)
    manifest = read_manifest(path) if path.suffix == ".json" else model.manifest
    return Additions((_add(model.read(), manifest, name or model.name, str(path), replace=replace),))


def _add_folder(folder: Path, name: str | None, *, replace: bool) -> Additions:
    files = sorted(path for path in folder.glob("*.tflite") if path.is_file())
    if not files:
        raise InputError(f"{folder} holds no .tflite file", hint="give a folder with models, or a file")
    if name and len(files) > 1:
        raise InputError(f"--name fits one model, {folder} holds {len(files)}", hint="leave --name out")
    added, refused = [], []
    for file in files:
        model = ModelFile(file.stem, file, "file")
        try:
            added.append(_add(model.read(), model.manifest, name or model.name, str(file), replace=replace))
        except BodydoubleError as error:
            refused.append(error)
    if not added:
        raise refused[0]
    return Additions(tuple(added), tuple(refused))


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest's object; empty where there is no such file. Raises InputError for what is no JSON object."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="give a readable manifest") from error
    return _parse_manifest(raw, str(path))


def _described(manifest: Path) -> Path:
    # The model that a manifest is about: the one that it names, else the one beside it.
    named = manifest.with_name(Path(str(read_manifest(manifest).get("model") or "")).name or manifest.name)
    return named if named.suffix == ".tflite" and named.is_file() else manifest.with_suffix(".tflite")


def _parse_manifest(raw: bytes, source: str) -> dict[str, Any]:
    try:
        manifest = json.loads(raw) if len(raw) <= MANIFEST_BYTES_MAX else None
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise InputError(f"{source} is no model's manifest", hint="it must be a JSON object")
    return manifest


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MODEL_BYTES_MAX:
            raise InputError(f"{path}: larger than {MODEL_BYTES_MAX >> 20} MB", hint="boards run small models")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="give a readable .tflite file") from error


def _add(data: bytes, manifest: dict[str, Any], name: str, source: str, *, replace: bool) -> ModelFile:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise InputError(
            f"{name!r} cannot be a model's name: letters, digits, _ . -, at most {MAX_NAME}",
            hint=f"give --name {_plain(name)}, or rename the file",
        )
    compile_model(data, name, source)  # what the board does not run is refused here, not later
    path = library_dir() / f"{name}.tflite"
    facts = {**manifest, "model": path.name, "source": source, "sha256": hashlib.sha256(data).hexdigest()}
    with _locked(library_dir()):
        taken = next((model for model in list_models() if model.name == name), None)
        if taken and (taken.origin != "added" or not replace):
            cure = "give another --name" + (", or --replace" if taken.origin == "added" else "")
            raise InputError(f"a model called {name} is there already ({taken.origin})", hint=cure)
        write_atomically(path, data)
        write_atomically(path.with_suffix(".json"), (json.dumps(facts, indent=1) + "\n").encode())
    return ModelFile(name, path, "added")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # Of two processes that add the same name at once, the second one finds it taken.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            yield
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error.strerror}", hint="set BODYDOUBLE_MODELS to another folder"
        ) from error


def _plain(name: str) -> str:
    # The nearest name that could be one.
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", ascii_only)[:MAX_NAME].strip("_.-") or "my_model"


def _download(url: str) -> tuple[bytes, dict[str, Any]]:
    # A URL names a model, or its manifest, whose "model" is then relative to it.
    if not file_name(url).endswith(".json"):
        return fetch(url, MODEL_BYTES_MAX), {}
    manifest = _parse_manifest(fetch(url, MANIFEST_BYTES_MAX), url)
    if not isinstance(manifest.get("model"), str):
        raise InputError(f"{url} names no model", hint='a manifest needs "model": "NAME.tflite"')
    return fetch(beside(url, manifest["model"]), MODEL_BYTES_MAX), manifest
