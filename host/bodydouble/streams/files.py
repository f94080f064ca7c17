"""Recordings on disk: checked strictly, decoded by libsndfile, given out block by block in bounded memory."""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bodydouble.streams.containers import HEAD_BYTES, Bytes, Header, inspect, sniff
from bodydouble.streams.convert import Converter, Floats, resampled_length
from bodydouble.streams.errors import (
    DamagedRecordingError,
    EmptyRecordingError,
    MissingRecordingError,
    NotARecordingError,
    UnreadableRecordingError,
    UnsupportedRecordingError,
    shown,
)
from bodydouble.streams.source import RATE_HZ, Samples, Source

MAX_SPOOL_BYTES = 1 << 30
"""A recording that comes through a pipe is kept in a temporary file up to this size."""
BLOCK_MAX_VALUES = 1 << 17
"""Samples, over all channels, that are decoded at once: half a megabyte of float32."""
FLOAT_MAX = 32.0
"""Float samples are -1 to 1; +30 dB over is no clipping any more but another scale."""
_FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
_SPOOL_BLOCK_BYTES = 1 << 18


def open_recording(path: str | os.PathLike[str]) -> FileSource:
    """Open the recording at `path`, or raise a leaf of RecordingError."""
    name = shown(path)
    try:
        # Checks and decoder share this one descriptor: nobody can swap the file in between.
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - the source closes it
        mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError as error:
        raise MissingRecordingError(f"there is no recording {name}", hint="check the path") from error
    except IsADirectoryError as error:
        raise NotARecordingError(f"{name} is a folder", hint=f"name its files: {name.rstrip('/')}/*.wav") from error
    except PermissionError as error:
        raise UnreadableRecordingError(
            f"{name} may not be read", hint=f"chmod u+r {shlex.quote(name)}, or ask its owner"
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnreadableRecordingError(f"{name} cannot be opened: {why}", hint="check the path") from error
    try:
        if stat.S_ISFIFO(mode):
            return FileSource(_spool_pipe(file, name), str(path), name, reopens=False)
        if not stat.S_ISREG(mode):
            raise NotARecordingError(
                f"{name} is a device or a socket, no file", hint="name a recording, or - with a pipe"
            )
        return FileSource(file, str(path), name)
    except BaseException:
        file.close()
        raise


def spool(head: bytes, read: Callable[[], bytes], name: str) -> BinaryIO:
    """A temporary file, already unlinked, that holds `head` and all that `read` gives until it gives b''."""
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the source that gets it closes it
    try:
        size = 0
        block = head
        while block:
            size += len(block)
            if size > MAX_SPOOL_BYTES:
                raise UnsupportedRecordingError(
                    f"{name} gave more than {MAX_SPOOL_BYTES >> 20} MB", hint="store it in a file and name that"
                )
            view = memoryview(block)
            while view:
                view = view[file.write(view) :]
            block = read()
    except OSError as error:
        file.close()
        raise UnreadableRecordingError(
            f"{name} cannot be kept in a temporary file: {error.strerror}", hint="free some space, or set TMPDIR"
        ) from error
    except BaseException:
        file.close()
        raise
    return file


def _spool_pipe(pipe: Any, name: str) -> BinaryIO:
    with pipe:
        head = b""
        while len(head) < HEAD_BYTES and (more := pipe.read(HEAD_BYTES - len(head))):
            head += more
        if not head:
            raise EmptyRecordingError(f"{name} gave nothing", hint="check the command that writes to it")
        if not sniff(head) and not head.startswith(b"ID3"):
            # Reading on could take for ever; the checks of a whole file say what is wrong with its beginning.
            inspect(Bytes(lambda offset, count: head[offset : offset + count], len(head), name))
        return spool(head, lambda: pipe.read(_SPOOL_BLOCK_BYTES), name)


def _silent(name: str) -> EmptyRecordingError:
    return EmptyRecordingError(f"{name} holds no sound: 0 samples", hint="record or copy it again")


class _Pieced:
    """The file that the decoder sees: bytes, and ranges of the real one, in a row."""

    def __init__(self, read_at: Callable[[int, int], bytes], pieces: Sequence[bytes | range]) -> None:
        self._read_at, self._pieces = read_at, pieces
        self._size = sum(len(piece) for piece in pieces)
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as any file does; never before the start."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def read(self, count: int = -1) -> bytes:
        """Up to `count` bytes."""
        end = self._size if count < 0 else min(self._size, self._position + count)
        found, start = bytearray(), 0
        for piece in self._pieces:
            wanted = piece[max(0, self._position - start) : max(0, end - start)]
            found += wanted if isinstance(wanted, bytes) else self._read_at(wanted.start, len(wanted))
            start += len(piece)
        self._position += len(found)
        return bytes(found)


class FileSource(Source):
    """A recording in an open, seekable `file`, which it closes in the end. See `open_recording`."""

    kind = "file"

    def __init__(self, file: BinaryIO | Any, path: str, name: str, *, reopens: bool = True) -> None:
        super().__init__(name)
        self.path = path
        self.reopens = reopens
        self._file = file
        self._decoder: Any = None
        try:
            self._open(file)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the decoder and the file."""
        super().close()
        if self._decoder is not None:
            self._decoder.close()
        self._file.close()

    def _open(self, file: BinaryIO | Any) -> None:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        if not size:
            raise EmptyRecordingError(f"{self.label} is empty", hint="record or copy it again")
        self._data = data = Bytes(self._read_at, size, self.label)
        header = inspect(data)
        if header.frames == 0:
            raise _silent(self.label)
        self._decoder = decoder = self._decode(descriptor, header.pieces)
        self._agree(header, decoder)
        self.native_rate_hz, self.channels = decoder.samplerate, decoder.channels
        self.subtype: str = decoder.subtype
        self.container = header.container
        self.warnings += [f"{self.label}: {warning}" for warning in header.warnings]
        self._frames: int | None = decoder.frames if header.known else None
        if self._frames == 0:
            raise _silent(self.label)
        if self._frames is not None:
            self.samples = resampled_length(self._frames, self.native_rate_hz)
        if header.unbounded and self._frames:
            self._probe_end(self._frames)
            decoder.close()
            self._decoder = self._decode(descriptor, header.unbounded)
        # soundfile seeks after every read; MP3 and Opus decoders lose their state by it, and the sound has glitches.
        self._decoder.seekable = lambda: False

    def _read_at(self, offset: int, count: int) -> bytes:
        try:
            return os.pread(self._file.fileno(), count, offset)
        except OSError as error:
            raise UnreadableRecordingError(
                f"{self.label} cannot be read: {error.strerror}", hint="check the disk, or copy it to another"
            ) from error

    def _decode(self, descriptor: int, pieces: Sequence[bytes | range]) -> Any:
        import soundfile  # noqa: PLC0415 - raw streams and generators do without

        with self._translated("libsndfile cannot decode it"):
            if pieces:
                return soundfile.SoundFile(_Pieced(self._read_at, pieces))
            os.lseek(descriptor, 0, os.SEEK_SET)
            return soundfile.SoundFile(descriptor, closefd=False)

    def _agree(self, header: Header, decoder: Any) -> None:
        """Two readings of one header must say the same, or one of them plays something that it is not."""
        data = self._data
        if decoder.samplerate not in (header.rates_hz or (header.rate_hz,)):
            raise data.lying(f"it says both {header.rate_hz} and {decoder.samplerate} Hz")
        if decoder.channels != header.channels:
            raise data.lying(f"it says both {header.channels} and {decoder.channels} channels")
        if header.frames is not None and not header.frames - header.slack <= decoder.frames <= header.frames:
            raise data.lying(f"it says both {header.frames} and {decoder.frames} samples")

    def _probe_end(self, frames: int) -> None:
        """Decode the last sample: where the file was cut off, there is none."""
        try:
            with self._translated("its end is missing"):
                self._decoder.seek(frames - 1)
                if len(self._decoder.read(1)) == 1:
                    return
        except DamagedRecordingError as error:
            raise self._data.truncated("its end is missing") from error
        raise self._data.truncated("its end is missing")

    def _produce(self) -> Iterator[Samples]:
        exact = self.native_rate_hz == RATE_HZ and self.channels == 1 and self.subtype == "PCM_16"
        if exact:
            yield from self._blocks("int16")
            return
        converter = Converter(self.native_rate_hz, self.channels)
        position = 0
        for block in self._blocks("float32"):
            if self.subtype in _FLOAT_SUBTYPES:
                self._check_floats(block, position)
            position += len(block)
            yield converter.push(block)
        yield converter.finish()

    def _blocks(self, dtype: str) -> Iterator[Any]:
        """Decoded blocks, int16[frames] or float32[frames, channels]; raises where the end comes too early."""
        count = max(64, BLOCK_MAX_VALUES // self.channels)
        # Resampling up must not make a big block of a small one.
        count = min(count, max(64, BLOCK_MAX_VALUES * self.native_rate_hz // (8 * RATE_HZ)))
        decoded = 0
        while True:
            with self._translated(f"its sound breaks off after {decoded / self.native_rate_hz:.2f} s"):
                block = self._decoder.read(count, dtype=dtype, always_2d=dtype != "int16")
            if not len(block):
                break
            decoded += len(block)
            yield block
        if self._frames is not None and decoded > self._frames:
            raise self._data.lying(f"it promises {self._frames} samples and holds {decoded}")
        if self._frames is not None and decoded < self._frames:
            raise self._data.damaged(f"{decoded} of its {self._frames} samples could be decoded")
        if not decoded:
            raise _silent(self.label)

    def _check_floats(self, block: Floats, position: int) -> None:
        peak = float(np.abs(block).max(initial=0.0))
        if peak <= FLOAT_MAX:
            return
        at_s = (position + int(np.argmax(~(np.abs(block) <= FLOAT_MAX).all(axis=1)))) / self.native_rate_hz
        what = (
            f"a sample at {at_s:.3f} s is {peak:g}" if np.isfinite(peak) else f"a sample at {at_s:.3f} s is no number"
        )
        raise DamagedRecordingError(
            f"{self.label} is damaged: {what}, and float samples go from -1 to 1",
            hint=f"scale it to that range: sox --norm {shlex.quote(self.label)} fixed.wav",
        )

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        import soundfile  # noqa: PLC0415

        try:
            yield
        except soundfile.SoundFileError as error:
            why = str(getattr(error, "error_string", "") or "").strip().rstrip(".")
            raise self._data.damaged(f"{what} ({shown(why)})" if why else what) from error
