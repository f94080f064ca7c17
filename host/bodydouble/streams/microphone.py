"""The host's microphone, through PortAudio (package sounddevice, extra `mic`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from bodydouble.streams.convert import Converter
from bodydouble.streams.errors import MicrophoneError, shown
from bodydouble.streams.source import RATE_HZ, Samples, Source

BLOCK_S = 0.02


class Capture(Protocol):
    """An open microphone."""

    name: str
    rate_hz: int
    channels: int

    def read(self) -> tuple[Samples, bool]:
        """The next int16[frames, channels], waited for, and whether samples before it were lost."""
        ...

    def close(self) -> None:
        """Stop capturing."""
        ...


class Backend(Protocol):
    """What opens microphones; tests bring their own."""

    def open(self, device: str | None) -> Capture:
        """Start capturing from `device` (a name or a number, None for the default), or raise MicrophoneError."""
        ...


class Microphone(Source):
    """What `capture` hears, until it is closed. `overruns` counts the gaps where the host was too slow."""

    kind = "microphone"

    def __init__(self, capture: Capture) -> None:
        super().__init__(f"microphone {shown(capture.name)}")
        self.native_rate_hz, self.channels = capture.rate_hz, capture.channels
        self.overruns = 0
        self._capture = capture

    def close(self) -> None:
        """Stop capturing."""
        if not self.closed:
            self._capture.close()
        super().close()

    def _produce(self) -> Iterator[Samples]:
        exact = self.native_rate_hz == RATE_HZ and self.channels == 1
        converter = Converter(self.native_rate_hz, self.channels)
        while not self.closed:
            block, lost = self._capture.read()
            if lost:
                self.overruns += 1
                if self.overruns == 1:
                    self.warnings.append(f"{self.label}: the host was too slow, and samples were lost")
            yield block[:, 0] if exact else converter.push(block.astype(np.float32) / np.float32(32_768))


def microphone(device: str | None = None, *, backend: Backend | None = None) -> Microphone:
    """Capture 16 kHz mono int16 from `device` (part of its name, or its number; None for the default).

    A device that does not offer 16 kHz is captured at its own rate and resampled. Raises MicrophoneError.
    """
    return Microphone((backend or PortAudio()).open(device))


class PortAudio:
    """The real backend."""

    def open(self, device: str | None) -> Capture:
        """See Backend."""
        sounddevice = _import()
        wanted: Any = int(device) if device and device.isdigit() else device
        try:
            info = sounddevice.query_devices(wanted, "input")
        except (sounddevice.PortAudioError, ValueError) as error:
            if device is None:
                raise MicrophoneError(
                    "this machine has no microphone", hint="connect one, or play a recording instead"
                ) from error
            raise MicrophoneError(
                f"there is no microphone {shown(device)}", hint="python -m sounddevice lists them"
            ) from error
        # Few devices refuse 16 kHz mono; those get what they offer, and the converter does the rest.
        own_rate_hz, own_channels = int(info["default_samplerate"]), min(2, int(info["max_input_channels"]))
        failure: Exception | None = None
        for rate_hz, channels in ((RATE_HZ, 1), (own_rate_hz, 1), (own_rate_hz, own_channels)):
            try:
                return _PortAudioCapture(sounddevice, wanted, str(info["name"]), rate_hz, channels)
            except (sounddevice.PortAudioError, ValueError) as error:
                failure = error
        raise MicrophoneError(
            f"microphone {shown(str(info['name']))} cannot be opened: {shown(str(failure))}",
            hint="another program may hold it; python -m sounddevice lists others",
        ) from failure


class _PortAudioCapture:
    def __init__(self, sounddevice: Any, device: Any, name: str, rate_hz: int, channels: int) -> None:
        self.name, self.rate_hz, self.channels = name, rate_hz, channels
        self._error = sounddevice.PortAudioError
        self._frames = round(rate_hz * BLOCK_S)
        self._stream = sounddevice.InputStream(
            samplerate=rate_hz, blocksize=self._frames, device=device, channels=channels, dtype="int16"
        )
        try:
            self._stream.start()
        except BaseException:
            self._stream.close()
            raise

    def read(self) -> tuple[Samples, bool]:
        try:
            block, lost = self._stream.read(self._frames)
        except self._error as error:
            raise MicrophoneError(
                f"microphone {shown(self.name)} went away: {shown(str(error))}", hint="connect it again"
            ) from error
        return block, bool(lost)

    def close(self) -> None:
        self._stream.close()


def _import() -> Any:
    try:
        import sounddevice  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MicrophoneError(
            "the microphone needs the package sounddevice", hint="pip install 'bodydouble[mic]'"
        ) from error
    except OSError as error:  # sounddevice is there, its library is not
        raise MicrophoneError(
            "the microphone needs the PortAudio library", hint="apt-get install libportaudio2"
        ) from error
    return sounddevice
