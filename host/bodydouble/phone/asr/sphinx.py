"""Speech recognition by pocketsphinx with a grammar drawn from the home: light, offline, and quick."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from bodydouble.clock import Clock, monotonic
from bodydouble.errors import InputError
from bodydouble.phone.asr import SAMPLE_RATE_HZ, Transcript, Vocabulary
from bodydouble.phone.asr.denoise import denoise
from bodydouble.phone.asr.grammar import TAIL, Grammar, draw, tails
from bodydouble.phone.locks import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENGINE = "pocketsphinx"
MAX_SECONDS = 30.0  # of an utterance; longer ones are cut, as their decoding would take as long as a person waits
SHORTEST_SECONDS = 0.1
# Speech comes and goes: its loudest 20 ms stand out from its quietest tenth, even at 5 dB over noise. The engine
# itself finds a short word in any hum, so what has no such contrast is not shown to it.
FRAME = SAMPLE_RATE_HZ // 50
CONTRAST_DB = 6.0
QUIETEST_DBFS = -66.0  # of the loudest 20 ms
NOISE_DBFS = -70.0  # added to every utterance: digital silence derails the engine
# Words that the engine's dictionary lacks, in its own phones (CMU).
PRONUNCIATIONS = {"nabu": "N AA B UW", "mycroft": "M AY K R AO F T"}
# Without the engine's second pass over the lattice, which here costs time and loses requests in noise; its beams are
# a little narrower than its defaults, which find no more in twice the time.
SEARCH = {"bestpath": False, "beam": 1e-40, "pbeam": 1e-40, "wbeam": 1e-25}

_log = logging.getLogger(__name__)


class SphinxRecogniser:
    """A Recogniser that knows the sentences of grammar.py. The models are loaded on first use, or by `prewarm`.

    The same utterance and vocabulary give the same transcript, whatever came before: the decoder's running
    estimates are begun anew for each (measured: equal to a fresh decoder's, score for score, at none of its cost).
    `seed` is that of the noise. Any thread may call; calls take turns.
    """

    def __init__(self, *, seed: int = 0, clock: Clock = monotonic) -> None:
        self._seed = seed
        self._clock = clock
        self._lock = threading.Lock()
        self._decoder: Any = None
        self._vocabulary: Vocabulary | None = None

    def prewarm(self, vocabulary: Vocabulary | None = None) -> None:
        """Load the models now, and the grammar of `vocabulary`. Raises InputError when the engine is not usable."""
        with self._lock:
            self._prepare(vocabulary or Vocabulary())

    def recognise(self, pcm: NDArray[np.int16], vocabulary: Vocabulary) -> Transcript:
        """What is said in `pcm` (16 kHz mono int16), without wake words; of 30 s at most. Raises InputError."""
        began = self._clock()
        pcm = pcm[: round(MAX_SECONDS * SAMPLE_RATE_HZ)]
        text = ""
        if has_contrast(pcm):
            with self._lock:
                self._prepare(vocabulary)
                text = self._decode(self._cleaned(pcm))
        return Transcript(normalise(" ".join(_words(text))), self._clock() - began, ENGINE)

    def _cleaned(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Less stationary noise, and a little of our own against digital silence, the same in every run."""
        noise = np.random.default_rng(self._seed).normal(0, 32768 * 10 ** (NOISE_DBFS / 20), pcm.size)
        return np.clip(np.round(denoise(pcm) + noise), -32768, 32767).astype(np.int16)

    def _decode(self, pcm: NDArray[np.int16]) -> str:
        decoder = self._decoder
        decoder.reinit_feat()  # forgets the running estimates of the utterance before
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""

    def _prepare(self, vocabulary: Vocabulary) -> None:
        if self._decoder is None:
            self._decoder = _load()
        if vocabulary == self._vocabulary:
            return
        self._vocabulary = None
        grammar = self._draw(vocabulary)
        self._decoder.add_jsgf_string("home", grammar.jsgf)
        self._decoder.activate_search("home")
        self._vocabulary = vocabulary

    def _draw(self, vocabulary: Vocabulary) -> Grammar:
        """The grammar of what the engine can pronounce; names with other words are left out and logged."""
        whole = draw(vocabulary)
        unknown = {word for word in whole.words if self._decoder.lookup_word(word) is None}
        if not unknown:
            return whole
        _log.warning("no pronunciation for %s: names with such words are not recognised", ", ".join(sorted(unknown)))
        return draw(vocabulary, whole.words - unknown)


def has_contrast(pcm: NDArray[np.int16]) -> bool:
    """Whether `pcm` can hold speech: long enough, loud enough, and not the same loudness throughout."""
    if pcm.size < SHORTEST_SECONDS * SAMPLE_RATE_HZ:
        return False
    frames = pcm[: pcm.size // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    loudness = frames.std(axis=1) / 32768  # a constant offset is not heard
    loudest, quiet = float(loudness.max()), float(np.quantile(loudness, 0.1))
    return loudest > max(10 ** (QUIETEST_DBFS / 20), quiet * 10 ** (CONTRAST_DB / 20))


def _words(text: str) -> list[str]:
    """Without the remains of a wake word in front."""
    return [word for word in text.split() if word != TAIL]


def _load() -> Any:
    """A decoder with its acoustic models and every pronunciation of ours."""
    try:
        import pocketsphinx  # noqa: PLC0415  loads its library

        decoder = pocketsphinx.Decoder(samprate=SAMPLE_RATE_HZ, lm=None, loglevel="FATAL", **SEARCH)
    except (ImportError, RuntimeError, OSError) as error:
        raise InputError(
            f"the speech recogniser cannot be loaded: {error}",
            hint="reinstall it: pip install --force-reinstall pocketsphinx; or use --asr cloud",
        ) from error
    for word, phones in PRONUNCIATIONS.items():
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, phones, False)
    for number, phones in enumerate(tails(), start=1):
        decoder.add_word(TAIL if number == 1 else f"{TAIL}({number})", phones, False)
    return decoder
