"""Finds wake word models and turns a detection rule into the numbers that the board applies."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from bodydouble.errors import InputError
from bodydouble.resources import library_dir

# The community models that pymicro-wakeword 2.5.0 brings. Another file under the same name is another model:
# okay_nabu has changed before.
PINNED_SHA256 = {
    "alexa": "9011a8155b04de858c48038529235cbc0e42e9fca05a55bf588cb80a653a723b",
    "hey_jarvis": "21a7976add39ee24ec96c63d96b7aaa18e24d1d9824b963e451da8feb4b78b77",
    "hey_mycroft": "c2a9b6ed51182db72e014781d5a4ece1929dc232a40b5b4be384f0295f0e1571",
    "okay_nabu": "d89128c4d16a72de429119fb2254ce46649553c2a24f5dd840175c80d7b9d094",
}
HOLD_HOPS = 74
"""ESPHome: no wake within 74 feature frames of a reset or of the last wake."""
COMPATIBILITIES = ("esphome", "pymicro")
MAX_WINDOW = 64
MAX_NAME = 24
"""Characters of a word's name that the board keeps."""
MAX_WORDS = 8


@dataclass(frozen=True)
class WakeWord:
    """A wake word model and what its manifest says of it."""

    name: str
    path: Path
    probability_cutoff: float
    sliding_window_size: int
    tensor_arena_size: int | None

    def rule(self, compat: str) -> dict[str, int]:
        """The board's parameters: it wakes when the sum of the last `window` outputs exceeds `threshold`."""
        window = self.sliding_window_size
        if compat == "esphome":
            return {
                "threshold": int(self.probability_cutoff * 255) * window,
                "window": window,
                "hold_reset": HOLD_HOPS,
                "hold_wake": HOLD_HOPS,
                "warmup": 0,
            }
        return {
            "threshold": _pymicro_threshold(self.probability_cutoff, window),
            "window": window,
            "hold_reset": 0,
            # The package itself says yes again and again; its yeses within this time are one wake.
            "hold_wake": HOLD_HOPS,
            "warmup": window,
        }


def _pymicro_threshold(cutoff: float, window: int) -> int:
    # pymicro-wakeword compares mean(outputs / 256) > cutoff in float; statistics.mean rounds the exact mean once.
    return max(total for total in range(window * 255 + 1) if not float(Fraction(total, 256 * window)) > cutoff)


def models_dir() -> Path:
    """The folder of the community models, found without importing the package (it loads a native library)."""
    spec = importlib.util.find_spec("pymicro_wakeword")
    if spec is None or spec.origin is None:
        raise InputError(
            "the community wake models are missing", hint="install them: pip install pymicro-wakeword==2.5.0"
        )
    return Path(spec.origin).parent / "models"


def known_words() -> list[str]:
    """Names that `--wake` takes."""
    return sorted(PINNED_SHA256)


def find_words(names: list[str]) -> list[WakeWord]:
    """Wake words by name, by path to a `.tflite` with a microWakeWord manifest beside it, or `all`; no repeats."""
    wanted: list[str] = []
    for name in names:
        wanted += known_words() if name == "all" else [name]
    words = [find_word(name) for name in dict.fromkeys(wanted)]
    if len(words) > MAX_WORDS:
        raise InputError(f"{len(words)} wake words are more than a board takes", hint=f"name at most {MAX_WORDS}")
    return words


def find_word(name: str) -> WakeWord:
    """One wake word; raises InputError naming the known ones."""
    if name in PINNED_SHA256:
        path = models_dir() / f"{name}.tflite"
        word = _read(name, path)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != PINNED_SHA256[name]:
            raise InputError(
                f"{path} is not the {name} model this version was tested with (sha256 {found[:12]}…)",
                hint="install it: pip install pymicro-wakeword==2.5.0",
            )
        return word
    added = library_dir() / f"{name}.tflite"
    if Path(name).name == name and added.is_file():
        return _read(name, added)
    path = Path(name)
    if path.suffix in (".tflite", ".json"):
        return _read(path.stem[:MAX_NAME], path.with_suffix(".tflite"))
    raise InputError(
        f"no wake word is called {name!r}",
        hint=f"use {', '.join(known_words())}, all, or a .tflite file with its .json manifest beside it",
    )


def _read(name: str, model: Path) -> WakeWord:
    manifest = model.with_suffix(".json")
    for path in (model, manifest):
        if not path.is_file():
            raise InputError(
                f"{path} does not exist", hint="a wake word is a .tflite file and a .json manifest beside it"
            )
    try:
        micro: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))["micro"]
        word = WakeWord(
            name=name,
            path=model,
            probability_cutoff=float(micro["probability_cutoff"]),
            sliding_window_size=int(micro["sliding_window_size"]),
            tensor_arena_size=micro.get("tensor_arena_size"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{manifest} is no microWakeWord manifest: {type(error).__name__}: {error}",
            hint='it needs "micro": {"probability_cutoff": 0.9, "sliding_window_size": 5}',
        ) from error
    if not (0 < word.probability_cutoff < 1 and 1 <= word.sliding_window_size <= MAX_WINDOW):
        raise InputError(
            f"{manifest}: probability_cutoff must be between 0 and 1, sliding_window_size 1 to {MAX_WINDOW}",
            hint="correct the manifest",
        )
    return word
