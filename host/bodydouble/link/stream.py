"""The byte streams that a link runs over: a child's pipes, or any port that pyserial opens.

The fault, record and replay layers wrap a `ByteStream` and are one themselves.
"""

from __future__ import annotations

import os
import select
import time
from typing import Any, Protocol

import serial

from bodydouble.link.errors import PortError, StreamClosedError


class ByteStream(Protocol):
    """Bytes both ways, never blocking but in `wait`."""

    def fileno(self) -> int | None:
        """A descriptor that becomes readable when bytes arrive, or None."""

    def read(self, max_bytes: int) -> bytes:
        """What has arrived, at most `max_bytes`; b"" where nothing has. StreamClosedError at the end."""

    def write(self, data: bytes) -> int:
        """Write what goes at once; returns how many bytes did. StreamClosedError where nobody reads any more."""

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        """Return once the stream can be read (or written), or after `timeout_s`."""

    def close(self) -> None:
        """Give the stream up; may be called twice."""


class PipeStream:
    """Two pipe ends, ours to close: `read_fd` carries the board's bytes, `write_fd` ours."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._closed = False
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self._reading = select.poll()
        self._reading.register(read_fd, select.POLLIN)
        self._writing = select.poll()
        self._writing.register(read_fd, select.POLLIN)
        self._writing.register(write_fd, select.POLLOUT)

    def fileno(self) -> int | None:
        """The descriptor that the board's bytes come from."""
        return self._read_fd

    def read(self, max_bytes: int) -> bytes:
        """What has arrived, at most `max_bytes`; b"" where nothing has."""
        if self._closed:
            raise StreamClosedError("the byte stream is closed")
        try:
            data = os.read(self._read_fd, max_bytes)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise StreamClosedError(f"the byte stream failed: {error.strerror}") from error
        if not data:
            raise StreamClosedError("the board closed the byte stream")
        return data

    def write(self, data: bytes) -> int:
        """Write what goes at once; returns how many bytes did."""
        if self._closed:
            raise StreamClosedError("the byte stream is closed")
        try:
            return os.write(self._write_fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise StreamClosedError("the board reads no more") from error

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        """Return once the stream can be read (or written), or after `timeout_s`."""
        if self._closed:
            return
        if readable or writable:
            # Rounded up: a timeout below a millisecond must not become a busy loop.
            timeout_ms = max(0, int(timeout_s * 1000 + 0.999))
            (self._writing if writable else self._reading).poll(timeout_ms)

    def close(self) -> None:
        """Close both ends."""
        if not self._closed:
            self._closed = True
            os.close(self._read_fd)
            if self._write_fd != self._read_fd:
                os.close(self._write_fd)


class SerialStream:
    """A port by pyserial's name or URL: a device path, a PTY, socket://, rfc2217://, loop://."""

    IDLE_STEP_S = 0.001

    def __init__(self, url: str, *, baudrate: int = 115200) -> None:
        try:
            self._port: Any = serial.serial_for_url(url, baudrate=baudrate, timeout=0)
        except (serial.SerialException, ValueError, OSError) as error:
            raise PortError(f"cannot open {url}: {error}", hint="name a port that exists and is free") from error
        self._url = url
        self._closed = False
        if self.fileno() is not None:
            self._port.write_timeout = 0  # the others (loop, rfc2217) take everything at once

    def fileno(self) -> int | None:
        """The port's descriptor; None for ports that have none."""
        try:
            descriptor: int = self._port.fileno()
        except (AttributeError, OSError, ValueError):
            return None
        return descriptor

    def read(self, max_bytes: int) -> bytes:
        """What has arrived, at most `max_bytes`; b"" where nothing has."""
        try:
            data: bytes = self._port.read(max_bytes)
        except (serial.SerialException, OSError, TypeError) as error:
            raise StreamClosedError(f"{self._url} went away: {error}") from error
        return data

    def write(self, data: bytes) -> int:
        """Write what goes at once; returns how many bytes did."""
        descriptor = self.fileno()
        if descriptor is not None:
            # pyserial's write spins for ever on a full port with write_timeout=0: only write where something goes.
            poller = select.poll()
            poller.register(descriptor, select.POLLOUT)
            if not poller.poll(0):
                return 0
        try:
            return int(self._port.write(data) or 0)
        except serial.SerialTimeoutException:
            return 0
        except (serial.SerialException, OSError, TypeError) as error:
            raise StreamClosedError(f"{self._url} went away: {error}") from error

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        """Return once the port can be read (or written), or after `timeout_s`."""
        descriptor = self.fileno()
        if descriptor is not None:
            poller = select.poll()
            poller.register(descriptor, (select.POLLIN if readable else 0) | (select.POLLOUT if writable else 0))
            poller.poll(max(0, int(timeout_s * 1000 + 0.999)))
            return
        # No descriptor to sleep on (rfc2217): look again every millisecond.
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0 and not (readable and self._port.in_waiting):
            time.sleep(min(left, self.IDLE_STEP_S))

    def close(self) -> None:
        """Close the port."""
        if not self._closed:
            self._closed = True
            self._port.close()
