"""Everything that is no recording, or not the recording that it says: one line with the cure, exit code 2."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bodydouble.errors import ExitCode, InputError
from bodydouble.streams import (
    BadHeaderError,
    DamagedRecordingError,
    EmptyRecordingError,
    MissingRecordingError,
    NotARecordingError,
    RecordingError,
    TruncatedRecordingError,
    UnreadableRecordingError,
    UnsupportedRecordingError,
    open_source,
)
from streams.making import read, speechlike, wav, write

RANDOM = np.random.default_rng(2)
SOUND = RANDOM.integers(-3_000, 3_000, 8_000).astype("<i2").tobytes()


def refused(path: Path, kind: type[InputError], says: str, cure: str) -> None:
    """Opening `path` (or playing it) raises `kind`; its one line says so, and how to cure it."""
    with pytest.raises(kind) as caught:
        read(path)
    error = caught.value
    assert type(error) is kind
    assert error.exit_code is ExitCode.USAGE == 2
    assert says in error.message
    assert cure in error.hint
    assert str(error) == f"{error.message} ({error.hint})"
    assert len(str(error).splitlines()) == 1
    assert str(error).isprintable()


def refused_bytes(
    folder: Path, raw: bytes, kind: type[InputError], says: str, cure: str, name: str = "a.wav"
) -> None:
    path = folder / name
    path.write_bytes(raw)
    refused(path, kind, says, cure)


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "no.wav", MissingRecordingError, f"there is no recording {tmp_path}/no.wav", "check the path")


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, NotARecordingError, "is a folder", f"{tmp_path}/*.wav")


def test_an_empty_file(tmp_path: Path) -> None:
    refused_bytes(tmp_path, b"", EmptyRecordingError, "a.wav is empty", "record or copy it again")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(10, np.int16), 16_000)
    path.chmod(0)
    refused(path, UnreadableRecordingError, "may not be read", f"chmod u+r {path}")


def test_a_file_that_the_system_forbids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    with pytest.raises(UnreadableRecordingError, match=r"a\.wav may not be read \(chmod u\+r .*a\.wav"):
        open_source(tmp_path / "a.wav")


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", np.zeros(10, np.int16), 16_000)

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    refused(path, UnreadableRecordingError, "cannot be read: Input/output error", "check the disk")


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device(path: str) -> None:
    refused(Path(path), NotARecordingError, "is a device or a socket", "name a recording")


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    refused(Path("a\0b.wav"), UnreadableRecordingError, "a\\x00b.wav cannot be opened", "check the path")
    refused(tmp_path / ("x" * 5_000), UnreadableRecordingError, "File name too long", "check the path")
    refused(tmp_path / "a\nb.wav", MissingRecordingError, "a\\nb.wav", "check the path")
    refused(tmp_path / os.fsdecode(b"\xff.wav"), MissingRecordingError, "\\udcff.wav", "check the path")


@pytest.mark.parametrize("text", ["hello", "# Notes\n\n- a line\n" * 2_000, "Grüße\n" * 3_000])
def test_a_text_file(tmp_path: Path, text: str) -> None:
    refused_bytes(tmp_path, text.encode(), NotARecordingError, "is a text file", "name a WAV, FLAC, OGG or MP3 file")


def test_a_git_lfs_pointer(tmp_path: Path) -> None:
    raw = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    refused_bytes(tmp_path, raw, NotARecordingError, "is a Git LFS pointer", "git lfs pull")


@pytest.mark.parametrize("name", ["a.raw", "a.PCM", "a.s16le"])
def test_samples_without_a_header(tmp_path: Path, name: str) -> None:
    cure = f"bodydouble stream - < {tmp_path / name}"
    refused_bytes(tmp_path, SOUND, NotARecordingError, "has no header that says its rate", cure, name)


def test_telephone_samples_without_a_header(tmp_path: Path) -> None:
    cure = f"sox {tmp_path}/a.gsm recording.wav"
    refused_bytes(tmp_path, SOUND, NotARecordingError, "has no header that says its rate", cure, "a.gsm")


def test_cures_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    refused_bytes(
        tmp_path, SOUND, NotARecordingError, "my song.raw has", f"stream - < '{tmp_path}/my song.raw'", "my song.raw"
    )
    refused_bytes(
        tmp_path,
        WHOLE[:-2],
        TruncatedRecordingError,
        "cut short",
        f"ffmpeg -i '{tmp_path}/it'\"'\"'s.wav'",
        "it's.wav",
    )


def test_random_bytes(tmp_path: Path) -> None:
    for seed in range(50):
        raw = np.random.default_rng(seed).bytes(20_000)
        says = f"is no recording: it begins with the bytes {raw[:8].hex(' ')}"
        refused_bytes(tmp_path, raw, NotARecordingError, says, "name a WAV")


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\0\0\0\x20ftypM4A ", "an MP4, M4A or MOV file"),
        (b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
        (b"#!AMR\n\x04", "an AMR file"),
        (b"\xff\xf1\x50\x80", "an AAC file"),
        (b"\xff\xfd\x50\x80", "an MPEG layer II file"),
        (b"RIFF\0\0\1\0AVI ", "an AVI file"),
    ],
)
def test_a_recording_of_a_kind_that_is_not_read(tmp_path: Path, head: bytes, what: str) -> None:
    refused_bytes(tmp_path, head + bytes(2_000), UnsupportedRecordingError, f"is {what}", "convert it: ffmpeg -i")


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "opus", "mp3", "aiff", "au", "caf", "w64", "rf64", "nist"])
def test_a_file_cut_short_anywhere(tmp_path: Path, kind: str) -> None:
    raw = write(tmp_path / "whole", speechlike(30_000, 16_000), 16_000, kind).read_bytes()
    path = tmp_path / "cut"
    cuts = {*range(1, 200), *RANDOM.integers(1, len(raw), 60).tolist(), len(raw) - 1, len(raw) - 2, len(raw) // 2}
    for cut in sorted(cuts):
        path.write_bytes(raw[:cut])
        with pytest.raises(RecordingError) as caught:
            read(path)
        if cut > len(raw) // 4:
            assert type(caught.value) is TruncatedRecordingError, (cut, str(caught.value))
            assert "is cut short" in caught.value.message
            assert caught.value.hint.startswith("copy or record it again")


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "opus", "mp3", "aiff", "au", "caf", "w64", "rf64", "nist"])
def test_a_cut_file_is_refused_before_it_plays(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "whole", speechlike(200_000, 16_000), 16_000, kind)
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(TruncatedRecordingError):
        open_source(path)


def flip(raw: bytes, at: int, value: bytes) -> bytes:
    return raw[:at] + value + raw[at + len(value) :]


WHOLE = wav(SOUND)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (wav(SOUND, channels=0), "0 channels are not between 1 and 64"),
        (wav(SOUND[:1_300], channels=65), "65 channels are not between"),
        (wav(SOUND, rate_hz=0), "0 Hz is not between 4000 and 768000 Hz"),
        (wav(SOUND, rate_hz=1_000), "1000 Hz is not between"),
        (wav(SOUND, rate_hz=4_000_000), "4000000 Hz is not between"),
        (wav(SOUND, bits=0), "samples of 0 bits do not exist"),
        (wav(SOUND, tag=3, bits=16), "samples of 16 bits do not exist in WAV format 3"),
        (wav(SOUND, block_bytes=4), "1 samples of 16 bits do not fill frames of 4 bytes"),
        (wav(SOUND, block_bytes=0), "do not fill frames of 0 bytes"),
        (wav(SOUND, byte_rate=16_000), "16000 frames of 2 bytes are not 16000 bytes per second"),
        (flip(WHOLE, 24, struct.pack("<I", 8_000)), "8000 frames of 2 bytes are not 32000 bytes per second"),
        (wav(SOUND, data_bytes=len(SOUND) // 2), "8000 bytes of something else follow"),
        (wav(SOUND, data_bytes=0), "16000 bytes of something else follow"),
        (wav(SOUND[:-1]), "15999 bytes of sound are not a whole number of 2-byte frames"),
        (b"RIFF\x24\0\0\0WAVEdata" + struct.pack("<I", 8) + bytes(8), "its sound comes before its format"),
        (b"RIFF\x24\0\0\0WAVEfmt \4\0\0\0\1\0\1\0" + bytes(40), "its format chunk has 4 bytes"),
        (b"RIFF\x24\0\0\0WAVE" + b"JUNK\0\0\0\0" * 5_000, "more than 4096 chunks"),
    ],
)
def test_a_wav_header_that_lies(tmp_path: Path, raw: bytes, says: str) -> None:
    refused_bytes(tmp_path, raw, BadHeaderError, says, "ffmpeg -i")


@pytest.mark.parametrize("tag", [0, 0x55, 0x160, 0x1234])
def test_a_wav_of_an_unknown_format(tmp_path: Path, tag: int) -> None:
    refused_bytes(
        tmp_path, wav(SOUND, tag=tag), UnsupportedRecordingError, f"is a WAV of format {tag:#06x}", "ffmpeg"
    )


def test_a_wav_that_promises_more_than_there_is(tmp_path: Path) -> None:
    raw = wav(SOUND, data_bytes=len(SOUND) + 1)
    says = "is cut short: it promises 16001 bytes of sound and holds 16000"
    refused_bytes(tmp_path, raw, TruncatedRecordingError, says, "to use what there is: ffmpeg -i")
    raw = wav(SOUND, data_bytes=3_000_000_000, riff_bytes=3_000_000_036)
    refused_bytes(tmp_path, raw, TruncatedRecordingError, "it promises 3000000000 bytes", "ffmpeg")


@pytest.mark.parametrize("kind", ["wav", "aiff", "au", "caf", "w64", "rf64", "nist"])
def test_no_samples(tmp_path: Path, kind: str) -> None:
    refused(
        write(tmp_path / "a", np.zeros(0, np.int16), 16_000, kind), EmptyRecordingError, "holds no sound", "record"
    )


def test_a_flac_without_samples(tmp_path: Path) -> None:
    raw = write(tmp_path / "a", np.ones(10, np.int16), 16_000, "flac").read_bytes()
    header = b"fLaC\x80" + raw[5:21] + bytes((raw[21] & 0xF0,)) + bytes(20)
    refused_bytes(tmp_path, header, EmptyRecordingError, "holds no sound: 0 samples", "record")


@pytest.mark.parametrize(
    ("value", "says"), [(np.nan, "is no number"), (-np.inf, "is no number"), (4_000.0, "is 4000")]
)
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_that_are_no_sound(tmp_path: Path, subtype: str, value: float, says: str) -> None:
    values = np.zeros((30_000, 2))
    values[24_000, 1] = value
    path = write(tmp_path / "a.wav", values, 16_000, subtype=subtype)
    refused(path, DamagedRecordingError, f"a sample at 1.500 s {says}", "sox --norm")


@pytest.mark.parametrize(
    ("kind", "edit", "error", "says"),
    [
        ("flac", lambda raw: flip(raw, 18, bytes((0, 0, raw[20] & 15))), BadHeaderError, "0 Hz"),
        ("flac", lambda raw: flip(raw, 22, b"\x7f"), TruncatedRecordingError, "its end is missing"),
        ("flac", lambda raw: flip(raw, 24, bytes(2)), BadHeaderError, "it promises 65536 samples and holds 100000"),
        ("flac", lambda raw: flip(raw, len(raw) // 2, bytes(64)), DamagedRecordingError, "its sound breaks off"),
        ("ogg", lambda raw: flip(raw, len(raw) // 2, bytes(300)), RecordingError, ""),
        ("ogg", lambda raw: raw + raw, UnsupportedRecordingError, "holds several Ogg streams"),
        ("ogg", lambda raw: raw + bytes(100), DamagedRecordingError, "has no header"),
        ("mp3", lambda raw: raw + raw, BadHeaderError, "frames of sound and holds"),
        ("mp3", lambda raw: raw + bytes(10) + b"junk" * 100, DamagedRecordingError, "there is no frame at byte"),
        (
            "aiff",
            lambda raw: flip(raw, raw.index(b"COMM") + 10, b"\0\0\1\0"),
            BadHeaderError,
            "256 frames of 2 bytes",
        ),
        ("aiff", lambda raw: flip(raw, raw.index(b"COMM") + 16, b"\x7f\xff"), BadHeaderError, "0 Hz"),
        ("au", lambda raw: flip(raw, 16, b"\0\0\0\0"), BadHeaderError, "0 Hz"),
        ("au", lambda raw: flip(raw, 12, b"\0\0\0\x17"), UnsupportedRecordingError, "AU file of encoding 23"),
        ("caf", lambda raw: flip(raw, 20, b"\x7f\xf8" + bytes(6)), BadHeaderError, "0 Hz"),
        (
            "nist",
            lambda raw: raw.replace(b"sample_rate", b"sample_rata"),
            BadHeaderError,
            "does not say its sample_rate",
        ),
    ],
)
def test_other_headers_that_lie(
    tmp_path: Path, kind: str, edit: Callable[[bytes], bytes], error: type[RecordingError], says: str
) -> None:
    path = write(tmp_path / "a", speechlike(100_000, 16_000), 16_000, kind)
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(error) as caught:
        read(path)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_two_mp3s_of_different_rates_in_one_file(tmp_path: Path) -> None:
    parts = []
    for rate_hz in (44_100, 22_050):
        raw = write(tmp_path / "a", speechlike(rate_hz, rate_hz), rate_hz, "mp3").read_bytes()
        sync = b"\xff\xfb" if rate_hz == 44_100 else b"\xff\xf3"
        parts.append(raw[raw.index(sync, 60) :])  # without its Xing header
    (tmp_path / "a").write_bytes(b"".join(parts))
    refused(tmp_path / "a", UnsupportedRecordingError, "changes its rate or its channels at byte", "ffmpeg")


def test_a_socket(tmp_path: Path) -> None:
    os.mknod(tmp_path / "s", stat.S_IFSOCK)
    refused(tmp_path / "s", UnreadableRecordingError, "cannot be opened", "check the path")
