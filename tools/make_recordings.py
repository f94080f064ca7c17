"""Makes the recordings in tests/data and the truth beside them.

Run from the repository, with flite and espeak-ng installed (`apt-get install flite espeak-ng`) and the `test` extra:

    python tools/make_recordings.py          # writes tests/data/demo and tests/data/recordings
    python tools/make_recordings.py --check  # writes nothing; exit 1 where a recording would differ

Each recording is put together from pieces that are spoken one by one, so that the truth is known: 1.5 s of
background, the wake word, a pause, the request, background until the end. Speech has an RMS of 0.1 of full scale
while it lasts; the noise's level is set against that. The noise is seeded with the recording's name, so the samples
depend only on the versions that the truth names. A recording is refused if the wake models hear anything else than
what it says, by pymicro-wakeword's rule or by ESPHome's, at any of the three phases of a model's stride.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import pymicro  # noqa: E402  the generator is shared with the tests
from support.utterances import (  # noqa: E402
    BLOCK,
    RATE_HZ,
    Voice,
    espeak,
    flite,
    generator_versions,
    noise,
    silence,
    synthesise,
    to_pcm,
)

LEAD_S = 1.5
TAIL_S = 1.8
CLEAR_MISS = 0.6  # a near miss's best mean probability stays below this: no rounding turns it into a wake
SPEECH_RMS = 0.1
ROOM_DB = 50.0  # a quiet room
SPOKEN = {"alexa": "alexa", "okay_nabu": "okay nabu", "hey_jarvis": "hey jarvis", "hey_mycroft": "hey mycroft"}


class RefusedError(Exception):
    """The wake models hear something else in a recording than what it says."""


@dataclass(frozen=True)
class Turn:
    """A wake word, a pause, a request; either may be missing. `|` in the text is a pause of `inner_pause_s`."""

    text: str | None
    wake_word: str | None = "alexa"
    before_s: float = 0.0  # background before the turn, beyond the recording's lead
    pause_s: float = 0.25
    inner_pause_s: float = 0.0


@dataclass(frozen=True)
class Recording:
    """What is said, by whom, over which noise."""

    name: str
    voice: Voice
    turns: tuple[Turn, ...]
    noise: str | None = "pink"
    snr_db: float = ROOM_DB
    tail_s: float = TAIL_S


def miss(name: str, voice: Voice, text: str, snr_db: float = ROOM_DB, noise: str | None = "pink") -> Recording:
    """A recording without a wake word, with short silences since nothing has to be decided."""
    return Recording(name, voice, (Turn(text, wake_word=None),), noise, snr_db, tail_s=0.8)


def one(
    name: str, voice: Voice, text: str, snr_db: float = ROOM_DB, noise: str | None = "pink", **turn: Any
) -> Recording:
    """A recording of one turn."""
    return Recording(name, voice, (Turn(text, **turn),), noise, snr_db)


DEMO = (
    one("01-kitchen-light", flite("slt"), "turn on the kitchen light"),
    one("02-weather-in-noise", flite("rms"), "what is the weather today", snr_db=15),
    one("03-near-miss", espeak("en-us+f2"), "a lexus drove past the election office", wake_word=None),
    Recording(
        "04-front-door",
        espeak("en-gb"),
        (Turn("unlock the front door"), Turn("yes", before_s=2.2)),
    ),
)
RECORDINGS = (
    one("alexa-slt-silence", flite("slt"), "turn off the bedroom light", noise=None),
    one("alexa-rms-pink10", flite("rms"), "what time is it", snr_db=10),
    one("alexa-m3-white10", espeak("en-us+m3"), "switch on the fan", snr_db=10, noise="white"),
    one("alexa-awb-pink12", flite("awb"), "dim the lights in the hall", snr_db=12),
    one("alexa-kal16-white20", flite("kal16"), "add milk to the shopping list", snr_db=20, noise="white"),
    one("alexa-linda-pink15", espeak("en-us+Linda"), "set the thermostat to twenty degrees", snr_db=15),
    one("alexa-engb-no-pause", espeak("en-gb"), "is the front door locked", pause_s=0.0),
    one("alexa-enus-long-pause", espeak("en-us"), "turn on the living room light", pause_s=2.0),
    one("alexa-scotland-inner-pause", espeak("en-gb-scotland"), "set a timer | for ten minutes", inner_pause_s=0.5),
    Recording("alexa-slt-no-request", flite("slt"), (Turn(None),), tail_s=5.0),
    one("nabu-rms", flite("rms"), "turn on the kitchen light", wake_word="okay_nabu"),
    one("jarvis-awb", flite("awb"), "what is the weather today", wake_word="hey_jarvis"),
    one("mycroft-rms", flite("rms"), "lock the front door", wake_word="hey_mycroft"),
    miss("miss-lexus-kal16", flite("kal16"), "a lexus drove past"),
    miss("miss-election-rms-pink15", flite("rms"), "the election is on tuesday", snr_db=15),
    miss("miss-electra-f2", espeak("en-us+f2"), "electra wrote a letter"),
    miss("miss-alaska-awb", flite("awb"), "alaska is cold in winter"),
    miss("miss-nexus-enus-white20", espeak("en-us"), "a nexus of ideas", snr_db=20, noise="white"),
)


def speak(turn: Turn, voice: Voice, samples: list[npt.NDArray[np.float64]]) -> dict[str, Any]:
    """Append a turn to `samples`; returns its truth, times in seconds from the recording's start."""

    def now_s() -> float:
        return round(sum(piece.size for piece in samples) / RATE_HZ, 3)

    truth: dict[str, Any] = {"wake_word": turn.wake_word, "wake_start_s": None, "wake_end_s": None}
    samples.append(silence(turn.before_s))
    if turn.wake_word:
        truth["wake_start_s"] = now_s()
        samples.append(synthesise(SPOKEN[turn.wake_word], voice))
        truth["wake_end_s"] = now_s()
        samples.append(silence(turn.pause_s if turn.text else 0))
    truth |= {"text": turn.text, "utterance_start_s": None, "utterance_end_s": None}
    if turn.text:
        truth["text"] = turn.text.replace(" |", "")
        truth["utterance_start_s"] = now_s()
        for index, part in enumerate(turn.text.split(" | ")):
            if index:
                samples.append(silence(turn.inner_pause_s))
            samples.append(synthesise(part, voice))
        truth["utterance_end_s"] = now_s()
    return truth


def make(recording: Recording) -> tuple[npt.NDArray[np.int16], dict[str, Any]]:
    """The samples of a recording and its truth."""
    samples = [silence(LEAD_S)]
    turns = [speak(turn, recording.voice, samples) for turn in recording.turns]
    samples.append(silence(recording.tail_s))
    sound = np.concatenate(samples)
    if recording.noise:
        rng = np.random.default_rng(zlib.crc32(recording.name.encode()))
        level = SPEECH_RMS * 10 ** (-recording.snr_db / 20)
        sound = sound + level * noise(recording.noise, sound.size, rng)
    pcm = to_pcm(sound)
    heard = listen(recording, pcm, turns)
    return pcm, {
        "file": f"{recording.name}.flac",
        "voice": recording.voice.label,
        "noise": recording.noise,
        "snr_db": recording.snr_db if recording.noise else None,
        "seconds": round(pcm.size / RATE_HZ, 3),
        "turns": turns,
        "pymicro_wakes": [list(wake) for wake in heard],
        "samples_sha256": hashlib.sha256(pcm.tobytes()).hexdigest(),
    }


def listen(recording: Recording, pcm: npt.NDArray[np.int16], turns: list[dict[str, Any]]) -> list[pymicro.Wake]:
    """pymicro-wakeword's wakes; RefusedError where a rule or a phase hears something else than what is said."""
    expected = [turn["wake_word"] for turn in turns if turn["wake_word"]]
    heard: list[pymicro.Wake] = []
    for phase in (2, 1, 0):
        frames = pymicro.features(np.concatenate([np.zeros(phase * BLOCK, np.int16), pcm]))
        for rule in (pymicro.wakes_esphome, pymicro.wakes_pymicro):
            result = rule(frames)
            heard = result.wakes
            misses = {name: p for name, p in result.best.items() if name not in expected and p >= CLEAR_MISS}
            if [wake.model for wake in heard] != expected or misses:
                raise RefusedError(f"{recording.name}: {rule.__name__}, phase {phase}: {heard} {misses or ''}")
    return heard  # of the recording as it is, by pymicro-wakeword's own rule


def sets() -> Iterator[tuple[Path, tuple[Recording, ...]]]:
    """Every folder with what belongs in it."""
    data = ROOT / "tests" / "data"
    yield data / "demo", DEMO
    yield data / "recordings", RECORDINGS


def main() -> int:
    """Write, or check, every recording."""
    parser = argparse.ArgumentParser(description="Make the recordings in tests/data and the truth beside them.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a recording would differ")
    check = parser.parse_args().check
    changed = 0
    for folder, recordings in sets():
        folder.mkdir(parents=True, exist_ok=True)
        truths = []
        for recording in recordings:
            try:
                pcm, truth = make(recording)
            except RefusedError as error:
                print(f"refused: {error}", file=sys.stderr)
                return 1
            truths.append(truth)
            path = folder / truth["file"]
            same = path.exists() and np.array_equal(soundfile.read(path, dtype="int16")[0], pcm)
            changed += not same
            if not (same or check):
                soundfile.write(path, pcm, RATE_HZ, format="FLAC", subtype="PCM_16")
            print(f"{path.relative_to(ROOT)}: {truth['seconds']:.2f} s, {'unchanged' if same else 'differs'}")
        text = json.dumps({"schema": 1, "generators": generator_versions(), "recordings": truths}, indent=1) + "\n"
        if not check:
            (folder / "truth.json").write_text(text)
    return int(bool(check and changed))


if __name__ == "__main__":
    sys.exit(main())
