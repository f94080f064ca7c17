"""How fast the main job runs: microseconds per hop for each part, against pymicro-wakeword on the same audio.

Run it: python tests/bench/bench_stream.py [minutes of audio]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import soundfile
from numpy.typing import NDArray
from pymicro_features import MicroFrontend  # type: ignore[import-untyped]  # publishes no types
from pymicro_wakeword import MicroWakeWord, Model
from rich.console import Console
from rich.table import Table

from bodydouble.session.result import Result
from support.job import RECORDINGS, play

REPEATS = 3


def audio(minutes: float) -> NDArray[np.int16]:
    """The test recordings that hold no wake word, over and over."""
    quiet = [soundfile.read(path, dtype="int16")[0] for path in sorted(RECORDINGS.glob("miss-*.flac"))]
    once = np.concatenate(quiet)
    wanted = round(minutes * 60 * 16_000)
    return np.resize(once, wanted)


def reference_us(pcm: NDArray[np.int16], words: tuple[str, ...]) -> tuple[float, float]:
    """pymicro-features and pymicro-wakeword in this process: microseconds per hop of each."""
    front_end = MicroFrontend()
    models = [MicroWakeWord.from_builtin(Model(word)) for word in words]
    data = pcm.tobytes()
    hops = len(data) // 320
    began = time.perf_counter()
    rows = [front_end.process_samples(data[at : at + 320]).features for at in range(0, len(data), 320)]
    front_end_s = time.perf_counter() - began
    arrays = [np.array(row, np.float32).reshape(1, 1, 40) for row in rows if row]
    began = time.perf_counter()
    for array in arrays:
        for model in models:
            model.process_streaming(array)
    return front_end_s / hops * 1e6, (time.perf_counter() - began) / hops * 1e6


def best(path: Path, words: tuple[str, ...], tier: str) -> Result:
    """The quickest of a few runs: other work on the machine only ever adds."""
    runs = [play([path], wake=words, tier=tier) for _ in range(REPEATS if tier == "viper" else 1)]
    return max(runs, key=lambda run: float(run.timing["real_time_factor"]))


def main(minutes: float) -> None:
    """Print the table."""
    pcm = audio(minutes)
    path = Path(sys.argv[0]).with_suffix(".wav")
    table = Table(title=f"{minutes:g} min of speech, best of {REPEATS}; board clock, µs per 10 ms hop")
    for column in ("words", "tier", "front end", "models", "endpoint", "link", "real time ×", "pymicro µs", "ratio"):
        table.add_column(column, justify="right")
    try:
        for words in (("alexa",), ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")):
            for tier, share in (("viper", 1.0), ("bytecode", 0.05)):
                soundfile.write(path, pcm[: round(len(pcm) * share)], 16_000)
                result = best(path, words, tier)
                reference = sum(reference_us(pcm, words))
                part = result.timing["board_us_per_hop"]
                factor = result.timing["real_time_factor"]
                table.add_row(
                    str(len(words)),
                    tier,
                    *(f"{part[name]:.1f}" for name in ("frontend", "wake", "endpoint", "link")),
                    f"{factor:.0f}",
                    f"{reference:.1f}",
                    f"{1e4 / factor / reference:.1f}",
                )
    finally:
        path.unlink(missing_ok=True)
    Console().print(table)
    print("ratio: our wall clock per hop, link and host included, over pymicro-wakeword's in-process time")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
