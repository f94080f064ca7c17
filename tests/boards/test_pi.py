"""A real Pi's ways in, each against a counterpart here: an ssh that runs its command here, and a socket."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bodydouble.boards import open_board
from bodydouble.boards.errors import BoardGoneError, NoMicroPythonError, SelectorError, TierError
from bodydouble.boards.micropythons import find_micropython
from bodydouble.boards.pi import Remote, UnreachableError
from bodydouble.errors import ExitCode, InputError
from support.micropython import FIRMWARE, micropython_command

SSH = """#!{python}
import os, sys
folder = {folder!r}
with open(folder + "/calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if os.path.exists(folder + "/unreachable"):
    sys.exit("ssh: connect to host pi.invalid port 22: Connection refused")
at = sys.argv.index("--")
os.set_blocking(0, True)  # sshd's side
environment = {{**os.environ, "HOME": folder + "/home"}}
environment.pop("XDG_CACHE_HOME", None)
os.execve("/bin/sh", ["sh", "-c", " ".join(sys.argv[at + 2:])], environment)
"""


class Pi:
    """A folder that plays the Pi's home, and what ssh was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "home" / ".cache" / "bodydouble"

    def asked(self) -> int:
        """How often ssh was called since this was last asked."""
        path = self.folder / "calls"
        calls = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return len(calls)


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_orphans: None) -> Iterator[Pi]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(SSH.format(python=sys.executable, folder=str(tmp_path)))
    ssh.chmod(0o755)
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(micropython_command())} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", str(program))
    before = psutil.Process().children(recursive=True)
    yield Pi(tmp_path)
    # What ran over there sees the end of its connection by itself, a little later than we.
    psutil.wait_procs([child for child in psutil.Process().children(recursive=True) if child not in before], 5)


def test_what_is_there_is_not_sent_again(pi: Pi) -> None:
    with open_board("pi:ssh://pi@pi.invalid") as board:
        info = board.info
        assert (info["type"], info["name"], info["machine"]) == ("pi", "ssh://pi@pi.invalid", "unix")
        assert info["heap_bytes"] == 1 << 20
        assert len(info["firmware"]) == 64
        assert "emulator" not in info and "clock" not in info
        assert board.request("info")["ok"]
    assert pi.asked() == 5, "looked, sent MicroPython, looked, sent the firmware, ran it"
    assert sorted(path.name.split("-")[0] for path in pi.cache.iterdir()) == ["firmware", "micropython"]
    with open_board("pi:ssh://pi@pi.invalid", tier="bytecode", heap_bytes=400_000) as board:
        assert board.info["tier"] == "bytecode"
        assert board.info["heap_bytes"] == 400_000
    assert pi.asked() == 2, "looked, ran it"


def test_a_half_sent_firmware_is_sent_again(pi: Pi) -> None:
    with open_board("pi:ssh://pi.invalid"):
        pass
    (firmware,) = pi.cache.glob("firmware-*")
    firmware.rename(pi.cache / ".new-1")
    pi.asked()
    with open_board("pi:ssh://pi.invalid"):
        assert pi.asked() == 3
    assert firmware.is_dir()


@pytest.mark.micropython32
def test_thumb_code_over_ssh(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYDOUBLE_MICROPYTHON_ARM", *micropython_command(32))
    with open_board("pi:ssh://pi.invalid") as board:
        assert board.info["tier"] == "asm"


def test_nobody_answers(pi: Pi) -> None:
    (pi.folder / "unreachable").touch()
    with pytest.raises(UnreachableError) as caught:
        open_board("pi:ssh://pi@pi.invalid:2222")
    assert str(caught.value) == (
        "ssh pi@pi.invalid failed: ssh: connect to host pi.invalid port 22: Connection refused "
        "(see that `ssh -p 2222 pi@pi.invalid` works without a password: ssh-copy-id -p 2222 pi@pi.invalid)"
    )
    assert caught.value.exit_code == ExitCode.NO_BOARD


def test_no_ssh_here(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(pi.folder))
    with pytest.raises(UnreachableError, match=r"ssh was not found \(apt-get install openssh-client\)"):
        open_board("pi:ssh://pi.invalid")


def test_a_pi_that_the_program_does_not_run_on(pi: Pi) -> None:
    (pi.folder / "program").write_text("#!/bin/sh\necho Exec format error\nexit 126\n")
    with pytest.raises(NoMicroPythonError, match=r"does not run on pi.invalid: Exec format error \(it needs a Rasp"):
        open_board("pi:ssh://pi.invalid")


def test_a_tier_that_it_lacks(pi: Pi) -> None:
    if find_micropython().target.runs("asm"):
        pytest.skip("this MicroPython has every tier")
    with pytest.raises(TierError, match=r"pi.invalid has no asm tier \(choose one of: "):
        open_board("pi:ssh://pi.invalid", tier="asm")


def test_the_connection_breaks(pi: Pi) -> None:
    with open_board("pi:ssh://pi.invalid") as board:
        board.kill()
        with pytest.raises(BoardGoneError, match=r"went away \(signal 9\)"):
            board.request("info")


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("ssh://pi@raspberry.local", "pi@raspberry.local", None),
        ("ssh://10.0.0.7:2222/", "10.0.0.7", 2222),
        ("ssh://a_b.c@[fe80::1%eth0]:22", "a_b.c@fe80::1%eth0", 22),
    ],
)
def test_where_ssh_goes(url: str, host: str, port: int | None, pi: Pi) -> None:
    remote = Remote.parse(url)
    assert (remote.host, remote.port) == (host, port)
    command = remote.command("true")
    assert command[command.index("--") + 1] == host


@pytest.mark.parametrize(
    "url",
    ["ssh://", "ssh://-oProxyCommand=reboot", "ssh://a@-x", "ssh://a b", "ssh://a;b", "ssh://h:x", "ssh://a@b/c"],
)
def test_what_ssh_must_not_be_given(url: str) -> None:
    with pytest.raises(SelectorError, match="is no machine that ssh reaches") as caught:
        open_board(f"pi:{url}")
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("name", ["pi", "pi:kitchen"])
def test_where_it_is_must_be_said(name: str) -> None:
    with pytest.raises(SelectorError, match=rf"'{name}' does not say where the pi is \(--board pi:ssh://user@host"):
        open_board(name)


# --- by a port: the firmware runs there already


@pytest.fixture
def served(shared_cache: Path, no_orphans: None) -> Iterator[Callable[..., str]]:
    """Serves one connection on loopback with a fresh firmware, as socat or inetd on a Pi would; returns its URL."""
    stop: list[Callable[[], object]] = []

    def serve(*arguments: str) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(30)

        def run() -> None:
            with listening, listening.accept()[0] as one:
                one.setblocking(False)
                process = subprocess.Popen(
                    [*micropython_command(), "-X", "heapsize=1M", "-m", "main", *arguments],
                    stdin=one,
                    stdout=one,
                    env={"MICROPYPATH": str(FIRMWARE)},
                    cwd=FIRMWARE,
                )
            process.wait()

        thread = threading.Thread(target=run)
        thread.start()
        stop.append(thread.join)
        return f"socket://127.0.0.1:{listening.getsockname()[1]}"

    yield serve
    for one in stop:
        one()


def test_by_a_socket(served: Callable[..., str]) -> None:
    url = served()
    with open_board(f"pi:{url}") as board:
        assert (board.info["name"], board.info["port"], board.info["machine"]) == (url, url, "unix")
        assert board.info["heap_bytes"] == board.info["heap_total"] > 900_000
        assert board.returncode is None
        board.request("info")


def test_a_tier_there_and_a_heap_there_are_as_they_are(served: Callable[..., str]) -> None:
    url = served("tier=bytecode")
    with pytest.raises(TierError, match=rf"on {url} runs on its bytecode tier \(leave --tier out, or start it there"):
        open_board(f"pi:{url}", tier="asm")
    with pytest.raises(InputError, match="has the heap that it was started with"):
        open_board("pi:socket://127.0.0.1:9", heap_bytes=1 << 20)


def test_the_firmware_there_goes_away(served: Callable[..., str]) -> None:
    url = served()
    with open_board(f"pi:{url}") as board:
        for child in psutil.Process().children():
            child.send_signal(signal.SIGKILL)
        with pytest.raises(BoardGoneError, match=rf"the board on {url} went away"):
            board.request("info")
