"""Sources of audio: recordings, standard input, the microphone and generators, all as 16 kHz mono int16."""

from __future__ import annotations

from bodydouble.streams.convert import resampled_length
from bodydouble.streams.errors import (
    BadHeaderError,
    DamagedRecordingError,
    EmptyRecordingError,
    MicrophoneError,
    MissingRecordingError,
    NotARecordingError,
    RecordingError,
    StandardInputError,
    TruncatedRecordingError,
    UnreadableRecordingError,
    UnsupportedRecordingError,
)
from bodydouble.streams.generators import noise, silence
from bodydouble.streams.microphone import microphone
from bodydouble.streams.sequence import concat, limit, open_source, open_sources
from bodydouble.streams.source import CHUNK_MAX_SAMPLES, RATE_HZ, Part, Samples, Source

__all__ = [
    "CHUNK_MAX_SAMPLES",
    "RATE_HZ",
    "BadHeaderError",
    "DamagedRecordingError",
    "EmptyRecordingError",
    "MicrophoneError",
    "MissingRecordingError",
    "NotARecordingError",
    "Part",
    "RecordingError",
    "Samples",
    "Source",
    "StandardInputError",
    "TruncatedRecordingError",
    "UnreadableRecordingError",
    "UnsupportedRecordingError",
    "concat",
    "limit",
    "microphone",
    "noise",
    "open_source",
    "open_sources",
    "resampled_length",
    "silence",
]
