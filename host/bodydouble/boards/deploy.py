"""Puts the firmware on a board: only what differs, deflated, checked by SHA-256 on the board, and in one step.

Files go below `/.new`, where nothing looks for them. Once the board has read every one of them back and its hash is
right, a journal of renames and deletions is written aside and renamed to `/.journal`: from that moment on the new
firmware is installed, and whoever finds the journal finishes it, this code or the board's own `main.py` at its next
boot. A cut at any byte leaves the old firmware or the new one, never a mixture.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bodydouble.boards import board_code
from bodydouble.boards.errors import BoardCodeError, DeployError
from bodydouble.boards.firmware import Target
from bodydouble.clock import Clock, monotonic
from bodydouble.resources import firmware_dir

if TYPE_CHECKING:
    from bodydouble.boards.firmware import Build
    from bodydouble.boards.repl import Repl

MANIFEST = "/bodydouble.json"
LOADER = "/main.py"
STAGE = "/.new"
OWNED = "/coproc"
"""A folder of ours alone: what else lies in it would be imported instead of the firmware, and is removed."""

CHUNK_BYTES = 15360
WINDOW_BITS = 12
"""Of the deflater: the board keeps 2^12 bytes of history."""
WORTH = 2 / 3
"""Deflated to more than this, data goes as it is: a Pico takes 590 instructions to read a byte from its USB port, and
240 to inflate one (counted on the emulated one)."""
AHEAD = 2
"""Records that may be on their way: while the board writes one to its flash, the next is arriving."""
RECORD_S = 20.0
SURVEY_S = 30.0
VERIFY_S = 60.0
COMMIT_S = 120.0

Progress = Callable[[str, int, int], None]
"""Called with what is being done ("compare", "send", "install"), how much is done, and of how much."""


def quiet(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Survey:
    """What a board is and has: its MicroPython, room, and the SHA-256 of every file that the firmware might own."""

    target: Target
    micropython: str
    machine: str
    deflate: bool
    free_bytes: int
    block_bytes: int
    files: Mapping[str, str] | None
    """SHA-256 by path; None where it was not asked for."""
    manifest: Mapping[str, Any]
    interrupted: bool
    """A journal was found and finished, or files of a deploy that was cut before it."""


@dataclass
class Deployment:
    """What a deploy did. `seconds` are the host's."""

    sha256: str
    files: int
    sent: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: str | None = None
    """Where a `main.py` that was not ours was copied to."""
    bytes: int = 0
    wire_bytes: int = 0
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        """Whether the board has other files than before."""
        return bool(self.sent or self.removed)


def board_files(build: Build, *, source: Path | None = None) -> dict[str, bytes]:
    """The build as a board's filesystem holds it, by absolute path.

    `main.py` is taken from the folder `source` (default: the firmware's): no board boots an .mpy.
    """
    files = {
        "/" + path.relative_to(build.path).as_posix(): path.read_bytes()
        for path in sorted(build.path.rglob("*"))
        if path.is_file() and path.stem != Path(LOADER).stem
    }
    files[LOADER] = ((source or firmware_dir()) / LOADER[1:]).read_bytes()
    return files


def survey(repl: Repl, *, hashes: bool = True) -> Survey:
    """Look at the board in raw REPL; a journal that is found is finished, and the count of failed boots forgotten.

    `hashes` False spares the time to read the files.
    """
    repl.exec(board_code.SURVEY)
    lines = repl.exec(f"survey({hashes})", SURVEY_S).decode(errors="replace").splitlines()
    facts = json.loads(lines[0])
    version = ".".join(str(part) for part in facts["version"])
    return Survey(
        target=Target.from_implementation(facts["mpy"]),
        micropython=version,
        machine=facts["machine"],
        deflate=facts["deflate"],
        free_bytes=facts["free"],
        block_bytes=facts["block"],
        files=dict(line.split("\t") for line in lines[2:]) if hashes else None,
        manifest=_manifest(lines[1]),
        interrupted=facts["interrupted"],
    )


def deploy(
    repl: Repl,
    files: Mapping[str, bytes],
    sha256: str,
    *,
    found: Survey | None = None,
    verify: bool = True,
    progress: Progress = quiet,
    clock: Clock = monotonic,
) -> Deployment:
    """Bring the board to `files`; it must be in raw REPL, and is left there.

    `found` is a survey made before. With `verify` False a board whose manifest names `sha256` is believed; else every
    file on it is hashed, and one that was changed there is noticed. DeployError where there is no room, or where
    what was written reads back otherwise.
    """
    began = clock()
    done = Deployment(sha256, len(files))
    progress("compare", 0, 1)
    if found is None or (verify and found.files is None):
        found = survey(repl, hashes=verify)
    if not verify and found.manifest.get("sha256") == sha256:
        return done
    there = found.files
    if there is None:
        there = survey(repl).files or {}
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    wanted_manifest = json.dumps({"sha256": sha256, "files": wanted}, separators=(",", ":")).encode()
    everything = {**files, MANIFEST: wanted_manifest}
    hashes = {**wanted, MANIFEST: hashlib.sha256(wanted_manifest).hexdigest()}
    done.sent = [path for path in _in_order(everything) if there.get(path) != hashes[path]]
    ours = found.manifest.get("files") or {}
    done.removed = sorted(
        path
        for path in there
        if path not in everything and (path.startswith(OWNED + "/") or ours.get(path) == there[path])
    )
    if not done.changed:
        return done
    sizes = [len(everything[path]) for path in done.sent]
    _check_room(found, sizes)
    try:
        repl.exec(board_code.INSTALL)
        said = _send(repl, {STAGE + path: everything[path] for path in done.sent}, found, done, progress)
        _verify(done.sent, said, hashes)
        progress("install", 0, 1)
        foreign = there.get(LOADER)
        if LOADER in done.sent and foreign is not None and ours.get(LOADER) != foreign:
            done.kept = repl.exec(f"keep({LOADER!r})").decode().strip()
        journal = {"v": 1, "move": _moves(done.sent, there), "delete": done.removed}
        repl.exec(f"commit({json.dumps(journal, separators=(',', ':'))!r})", COMMIT_S)
    except BoardCodeError as error:
        raise DeployError(
            f"the board could not be written: {error.traceback.strip().splitlines()[-1]}",
            hint="run this again; if it stays, bodydouble boards recover",
        ) from error
    progress("install", 1, 1)
    done.seconds = clock() - began
    return done


def _in_order(files: Mapping[str, bytes]) -> list[str]:
    # The loader first: from then on the board itself can finish the rest. The manifest last: it tells what is there.
    return sorted(files, key=lambda path: (path == MANIFEST, path != LOADER, path))


def _moves(paths: list[str], there: Mapping[str, str]) -> list[tuple[str, str]]:
    # A folder that the board does not have yet moves as a whole: on LittleFS one rename costs 20 ms and more.
    moves = []
    whole = {path.split("/")[1] for path in paths if path.count("/") > 1} - {path.split("/")[1] for path in there}
    for path in paths:
        top = path.split("/")[1]
        if top not in whole:
            moves.append((STAGE + path, path))
        elif (STAGE + "/" + top, "/" + top) not in moves:
            moves.append((STAGE + "/" + top, "/" + top))
    return moves


def _check_room(found: Survey, sizes: list[int]) -> None:
    # Old files stay until the new ones are in place. Two blocks more per folder hold names and journal.
    block = found.block_bytes
    needed = sum(-(-size // block) * block for size in sizes) + 16 * block
    if needed > found.free_bytes:
        raise DeployError(
            f"the firmware needs {needed:,} bytes free on the board, which has {found.free_bytes:,}",
            hint="remove files from it (mpremote rm), or format it: bodydouble boards recover --format",
        )


def _send(
    repl: Repl, contents: Mapping[str, bytes], found: Survey, done: Deployment, progress: Progress
) -> list[str]:
    """Send files, and return the hash of each as it reads back from the board's flash, in their order."""
    stream = b"".join(contents.values())
    done.bytes = len(stream)
    sizes = [(path, len(content)) for path, content in contents.items()]
    repl.start(f"receive({sizes},{WINDOW_BITS if found.deflate else 0},{CHUNK_BYTES})")
    said: list[str] = []
    waiting: list[int] = []
    taken = 0

    def acknowledged() -> None:
        nonlocal taken
        while (line := repl.read_line(RECORD_S)) != "+":
            said.append(line)
        taken += waiting.pop(0)
        progress("send", taken, len(stream))

    progress("send", 0, len(stream))
    for at in range(0, len(stream), CHUNK_BYTES):
        piece = stream[at : at + CHUNK_BYTES]
        packed = _deflated(piece) if found.deflate else piece
        inflates = len(packed) < WORTH * len(piece)
        record = pack_record(packed if inflates else piece, deflated=inflates)
        done.wire_bytes += len(record)
        repl.write(record, RECORD_S)
        waiting.append(len(piece))
        if len(waiting) == AHEAD:
            acknowledged()
    while waiting:
        acknowledged()
    return said + repl.finish(RECORD_S).decode().split()


def _deflated(piece: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS, 9)
    return packer.compress(piece) + packer.flush()


def pack_record(data: bytes, *, deflated: bool) -> bytes:
    """A record as the board's `receive` reads it: it never contains Ctrl-C, which therefore works at any moment.

    Every 0x03 is sent as 0x02; their positions follow the data. Numbers are two bytes of seven bits, high bit set.
    """
    places = [at for at, byte in enumerate(data) if byte == 3]
    head = bytes((0x80 | deflated,)) + _number(len(data)) + _number(len(places))
    return head + data.replace(b"\x03", b"\x02") + b"".join(map(_number, places))


def _number(value: int) -> bytes:
    return bytes((0x80 | value >> 7, 0x80 | value & 0x7F))


def _verify(paths: list[str], said: list[str], hashes: Mapping[str, str]) -> None:
    wrong = [path for path, sha256 in zip(paths, said, strict=True) if sha256 != hashes[path]]
    if wrong:
        raise DeployError(
            f"{len(wrong)} of {len(paths)} files read back otherwise than they were sent, {wrong[0]} first",
            hint="run this again; if it stays, the board's flash is worn",
        )


def _manifest(text: str) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}
