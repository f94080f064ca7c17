"""The microphone, without one: a backend of our own, and a sounddevice of our own behind the real backend."""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any

import numpy as np
import pytest

from bodydouble.streams import MicrophoneError, Samples, limit, microphone, open_sources

SAMPLES = np.random.default_rng(5).integers(-20_000, 20_000, (48_000, 2)).astype(np.int16)


class Tape:
    """A capture, and the backend that opens it, that plays `SAMPLES` over and over."""

    def __init__(self, rate_hz: int = 16_000, channels: int = 1, lost: tuple[int, ...] = ()) -> None:
        self.name, self.rate_hz, self.channels = "tape", rate_hz, channels
        self.lost, self.reads, self.closed, self.device = lost, 0, 0, ""

    def open(self, device: str | None) -> Tape:
        self.device = repr(device)
        return self

    def read(self) -> tuple[Samples, bool]:
        start = self.reads * 320 % len(SAMPLES)
        self.reads += 1
        return SAMPLES[start : start + 320, : self.channels], self.reads in self.lost

    def close(self) -> None:
        self.closed += 1


def test_it_gives_what_it_hears_until_it_is_closed() -> None:
    tape = Tape()
    with microphone(backend=tape) as source:
        assert (source.kind, source.label, source.seconds) == ("microphone", "microphone tape", None)
        chunks = iter(source)
        heard = np.concatenate([next(chunks) for _ in range(10)])
    assert np.array_equal(heard, SAMPLES[:3_200, 0])
    source.close()
    assert (tape.closed, tape.device) == (1, "None")


def test_another_rate_and_two_channels_are_converted() -> None:
    with limit(microphone(backend=Tape(48_000, 2)), 0.5) as source:
        assert sum(len(chunk) for chunk in source) == 8_000
        assert source.native_rate_hz == 48_000


def test_lost_samples_are_counted_and_told() -> None:
    source = microphone(backend=Tape(lost=(2, 3)))
    assert sum(len(chunk) for chunk in limit(source, 0.2)) == 3_200
    assert source.overruns == 2
    assert source.warnings == ["microphone tape: the host was too slow, and samples were lost"]


class PortAudioError(Exception):
    pass


class Sounddevice(types.ModuleType):
    """The part of sounddevice that is used, with one microphone that takes what `works` lists."""

    PortAudioError = PortAudioError

    def __init__(self, *works: tuple[int, int], present: bool = True, breaks: bool = False) -> None:
        super().__init__("sounddevice")
        self.works, self.present, self.breaks = works, present, breaks
        self.open: list[Any] = []
        module = self

        class InputStream:
            def __init__(self, **given: Any) -> None:
                if (given["samplerate"], given["channels"]) not in module.works:
                    raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
                assert given["dtype"] == "int16"
                self.given = given

            def start(self) -> None:
                module.open.append(self.given)

            def read(self, frames: int) -> tuple[Samples, bool]:
                if module.breaks:
                    raise PortAudioError("Unanticipated host error")
                return SAMPLES[:frames, : self.given["channels"]], False

            def close(self) -> None:
                module.open.remove(self.given)

        self.InputStream = InputStream

    def query_devices(self, device: Any, kind: str) -> dict[str, Any]:
        assert kind == "input"
        if not self.present or device not in (None, 3, "USB"):
            raise (
                PortAudioError("Error querying device -1")
                if device is None
                else ValueError(f"No input device {device}")
            )
        return {"name": "USB Audio", "default_samplerate": 44_100.0, "max_input_channels": 8}


@pytest.mark.parametrize(("works", "rate_hz"), [((16_000, 1), 16_000), ((44_100, 1), 44_100), ((44_100, 2), 44_100)])
@pytest.mark.parametrize("device", ["", "3", "USB"])
def test_the_real_backend(monkeypatch: pytest.MonkeyPatch, works: tuple[int, int], rate_hz: int, device: str) -> None:
    fake = Sounddevice(works)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with open_sources(microphone=device, seconds=0.25) as source:
        assert source.native_rate_hz == rate_hz
        assert fake.open[0]["device"] == {"": None, "3": 3, "USB": "USB"}[device]
        assert sum(len(chunk) for chunk in source) == 4_000
        assert [part.path for part in source.parts] == ["microphone USB Audio"]
    assert fake.open == []


@pytest.mark.parametrize(
    ("fake", "device", "says", "cure"),
    [
        (Sounddevice(present=False), None, "this machine has no microphone", "connect one, or play a recording"),
        (Sounddevice(), "Blue", "there is no microphone Blue", "python -m sounddevice lists them"),
        (
            Sounddevice(),
            None,
            "microphone USB Audio cannot be opened: Invalid sample rate",
            "another program may hold it",
        ),
    ],
)
def test_microphones_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, fake: Sounddevice, device: str | None, says: str, cure: str
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with pytest.raises(MicrophoneError) as caught:
        microphone(device)
    assert says in caught.value.message
    assert cure in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_microphone_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Sounddevice((16_000, 1), breaks=True)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with microphone() as source, pytest.raises(MicrophoneError, match=r"USB Audio went away.*\(connect it again\)"):
        list(source)
    assert fake.open == []


@pytest.mark.parametrize(
    ("error", "says", "cure"),
    [
        (ImportError("no"), "needs the package sounddevice", "pip install 'bodydouble[mic]'"),
        (OSError("PortAudio library not found"), "needs the PortAudio library", "apt-get install libportaudio2"),
    ],
)
def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch, error: Exception, says: str, cure: str) -> None:
    original = builtins.__import__

    def fail(name: str, *rest: Any, **named: Any) -> Any:
        if name == "sounddevice":
            raise error
        return original(name, *rest, **named)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(MicrophoneError) as caught:
        microphone()
    assert says in caught.value.message
    assert caught.value.hint == cure
    assert caught.value.exit_code == 2
