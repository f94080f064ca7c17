"""Generated speech: flite and espeak-ng voices, stationary noise, and utterances whose true bounds are known.

Everything is seeded: the same seed, generators and numpy give the same samples.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

RATE_HZ = 16000
BLOCK = RATE_HZ // 100  # 10 ms, the grid on which speech is measured
QUIET_DB = 30.0  # speech is what lies within this of the clean utterance's loudest block

Samples = npt.NDArray[np.float64]  # full scale is 1.0


@dataclass(frozen=True)
class Voice:
    """A voice of one of the two generators; `pace` is flite's duration stretch or espeak-ng's words per minute."""

    engine: str
    name: str
    pace: float
    pitch: int = 0  # flite: mean of the pitch in Hz, 0 for the voice's own; espeak-ng: 0 to 99

    @property
    def label(self) -> str:
        """How the truth files name the voice."""
        return f"{self.engine}/{self.name}/{self.pace:g}/{self.pitch}"

    def command(self, text: str, out: str) -> list[str]:
        """The command that speaks `text` into the WAV file `out`."""
        if self.engine == "flite":
            pitch = ["--setf", f"int_f0_target_mean={self.pitch}"] if self.pitch else []
            return [
                "flite",
                "-voice",
                self.name,
                "--setf",
                f"duration_stretch={self.pace:g}",
                *pitch,
                "-t",
                text,
                "-o",
                out,
            ]
        return ["espeak-ng", "-v", self.name, "-s", f"{self.pace:g}", "-p", f"{self.pitch}", "-w", out, text]


def flite(name: str, pace: float = 1.0, pitch: int = 0) -> Voice:
    """A flite voice, its durations stretched by `pace`."""
    return Voice("flite", name, pace, pitch)


def espeak(name: str, pace: float = 150, pitch: int = 50) -> Voice:
    """An espeak-ng voice at `pace` words per minute."""
    return Voice("espeak-ng", name, pace, pitch)


@lru_cache(maxsize=1)
def generator_versions() -> dict[str, str]:
    """The versions of both generators, as they name them themselves."""
    versions = {}
    for tool in ("flite", "espeak-ng"):
        said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"(?:version:|text-to-speech:)\s*(\S+)", said.stdout + said.stderr)
        versions[tool] = found.group(1) if found else "unknown"
    return versions


def speech_bounds(clean: Samples) -> tuple[int, int]:
    """First and one past the last sample of the 10 ms blocks within 30 dB of the loudest."""
    blocks = clean[: clean.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    power = np.mean(blocks**2, axis=1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-QUIET_DB / 10))
    return int(loud[0]) * BLOCK, int(loud[-1] + 1) * BLOCK


def speech_rms(clean: Samples) -> float:
    """Root mean square over the blocks that count as speech: pauses do not make a speaker quieter."""
    blocks = clean[: clean.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    power = np.mean(blocks**2, axis=1)
    return float(np.sqrt(np.mean(power[power >= power.max() * 10 ** (-QUIET_DB / 10)])))


def synthesise(text: str, voice: Voice, cache: Path | None = None) -> Samples:
    """Speak `text`: 16 kHz samples from the first to the last loud block, scaled to an RMS of 0.1 while speaking."""
    key = hashlib.sha256(f"{text}|{voice.label}|{sorted(generator_versions().items())}".encode()).hexdigest()[:24]
    kept = cache / f"{key}.npy" if cache else None
    if kept and kept.exists():
        return np.asarray(np.load(kept), np.float64)
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "speech.wav")
        subprocess.run(voice.command(text, out), check=True, capture_output=True)
        raw = Path(out).read_bytes()
    samples, rate_hz = soundfile.read(io.BytesIO(raw), dtype="float64")
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ, "HQ")
    start, end = speech_bounds(samples)
    samples = samples[start:end] * (0.1 / speech_rms(samples))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, samples)
    return np.asarray(samples, np.float64)


def noise(kind: str, samples: int, rng: np.random.Generator) -> Samples:
    """Stationary Gaussian noise of RMS 1: `white`, or `pink` (-3 dB per octave, flat below 20 Hz)."""
    white = rng.standard_normal(samples)
    if kind == "white":
        return white
    spectrum = np.fft.rfft(white)
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 20.0))
    pink = np.fft.irfft(spectrum, samples)
    return np.asarray(pink / np.sqrt(np.mean(pink**2)), np.float64)


def silence(seconds: float) -> Samples:
    """Digital silence, on the 10 ms grid."""
    return np.zeros(round(seconds * 100) * BLOCK)


def to_pcm(samples: Samples) -> npt.NDArray[np.int16]:
    """Round to 16 bits, clipped at full scale."""
    return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)


# Two sets that share neither sentence nor voice: the defaults of the endpointer were chosen on TUNING alone, and what
# the tests state is measured on HELD_OUT. `|` marks where a pause may go.
@dataclass(frozen=True)
class Corpus:
    """What is said and by whom."""

    sentences: tuple[str, ...]
    voices: tuple[Voice, ...]


HELD_OUT = Corpus(
    (
        "turn on the kitchen light",
        "turn off the lights | in the living room",
        "what is the weather today",
        "set a timer | for ten minutes",
        "unlock the front door",
        "yes",
        "stop",
        "add milk and eggs | to the shopping list",
        "what time is it",
        "set the thermostat | to twenty one degrees",
        "is the garage door open",
        "dim the bedroom lamp | to forty percent",
        "play some jazz",
        "wake me up | at half past six",
        "how far is the moon",
        "call my sister | and put her on speaker",
        "remind me | to water the plants tomorrow",
        "what is on my calendar | for thursday",
        "lock everything | and switch off the heating",
        "how do you spell | necessary",
        "send a message to robert | saying i will be late",
        "open the curtains",
        "good night",
        "who wrote pride and prejudice",
        "start the robot vacuum | in the hall",
        "turn the volume up a bit",
        "find a recipe | for fish soup",
        "which bus goes to the airport",
        "cancel all alarms",
        "make the office | a little warmer please",
    ),
    (
        flite("slt"),
        flite("rms"),
        flite("awb"),
        flite("kal16"),
        espeak("en-us", 160),
        espeak("en-gb", 150),
        espeak("en-gb-scotland", 150),
        espeak("en-029", 150),
        espeak("en-us+f2", 145),
        espeak("en-us+m3", 165, 40),
        espeak("en-gb+f4", 150, 60),
        espeak("en-us+Linda", 150),
        espeak("en-gb+Mike", 140),
        espeak("en-us+sandro", 155),
    ),
)
TUNING = Corpus(
    (
        "switch off the fan",
        "put the heating on | at seven o'clock",
        "is it going to rain | this afternoon",
        "no",
        "cancel",
        "what did i ask you before",
        "tell me a joke | about cats",
        "add bread | and a dozen apples to my list",
        "close the blinds | in the study",
        "how long does rice take",
        "skip this song",
        "book a table | for four people on friday",
        "turn the hallway light blue",
        "what is seventeen | times twelve",
        "read my last message",
        "lower the temperature | by three degrees",
        "show me pictures | of the north sea",
        "where is my phone",
        "text paul | that dinner is ready",
        "next",
        "who is at the door",
        "translate thank you | into portuguese",
        "set the desk lamp | to half brightness",
        "pause",
        "what is the news",
        "do i need a jacket",
    ),
    (
        flite("slt", 1.1, 200),
        flite("rms", 0.92, 88),
        flite("awb", 1.12),
        flite("kal16", 0.95, 120),
        espeak("en-gb-x-rp", 155),
        espeak("en-us-nyc", 150),
        espeak("en-gb-x-gbclan", 145),
        espeak("en-us+f3", 150),
        espeak("en-gb+m2", 155),
        espeak("en-us+Andrea", 150),
        espeak("en-us+Alex", 160),
        espeak("en-gb+steph", 150),
        espeak("en-us+Michael", 145),
        espeak("en-gb-scotland+f5", 150),
    ),
)
CONDITIONS = ("clean", "white", "pink")
SHARES = (0.4, 0.3, 0.3)
SNR_DB = 10.0
LEAD_S = 1.5  # noise before the wake word
TAIL_S = 2.0


@dataclass(frozen=True)
class Utterance:
    """A request after a wake word in stationary noise, and its truth; times are seconds from the first sample."""

    text: str
    voice: Voice
    condition: str
    pcm: npt.NDArray[np.int16]
    word_end_s: float
    wake_s: float  # when the wake is said to be decided: 150 ms before to 300 ms after the word's end
    start_s: float
    end_s: float
    pause_s: float  # the pause inside, 0 without one


def _request(text: str, voice: Voice, pause_s: float, cache: Path | None) -> Samples:
    """`text` spoken, with the pause where the mark is, levelled as one."""
    if not pause_s:
        return synthesise(text.replace(" |", ""), voice, cache)
    first, second = text.split(" | ")
    return np.concatenate([synthesise(first, voice, cache), silence(pause_s), synthesise(second, voice, cache)])


def generate(corpus: Corpus, count: int, seed: int, cache: Path | None = None) -> list[Utterance]:
    """`count` utterances drawn from a corpus, the same for the same seed.

    Each is 1.5 s of background, "alexa", a pause of 0 to 2 s, the request, 2 s of background. Two thirds of the
    requests that have a place for it pause for 0.2 to 0.5 s inside. The wake is decided 150 ms before to 300 ms after
    the word's end; a request of one word waits for that, since glued to the wake word it sounds like its tail. Two
    fifths are clean (every other one digital silence, else dithered by one bit), the others have white or pink noise
    10 dB below the mean power of the request while it is spoken. Levels vary by 16 to 26 dB. The true start and end
    bound the 10 ms blocks within 30 dB of the clean request's loudest.
    """
    rng = np.random.default_rng(seed)
    voices = [corpus.voices[index % len(corpus.voices)] for index in range(count)]
    made = []
    for index, voice in enumerate(voices):
        text = corpus.sentences[int(rng.integers(len(corpus.sentences)))]
        condition = str(rng.choice(CONDITIONS, p=SHARES))
        pause_s = float(np.round(rng.uniform(0.2, 0.5), 2)) if "|" in text and rng.random() < 2 / 3 else 0.0
        pauses_s = (0.0, float(rng.uniform(0.05, 0.6)), float(rng.uniform(0.6, 2.0)))
        gap_s = pauses_s[int(rng.choice(3, p=(0.2, 0.5, 0.3)))]
        if " " not in text:
            gap_s = max(gap_s, 0.3)
        word, request = synthesise("alexa", voice, cache), _request(text, voice, pause_s, cache)
        lead = np.concatenate([silence(LEAD_S), word])
        head = np.concatenate([lead, silence(gap_s)])
        sound = np.concatenate([head, request, silence(TAIL_S)])
        if condition == "clean":
            level = (0.0, 1 / 32767)[index % 2]  # digital silence or dither
            gain = float(10 ** rng.uniform(-1.2, 0.1))
            sound = gain * sound + level * rng.uniform(-1, 1, sound.size)
        else:
            level = speech_rms(request) * 10 ** (-SNR_DB / 20)
            gain = float(10 ** rng.uniform(-0.7, 0.1))
            sound = gain * (sound + level * noise(condition, sound.size, rng))
        start, end = speech_bounds(request)
        word_end_s = lead.size / RATE_HZ
        made.append(
            Utterance(
                text.replace(" |", ""),
                voice,
                condition,
                to_pcm(sound),
                word_end_s,
                word_end_s + float(rng.uniform(-0.15, 0.3)),
                (head.size + start) / RATE_HZ,
                (head.size + end) / RATE_HZ,
                pause_s,
            )
        )
    return made
