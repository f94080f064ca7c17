"""Which container a file is, by its first bytes alone (a name proves nothing), and its checked header."""

from __future__ import annotations

import codecs
import shlex
from collections.abc import Callable

from bodydouble.streams.containers import flac, mp3, ogg, others, riff
from bodydouble.streams.containers.base import Bytes, Header
from bodydouble.streams.errors import NotARecordingError

__all__ = ["HEAD_BYTES", "Bytes", "Header", "foreign", "inspect", "is_text", "sniff"]

HEAD_BYTES = 8_192
"""How much of a beginning `sniff` wants to see: three of the longest MP3 frames."""

_INSPECT: dict[str, Callable[[Bytes, int], Header]] = {
    "WAV": riff.inspect,
    "W64": riff.inspect_w64,
    "FLAC": flac.inspect,
    "OGG": ogg.inspect,
    "MP3": mp3.inspect,
    "AIFF": others.inspect_aiff,
    "AU": others.inspect_au,
    "CAF": others.inspect_caf,
    "NIST": others.inspect_nist,
}
_RAW_SUFFIXES = (".raw", ".pcm", ".s16", ".s16le", ".sw", ".bin", ".dat")
_TELEPHONE_SUFFIXES = (".gsm", ".vox", ".ul", ".ulaw", ".al", ".alaw")
# What people try, named so that the cure can be told; (offset, bytes, what it is).
_FOREIGN = (
    (4, b"ftyp", "an MP4, M4A or MOV file"),
    (0, b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a WMA file"),
    (0, b"\xff\xf1", "an AAC file"),
    (0, b"\xff\xf9", "an AAC file"),
    (0, b"\xff\xfc", "an MPEG layer II file"),
    (0, b"\xff\xfd", "an MPEG layer II file"),
    (0, b"\xff\xf4", "an MPEG layer II file"),
    (0, b"\xff\xf5", "an MPEG layer II file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"MThd", "a MIDI file"),
    (0, b"Creative Voice File", "a VOC file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"wvpk", "a WavPack file"),
    (8, b"AVI ", "an AVI file"),
    (8, b"8SVX", "an Amiga 8SVX file"),
)


def sniff(head: bytes) -> str:
    """The container that begins with `head` (see HEAD_BYTES), or '' for none that is read here."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    for kind, magic in (
        ("FLAC", b"fLaC"),
        ("OGG", b"OggS\0"),
        ("AU", b".snd"),
        ("AU", b"dns."),
        ("CAF", b"caff\0\x01"),
        ("W64", b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0"),
        ("NIST", b"NIST_1A\n"),
    ):
        if head.startswith(magic):
            return kind
    return "MP3" if mp3.looks_like(head) else ""


def foreign(head: bytes) -> str:
    """What `head` is, where it is a well-known kind of file that is not read here; else ''."""
    return next((what for offset, magic, what in _FOREIGN if head[offset:].startswith(magic)), "")


def inspect(data: Bytes) -> Header:
    """The checked header of a whole file. Raises a leaf of RecordingError for anything else."""
    head = data.read(0, HEAD_BYTES)
    base = mp3.id3_bytes(head)
    if base:
        if base >= data.size:
            raise data.truncated("it ends inside its ID3 tag")
        head = data.read(base, HEAD_BYTES)
    kind = sniff(head)
    if kind in ("WAV", "FLAC", "MP3") or (kind and not base):
        return _INSPECT[kind](data, base)
    what = foreign(head)
    if what:
        raise data.unsupported(f"is {what}, which is not read here")
    raise _no_recording(data.name, head)


def is_text(head: bytes) -> bool:
    """True where `head` is text, whole (a character cut off at its end counts)."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\n\r\f" for c in text)


def _no_recording(name: str, head: bytes) -> NotARecordingError:
    """The error for a file that is none of the containers, with the likeliest cure."""
    if head.startswith(b"version https://git-lfs"):
        return NotARecordingError(f"{name} is a Git LFS pointer, not the recording itself", hint="git lfs pull")
    if is_text(head):
        return NotARecordingError(f"{name} is a text file, no recording", hint="name a WAV, FLAC, OGG or MP3 file")
    if name.lower().endswith(_RAW_SUFFIXES):
        return NotARecordingError(
            f"{name} has no header that says its rate and width",
            hint=f"if it is raw 16 kHz mono int16: bodydouble stream - < {shlex.quote(name)}; else make it a WAV: "
            f"sox -t raw -r 8000 -e signed -b 16 -c 1 {shlex.quote(name)} recording.wav",
        )
    if name.lower().endswith(_TELEPHONE_SUFFIXES):
        hint = f"make it a WAV: sox {shlex.quote(name)} recording.wav"
        return NotARecordingError(f"{name} has no header that says its rate and width", hint=hint)
    begins = f"it begins with the bytes {head[:8].hex(' ')}"
    return NotARecordingError(f"{name} is no recording: {begins}", hint="name a WAV, FLAC, OGG or MP3 file")
