"""Deploying to a board that looks like a Pico, with LittleFS in a file, and cut off at every kind of moment."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import re
import select
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bodydouble.boards.deploy import board_files, deploy, pack_record, survey
from bodydouble.boards.errors import BoardCodeError, DeployError
from bodydouble.boards.firmware import Build, Target
from bodydouble.boards.repl import Repl
from bodydouble.errors import ExitCode
from bodydouble.link.errors import StreamClosedError
from bodydouble.link.stream import ByteStream
from support.fake_pico import FakePico

LOADER = (Path(__file__).resolve().parents[2] / "firmware" / "main.py").read_text()
POINTS = 18
SOAK_POINTS = 300
PARTS = 7

# As little of a firmware as a loader can start: it says which version it is, and that all of it is.
APP = """
VERSIONS = set()
for name in {parts}:
    VERSIONS.add(__import__("coproc." + name, None, None, ("x",)).VERSION)
def run():
    print("booted", *sorted(VERSIONS))
"""
START = """
def start(tier=None, healthy=None):
    from coproc import app
    healthy()
    app.run()


def boot():
"""


def firmware(version: str, parts: int = PARTS) -> dict[str, bytes]:
    rng = random.Random(version)
    names = [f"part{n}" for n in range(parts)]
    sources = {
        # Elsewhere than on a board the loader leaves the journal and the count of boots alone: this is one.
        "/main.py": LOADER.replace('sys.platform in ("linux", "darwin")', "False").replace("def boot():\n", START),
        "/coproc/__init__.py": "",
        "/coproc/app.py": APP.format(parts=[f"nn.{name}" for name in names]),
        "/coproc/nn/__init__.py": "",
        **{
            f"/coproc/nn/{name}.py": f"VERSION = {version!r}\n# {rng.randbytes(rng.randrange(4000)).hex()}\n"
            for name in names
        },
    }
    assert sources["/main.py"].count("False") > LOADER.count("False") and START in sources["/main.py"]
    return {path: text.encode() for path, text in sources.items()}


def sha(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()


class Bench:
    """A fake Pico, what a host does with it, and what it says when it boots."""

    def __init__(self, flash: Path) -> None:
        self.pico = FakePico(flash)
        self.stream = self.pico.stream()

    def repl(self, stream: ByteStream | None = None) -> Repl:
        repl = Repl(stream or self.stream)
        repl.attend(10)
        return repl

    def boot(self) -> str:
        self.pico.off()
        while self.stream.fileno() and self._rest():
            pass
        self.pico.on()
        return Repl(self.stream).read_until(b"\r\n>>> ").decode()

    def _rest(self) -> bytes:
        self.stream.wait(True, False, 0)
        return self.stream.read(65536)

    def close(self) -> None:
        self.stream.close()
        self.pico.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "flash")
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def old_flash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flash with the old firmware on it."""
    path = tmp_path_factory.mktemp("old") / "flash"
    bench = Bench(path)
    deploy(bench.repl(), firmware("old"), sha("old"))
    assert "booted old\r\n" in bench.boot()
    bench.close()
    return path


def board_hashes(bench: Bench) -> dict[str, str]:
    files = survey(bench.repl()).files
    assert files is not None
    return dict(files)


def expected(version: str) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in firmware(version).items()}


# --- the plain case


def test_a_first_deploy_boots_and_a_second_finds_nothing_to_do(bench: Bench) -> None:
    told: list[tuple[str, int, int]] = []
    repl = bench.repl()
    done = deploy(repl, firmware("new"), sha("new"), progress=lambda *facts: told.append(facts))
    assert done.changed
    assert done.sent[0] == "/main.py" and done.sent[-1] == "/bodydouble.json"
    assert sorted(done.sent) == sorted([*firmware("new"), "/bodydouble.json"])
    assert done.wire_bytes < done.bytes
    assert [what for what, _, _ in told if what != "send"][:1] == ["compare"]
    assert all(0 <= at <= total for _, at, total in told)
    assert ("send", done.bytes, done.bytes) in told and told[-1] == ("install", 1, 1)
    assert "booted new\r\n" in bench.boot()
    hashes = board_hashes(bench)
    manifest = hashes.pop("/bodydouble.json")
    assert hashes == expected("new")
    found = survey(bench.repl())
    assert found.manifest == {"sha256": sha("new"), "files": expected("new")}
    for verify in (True, False):
        again = deploy(bench.repl(), firmware("new"), sha("new"), verify=verify)
        assert not again.changed and again.bytes == 0
    assert board_hashes(bench)["/bodydouble.json"] == manifest


def test_only_what_differs_is_sent(bench: Bench) -> None:
    deploy(bench.repl(), firmware("new"), sha("new"))
    files = {**firmware("new"), "/coproc/nn/part3.py": b"VERSION = 'new'\n", "/coproc/nn/more.py": b""}
    del files["/coproc/nn/part1.py"]
    files["/coproc/app.py"] = APP.format(parts=["nn.part3", "nn.part4"]).encode()
    done = deploy(bench.repl(), files, sha("newer"))
    assert done.sent == ["/coproc/app.py", "/coproc/nn/more.py", "/coproc/nn/part3.py", "/bodydouble.json"]
    assert done.removed == ["/coproc/nn/part1.py"]
    assert "booted new\r\n" in bench.boot()
    assert set(board_hashes(bench)) == {*files, "/bodydouble.json"}
    assert b".new" not in bench.repl().exec("import os;print(os.listdir('/'))")


def test_what_was_changed_on_the_board_is_noticed(bench: Bench) -> None:
    deploy(bench.repl(), firmware("new"), sha("new"))
    bench.repl().exec("f=open('/coproc/nn/part2.py','a');f.write('#');f.close()")
    bench.repl().exec("f=open('/coproc/app.mpy','w');f.write('an older one');f.close()")
    assert not deploy(bench.repl(), firmware("new"), sha("new"), verify=False).changed  # the manifest is believed
    done = deploy(bench.repl(), firmware("new"), sha("new"))
    assert done.sent == ["/coproc/nn/part2.py"]
    assert done.removed == ["/coproc/app.mpy"]


def test_the_users_files_stay(bench: Bench) -> None:
    repl = bench.repl()
    repl.exec("f=open('/main.py','w');f.write('print(1)');f.close()")
    repl.exec("f=open('/notes.txt','w');f.write('mine');f.close()")
    assert deploy(repl, firmware("new"), sha("new")).kept == "/main.py.bak"
    assert deploy(repl, firmware("newer"), sha("newer")).kept is None  # that one was ours
    repl.exec("f=open('/main.py','w');f.write('print(2)');f.close()")
    assert deploy(repl, firmware("newer"), sha("newer")).kept == "/main.py.bak1"
    said = repl.exec("for n in ('/main.py.bak','/main.py.bak1','/notes.txt'):print(open(n).read())")
    assert said.split() == [b"print(1)", b"print(2)", b"mine"]
    assert "booted newer\r\n" in bench.boot()


def test_a_board_without_deflate(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bodydouble.boards.board_code.SURVEY",
        re.sub("import deflate", "import no_such_module", survey.__globals__["board_code"].SURVEY),
    )
    repl = bench.repl()
    assert not survey(repl).deflate
    done = deploy(repl, firmware("new"), sha("new"))
    assert done.wire_bytes >= done.bytes
    assert "booted new\r\n" in bench.boot()


def test_safe_mode_ends_with_a_deploy(bench: Bench) -> None:
    broken = {**firmware("new"), "/coproc/app.py": b"raise RuntimeError('always')"}
    deploy(bench.repl(), broken, sha("broken"))
    for _ in range(3):
        assert "always" in bench.boot()
    assert "safe mode" in bench.boot()
    assert not deploy(bench.repl(), broken, sha("broken")).changed
    assert "always" in bench.boot()
    deploy(bench.repl(), firmware("new"), sha("new"))
    assert "booted new\r\n" in bench.boot()


# --- what may go wrong


def test_no_room(bench: Bench) -> None:
    repl = bench.repl()
    repl.exec("f=open('/big','wb')\nfor n in range(336):\n f.write(bytes(4096))\nf.close()")
    with pytest.raises(DeployError, match=r"needs [0-9,]+ bytes free .*has [0-9,]+ \(remove files") as caught:
        deploy(repl, firmware("new"), sha("new"))
    assert caught.value.exit_code == ExitCode.FIRMWARE
    assert board_hashes(bench) == {}


def test_a_board_that_fails_while_it_writes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bodydouble.boards.deploy._check_room", lambda found, sizes: None)
    repl = bench.repl()
    repl.exec("f=open('/big','wb')\nfor n in range(340):\n f.write(bytes(4096))\nf.close()")
    with pytest.raises(DeployError, match=r"could not be written: OSError: .*28"):
        deploy(repl, firmware("new"), sha("new"))
    assert board_hashes(bench) == {}
    bench.repl().exec("import os;os.remove('/big')")
    deploy(bench.repl(), firmware("new"), sha("new"))
    assert "booted new\r\n" in bench.boot()


def test_what_reads_back_otherwise_is_not_installed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(bench.repl(), firmware("old"), sha("old"))
    real = pack_record
    monkeypatch.setattr("bodydouble.boards.deploy.CHUNK_BYTES", 512)
    monkeypatch.setattr("bodydouble.boards.deploy._deflated", lambda piece: piece)
    monkeypatch.setattr("bodydouble.boards.deploy.survey", lambda repl, **how: _without_deflate(survey(repl, **how)))
    monkeypatch.setattr(
        "bodydouble.boards.deploy.pack_record", lambda data, **how: real(data[:-1] + bytes([data[-1] ^ 1]), **how)
    )
    with pytest.raises(DeployError, match=r"files read back otherwise than they were sent, /.* first"):
        deploy(bench.repl(), firmware("new"), sha("new"))
    assert "booted old\r\n" in bench.boot()


def _without_deflate(found: object) -> object:
    return dataclasses.replace(found, deflate=False)  # type: ignore[type-var]


@pytest.mark.parametrize("data", [b"", b"\x03", b"\x03" * 500, bytes(range(256)) * 8, b"\x80\x83\x02\x03"])
def test_a_record_holds_no_ctrl_c_and_everything_else(data: bytes) -> None:
    record = pack_record(data, deflated=False)
    assert b"\x03" not in record and record[0] == 0x80
    assert pack_record(data, deflated=True) == b"\x81" + record[1:]
    length = (record[1] & 127) << 7 | record[2] & 127
    count = (record[3] & 127) << 7 | record[4] & 127
    body, places = bytearray(record[5 : 5 + length]), record[5 + length :]
    assert len(places) == 2 * count
    for at in range(0, len(places), 2):
        body[(places[at] & 127) << 7 | places[at + 1] & 127] = 3
    assert body == data


def test_what_a_board_gets_of_a_build(tmp_path: Path) -> None:
    for name in ("main.mpy", "coproc/app.mpy", "coproc/nn/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = board_files(Build(tmp_path, "0" * 64, True))
    assert files.pop("/main.py").decode() == LOADER
    assert files == {"/coproc/app.mpy": b"coproc/app.mpy", "/coproc/nn/x.py": b"coproc/nn/x.py"}


def test_what_a_survey_tells(bench: Bench) -> None:
    found = survey(bench.repl(), hashes=False)
    assert found.files is None
    assert found.target == Target(6, 3, found.target.arch)
    assert found.block_bytes == 4096 and 1_300_000 < found.free_bytes < 352 * 4096
    assert tuple(map(int, found.micropython.split("."))) >= (1, 24)
    assert not found.interrupted


def test_a_manifest_that_is_none(bench: Bench) -> None:
    for text in ("[1]", "{", "", "\\x80"):
        bench.repl().exec(f"f=open('/bodydouble.json','w');f.write('{text}');f.close()")
        assert survey(bench.repl()).manifest == {}
    deploy(bench.repl(), firmware("new"), sha("new"))
    assert survey(bench.repl()).manifest["sha256"] == sha("new")


# --- cut off


class Cut:
    """A cable that is cut once `after` bytes went to the board."""

    def __init__(self, inner: ByteStream, after: int, then: Callable[[], None]) -> None:
        self.inner, self.left, self.then = inner, after, then
        self.fileno, self.read, self.close = inner.fileno, inner.read, inner.close

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        self.inner.wait(readable, writable, timeout_s)

    def write(self, data: bytes) -> int:
        written = self.inner.write(data[: self.left]) if self.left else 0
        self.left -= written
        if not self.left:
            self.then()
            raise StreamClosedError("cut")
        return written


class Counted(Cut):
    def __init__(self, inner: ByteStream) -> None:
        super().__init__(inner, 1 << 40, lambda: None)

    @property
    def bytes(self) -> int:
        return (1 << 40) - self.left


class Mortal(Counted):
    """A cable to a board that may cut its own power: nobody waits for a dead one."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.stream)
        self.pico = bench.pico

    def wait(self, readable: bool, writable: bool, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            self.inner.wait(readable, writable, min(left, 0.05))
            if select.select([self.inner.fileno()], [], [], 0)[0]:
                return
            if not self.pico.alive:
                raise StreamClosedError("the board is dead")


def cut_at(bench: Bench, how: str, share: float, whole: dict[str, int]) -> None:
    """Deploy the new firmware and cut it off at this share of all its bytes, or of all its writes to flash."""
    cable: ByteStream
    repl = bench.repl()
    if how == "flash":
        repl.exec(f"flash.left = {1 + int(share * whole['flash'])}")
        cable = Mortal(bench)
    else:
        cable = Cut(bench.stream, 1 + int(share * whole["bytes"]), bench.pico.off if how == "power" else lambda: None)
    with pytest.raises(StreamClosedError):
        deploy(Repl(cable), firmware("new"), sha("new"))


def test_cut_at_random_points_it_always_boots(old_flash: Path, tmp_path: Path, soak: bool) -> None:
    flash = tmp_path / "flash"
    shutil.copy(old_flash, flash)
    bench = Bench(flash)
    before = int(bench.repl().exec("print(flash.left)"))
    counted = Counted(bench.stream)
    deploy(Repl(counted), firmware("new"), sha("new"))
    whole = {"bytes": counted.bytes, "flash": before - int(bench.repl().exec("print(flash.left)"))}
    bench.close()
    assert whole["bytes"] > 20_000 and whole["flash"] > 50

    rng = random.Random(20)
    outcomes: dict[str, set[str]] = {"power": set(), "flash": set(), "cable": set()}
    for point in range(SOAK_POINTS if soak else POINTS):
        how = list(outcomes)[point % 3]
        share = rng.random()
        shutil.copy(old_flash, flash)
        bench = Bench(flash)
        try:
            cut_at(bench, how, share, whole)
            said = bench.boot() if how != "cable" else "booted old\r\n"
            booted = re.findall(r"booted (.*)\r\n", said)
            assert booted in (["old"], ["new"]), f"cut {how} at {share}: {said}"
            outcomes[how].add(booted[0])
            deploy(bench.repl(), firmware("new"), sha("new"))
            assert re.findall(r"booted (.*)\r\n", bench.boot()) == ["new"]
            assert b".new" not in bench.repl().exec("import os;print(os.listdir('/'))")
        finally:
            bench.close()
    assert outcomes["flash"] == {"old", "new"}  # so both sides of the commit were met


JOURNAL = """\
import os,json
for folder in ('/.new','/coproc/deep','/coproc/deep/er')[:{folders}]:
    os.mkdir(folder)
for path in ('/coproc/gone.py',{where!r}):
    open(path,'w').close()
with open('/.journal','w') as f:
    json.dump({{'v':1,'move':[['/.new/y','/coproc/y.py'],['/.new/x','/coproc/deep/er/x.py']],
        'delete':['/coproc/gone.py','/coproc/never.py']}},f)
"""


@pytest.mark.parametrize("finisher", ["the board's loader", "a host"])
@pytest.mark.parametrize(("folders", "where"), [(1, "/.new/x"), (3, "/coproc/deep/er/x.py")])
def test_a_journal_is_finished_by_whoever_finds_it(bench: Bench, folders: int, where: str, finisher: str) -> None:
    deploy(bench.repl(), firmware("old"), sha("old"))
    bench.repl().exec(JOURNAL.format(folders=folders, where=where))
    if finisher != "a host":
        assert "booted old\r\n" in bench.boot()
        assert b".journal" not in bench.repl().exec("import os;print(os.listdir('/'))")
    files = board_hashes(bench)
    assert "/coproc/deep/er/x.py" in files and "/coproc/gone.py" not in files
    left = bench.repl().exec("import os;print(os.listdir('/'))")
    assert b".journal" not in left and b".new" not in left


def test_code_of_the_board_that_raises_is_told(bench: Bench) -> None:
    with pytest.raises(BoardCodeError, match="NameError"):
        bench.repl().exec("no_such_name")
