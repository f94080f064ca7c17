"""Real voices, where BODYDOUBLE_DATA names a folder with `voices/`: 20 people who say "alexa", and other words."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bodydouble.session.player import Settings
from support import pymicro
from support.job import play

VOICES = Path(os.environ.get("BODYDOUBLE_DATA", "/nowhere")) / "voices"
pytestmark = pytest.mark.skipif(not VOICES.is_dir(), reason="set BODYDOUBLE_DATA to a folder with voices/*.flac")
CLEAR = 0.97


@pytest.mark.parametrize("compat", ["pymicro", "esphome"])
def test_every_voice_wakes_where_the_package_says(compat: str) -> None:
    files = sorted(VOICES.glob("alexa_*.flac"))
    off: dict[str, float] = {}
    for path in files:
        # Just the word, so the board gets a second of silence on either side, as the package does.
        pcm, rate = soundfile.read(path, dtype="int16")
        assert rate == 16_000
        golden = pymicro.wakes_pymicro(pymicro.features(pcm))
        said = [wake.t for wake in golden.wakes if wake.model == "alexa"]
        result = play([path], settings=Settings(compat=compat))
        assert [wake.model for wake in result.wakes] == ["alexa"], path.name
        if said and (compat == "pymicro" or golden.best["alexa"] > CLEAR):
            off[path.name] = result.wakes[0].t - said[0]
    print(f"{len(files)} voices, {len(off)} compared, at most {max(map(abs, off.values())) * 1e3:.0f} ms apart")
    assert len(off) > len(files) // 2
    assert np.max(np.abs(list(off.values()))) <= 0.06


def test_other_words_do_not_wake() -> None:
    files = sorted(VOICES.glob("*_1000ms.wav"))
    for path in files:
        assert not play([path], wake=("all",)).wakes, path.name
