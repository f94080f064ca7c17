"""Audio blocks: from base64 text to 16 kHz mono int16, checked against the format they claim."""

from __future__ import annotations

import base64
import binascii
import io
import math
from typing import TYPE_CHECKING

from bodydouble.cloud.errors import ServiceError, invalid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bodydouble.cloud.converse import AudioBlock

SAMPLE_RATE_HZ = 16_000
MAX_SECONDS = 300.0
MAX_CHANNELS = 8
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 192_000

_SIGNATURES = {"wav": (b"RIFF", b"RF64"), "flac": (b"fLaC",)}
SUPPORTED = ("wav", "pcm", "flac")


def decode(block: AudioBlock, where: str) -> NDArray[np.int16]:
    """The samples of `block`, shape (n,), 16 kHz mono; `pcm` is raw little-endian int16 of just that.

    `where` is the block's place in the request, for messages. Raises ServiceError.
    """
    data = _raw(block, where)
    if block.format == "pcm":
        return _pcm(data, where)
    return _container(data, block.format, where)


def _raw(block: AudioBlock, where: str) -> bytes:
    if block.format not in SUPPORTED:
        raise invalid(
            f"The audio format {block.format} at {where} is not supported. Use one of {', '.join(SUPPORTED)}."
        )
    if block.source.bytes_ is None:
        raise invalid(f"The audio source at {where} must set bytes; s3Location is not supported.")
    try:
        data = base64.b64decode(block.source.bytes_, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"The audio bytes at {where} are not base64.") from error
    if not data:
        raise _unreadable(where, "it is empty")
    return data


def _pcm(data: bytes, where: str) -> NDArray[np.int16]:
    import numpy as np  # noqa: PLC0415  keeps the import of the server light

    if len(data) % 2:
        raise _unreadable(where, "pcm is 16-bit, but it has an odd number of bytes")
    if any(data.startswith(mark) for marks in _SIGNATURES.values() for mark in marks):
        raise _unreadable(where, "it has a container's header, so it is no pcm")
    if len(data) > MAX_SECONDS * SAMPLE_RATE_HZ * 2:
        raise _too_long(where)
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)


def _container(data: bytes, kind: str, where: str) -> NDArray[np.int16]:
    import numpy as np  # noqa: PLC0415  keeps the import of the server light
    import soundfile  # noqa: PLC0415

    if not data.startswith(_SIGNATURES[kind]):
        raise _unreadable(where, f"it does not begin as {kind} does")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate_hz, channels = int(file.samplerate), int(file.channels)
            if channels > MAX_CHANNELS or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
                raise _unreadable(where, f"{channels} channels at {rate_hz} Hz are not supported")
            limit = math.ceil(MAX_SECONDS * rate_hz)
            frames = file.read(limit + 1, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise _unreadable(where, "it is broken") from error
    if len(frames) > limit:
        raise _too_long(where)
    mono = frames.mean(axis=1)
    if rate_hz != SAMPLE_RATE_HZ:
        import soxr  # noqa: PLC0415

        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    if not mono.size:
        raise _unreadable(where, "it is empty")
    if not np.isfinite(mono).all():
        raise _unreadable(where, "it has samples that are no numbers")
    return np.asarray(np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16))


def _unreadable(where: str, why: str) -> ServiceError:
    return invalid(f"The audio at {where} cannot be read: {why}. Check the audio and its format, and try again.")


def _too_long(where: str) -> ServiceError:
    return invalid(f"The audio at {where} is longer than {MAX_SECONDS:g} seconds. Send a shorter recording.")
