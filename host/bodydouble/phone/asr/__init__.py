"""Speech recognition, behind an interface that any engine can fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bodydouble.phone.home import Home

SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True)
class Transcript:
    """What an engine heard: `text` is empty where it heard no words.

    `seconds` of the host's time it took. `confidence` from 0 to 1, where the engine has one.
    """

    text: str
    seconds: float
    engine: str
    confidence: float | None = None


@dataclass(frozen=True)
class Vocabulary:
    """The names that a home's users say; grammars and hot words are drawn from it. Hashable."""

    lights: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    thermostats: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    timers: tuple[str, ...] = ()

    @classmethod
    def of(cls, home: Home) -> Vocabulary:
        """The names of `home`'s devices and areas, what is on its shopping list, and its timers' labels."""
        devices = home.devices()

        def named(kind: str) -> tuple[str, ...]:
            return tuple(device.name for device in devices if device.kind == kind)

        return cls(
            lights=named("light"),
            switches=named("switch"),
            thermostats=named("thermostat"),
            locks=named("lock"),
            sensors=named("sensor"),
            areas=tuple(dict.fromkeys(device.area for device in devices)),
            items=tuple(line.item for line in home.shopping()),
            timers=tuple(dict.fromkeys(timer.label for timer in home.timers() if timer.label)),
        )


class Recogniser(Protocol):
    """An engine. Any thread may call it; one call at a time."""

    def recognise(self, pcm: NDArray[np.int16], vocabulary: Vocabulary) -> Transcript:
        """What is said in `pcm`, 16 kHz mono int16 of shape (samples,), as lower-case words without punctuation.

        Raises a BodydoubleError when the engine cannot run; silence and noise give an empty text.
        """
