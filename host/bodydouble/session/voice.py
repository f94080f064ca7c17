"""The model of voice activity that helps a board find where a request begins and ends."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from bodydouble.errors import InputError
from bodydouble.resources import models_dir

NAME = "vad"
DETECTORS = ("model", "rule")


@dataclass(frozen=True)
class VoiceModel:
    """The model and what its manifest says of its outputs (0 to 255)."""

    path: Path
    begin: int
    """Speech begins with an output above this."""
    stay: int
    """It lasts while outputs exceed this."""
    deny: int
    """Below this there is certainly no speech."""
    lag_frames: int
    """What an output tells is true of so many frames before."""

    def rule(self) -> dict[str, int]:
        """The board's parameters."""
        return {"begin": self.begin, "stay": self.stay, "deny": self.deny, "lag_frames": self.lag_frames}


def find_voice_model() -> VoiceModel:
    """The model that comes with this version. Raises InputError where it is not the one of its manifest."""
    path = models_dir() / f"{NAME}.tflite"
    try:
        told = json.loads(path.with_suffix(".json").read_text())
        same = hashlib.sha256(path.read_bytes()).hexdigest() == told["sha256"]
        model = VoiceModel(path, told["begin"], told["stay"], told["deny"], told["lag_frames"])
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(path) from error
    if not same:
        raise _damaged(path)
    return model


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path} is missing, or not the model of its manifest",
        hint="reinstall it: pip install --force-reinstall bodydouble; or use --endpoint rule",
    )
