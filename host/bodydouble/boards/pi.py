"""A real Raspberry Pi with an operating system: MicroPython's unix port there, as `pi-arm` has it here.

`ssh://user@host` puts MicroPython and the firmware there, where they are not yet, and starts them: the connection is
the byte stream. On `socket://host:port` or a serial port the firmware must run already, with a standard input that
does not block.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from bodydouble.boards.board import Board
from bodydouble.boards.errors import BoardGoneError, NoMicroPythonError, SelectorError, TierError
from bodydouble.boards.firmware import Target, build_firmware
from bodydouble.boards.micropythons import PROBE, arm_micropython, probed
from bodydouble.boards.unix import UnixProcess, micropython_arguments
from bodydouble.errors import BoardError, BodydoubleError, InputError
from bodydouble.link.connection import Connection
from bodydouble.link.errors import StreamClosedError
from bodydouble.link.stream import SerialStream
from bodydouble.resources import cache_dir

if TYPE_CHECKING:
    from bodydouble.boards.inventory import BoardType
    from bodydouble.boards.selector import Selector

HEAP_BYTES = 1 << 20
"""A Pi has it: room for every model at once."""
START_S = 30.0
COMMAND_S = 60.0
SEND_S = 300.0
_FOLDER = '"${XDG_CACHE_HOME:-$HOME/.cache}"/bodydouble'
_SSH_FAILED = 255
_HOST = re.compile(r"(\w[\w.-]*@)?(?:(\w[\w.-]*)|\[([\w:.%]+)\])(?::(\d{1,5}))?", re.ASCII)
# F_SETFL, O_NONBLOCK. sshd's pipes block, and then MicroPython would wait for a whole buffer. Debian always has perl.
_UNBLOCKED = "exec perl -e 'fcntl(STDIN,4,2048);exec @ARGV'"


class UnreachableError(BoardError):
    """The Pi does not answer, or does not let us in."""


def open_board(kind: BoardType, selector: Selector, *, tier: str | None, heap_bytes: int | None) -> Board:
    """The driver: WHICH is `ssh://user@host`, `socket://host:port` or a serial port."""
    if not selector.is_port:
        raise SelectorError(
            f"{str(selector)!r} does not say where the {kind.type} is",
            hint="--board pi:ssh://user@host, pi:socket://host:port or pi:/dev/ttyUSB0",
        )
    if selector.which.startswith("ssh://"):
        board = _open_ssh(kind, Remote.parse(selector.which), tier, heap_bytes or HEAP_BYTES)
    else:
        board = _open_port(kind, selector.which, tier, heap_bytes)
    board.info["name"] = selector.which
    return board


# --- by ssh


@dataclass(frozen=True)
class Remote:
    """A machine that ssh reaches."""

    host: str
    """With the user, if one is named."""
    port: int | None = None

    @classmethod
    def parse(cls, url: str) -> Remote:
        """From `ssh://[user@]host[:port]`; SelectorError where it is something else."""
        found = _HOST.fullmatch(url.removeprefix("ssh://").rstrip("/"))
        if not found:
            raise SelectorError(
                f"{url!r} is no machine that ssh reaches", hint="ssh://user@host or ssh://user@host:22"
            )
        user, name, address, port = found.groups()
        return cls(f"{user or ''}{name or address}", int(port) if port else None)

    def command(self, script: str) -> list[str]:
        """The command that runs `script` there in a POSIX shell, whatever the user's own shell is."""
        ssh = which("ssh")
        if ssh is None:
            raise UnreachableError("ssh was not found", hint="apt-get install openssh-client")
        # Nobody could type a password: the connection carries the link.
        options = ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5"]
        port = ["-p", str(self.port)] if self.port else []
        return [ssh, *options, *port, "--", self.host, f"exec sh -c {shlex.quote(script)}"]

    def run(self, script: str, data: bytes = b"", timeout_s: float = COMMAND_S) -> str:
        """Run a script there with `data` as its input; returns its output."""
        try:
            done = subprocess.run(
                self.command(f"set -e; mkdir -p {_FOLDER}; cd {_FOLDER}; {script}"),
                input=data,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnreachableError(f"{self.host} did not answer within {timeout_s:g} s", hint=self.cure) from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise UnreachableError(f"ssh {self.host} failed: {said[-1].strip()}", hint=self.cure)
        return done.stdout.decode(errors="replace")

    @property
    def cure(self) -> str:
        """What to look at first."""
        port = f"-p {self.port} " if self.port else ""
        return f"see that `ssh {port}{self.host}` works without a password: ssh-copy-id {port}{self.host}"


def _open_ssh(kind: BoardType, remote: Remote, tier: str | None, heap_bytes: int) -> Board:
    program, there, target = _micropython(remote)
    tiers = [name for name in kind.tiers if target.runs(name)]
    if tier is not None and tier not in tiers:
        raise TierError(f"{remote.host} has no {tier} tier", hint=f"choose one of: {', '.join(tiers)}")
    build = build_firmware(target)
    firmware = f"firmware-{build.sha256[:24]}"
    if firmware not in there:
        files = {path.relative_to(build.path).as_posix(): path for path in build.path.rglob("*") if path.is_file()}
        _send(remote, firmware, files)
    arguments = shlex.join(micropython_arguments(heap_bytes, tier))
    script = (
        f"cd {_FOLDER} && touch {program} {firmware} && cd {firmware} && "
        f"MICROPYPATH=. {_UNBLOCKED} ../{program}/micropython {arguments}"
    )
    process = _SshProcess(["exec", *remote.command(script)], cache_dir())
    process.remote = remote
    try:
        board = Board(kind, Connection(process.stream, drift_ppm=kind.drift_ppm), process)
        board.start(START_S, heap_bytes=heap_bytes, firmware=build.sha256, compiled=build.compiled)
    except BaseException:
        process.kill()
        process.close()
        raise
    return board


def _micropython(remote: Remote) -> tuple[str, list[str], Target]:
    # Its folder there, what else is there, and what it loads; sent first where it is not there.
    path = arm_micropython()
    folder = f"micropython-{hashlib.sha256(path.read_bytes()).hexdigest()[:24]}"
    probe = f"ls; [ ! -x {folder}/micropython ] || ./{folder}/micropython -c {shlex.quote(PROBE)} 2>&1 || true"
    said = remote.run(probe)
    if folder not in said.split():
        _send(remote, folder, {"micropython": path})
        said = remote.run(probe)
    target = probed(said)
    if target is None:
        reason = said.strip().splitlines()[-1]
        raise NoMicroPythonError(
            f"the 32-bit ARM MicroPython does not run on {remote.host}: {reason}",
            hint="it needs a Raspberry Pi 2 or later; or set BODYDOUBLE_MICROPYTHON_ARM to one that runs there",
        )
    return folder, said.split(), target


def _send(remote: Remote, folder: str, files: Mapping[str, Path]) -> None:
    # Unpacked aside and then renamed: what is there is whole. What nobody has used for a month goes.
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, path in sorted(files.items()):
            tar.add(path, name)
    remote.run(
        f"new=.new-$$; mkdir $new; tar -xzf - -C $new; rm -rf {folder}; mv $new {folder}; touch {folder}; "
        "find . -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +",
        packed.getvalue(),
        SEND_S,
    )


class _SshProcess(UnixProcess):
    remote: Remote

    def gone(self, error: StreamClosedError) -> BodydoubleError:
        """Why the stream ended: the connection's own failures too."""
        found = super().gone(error)
        if self.returncode != _SSH_FAILED:
            return found
        lines = self.stderr.strip().splitlines() or [error.message]
        return BoardGoneError(
            f"the connection to {self.remote.host} broke: {lines[-1].strip()}", hint=self.remote.cure
        )


# --- by a port


def _open_port(kind: BoardType, url: str, tier: str | None, heap_bytes: int | None) -> Board:
    if heap_bytes:
        raise InputError(f"the firmware on {url} has the heap that it was started with", hint="leave --heap out")
    stream = SerialStream(url)
    try:
        board = Board(kind, Connection(stream, drift_ppm=kind.drift_ppm), _Port(url, stream.close))
        board.start(START_S, port=url)
        if tier not in (None, board.info["tier"]):
            raise TierError(
                f"the firmware on {url} runs on its {board.info['tier']} tier",
                hint=f"leave --tier out, or start it there with tier={tier}",
            )
    except BaseException:
        stream.close()
        raise
    board.info["heap_bytes"] = board.info["heap_total"]
    return board


class _Port:
    """A machine of which nothing but its byte stream is seen."""

    returncode = None

    def __init__(self, url: str, close: Callable[[], None]) -> None:
        self._url = url
        self.kill = self.close = close

    def watch(self) -> None:
        """Nothing: its error output is its own."""

    def gone(self, error: StreamClosedError) -> BodydoubleError:
        """That it went."""
        return BoardGoneError(f"the board on {self._url} went away: {error.message}", hint="see that it runs there")
