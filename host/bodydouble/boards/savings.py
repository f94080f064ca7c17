"""Files of a board, saved on the host before they have to go, and put back."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bodydouble.boards.errors import BoardCodeError

if TYPE_CHECKING:
    from bodydouble.boards.repl import Repl

_READ_S = 60.0
_READ = """\
def _read(path,at,size):
    from binascii import b2a_base64
    room=memoryview(bytearray(3072))
    with open(path,'rb') as f:
        f.seek(at)
        while size>0:
            n=f.readinto(room)
            if not n:
                break
            print(b2a_base64(room[:n]).decode(),end='')
            size-=n
"""
_WRITE = """\
def _write(path,parts):
    import os
    from binascii import unhexlify
    at=path.find('/',1)
    while at>0:
        try:
            os.mkdir(path[:at])
        except OSError:
            pass
        at=path.find('/',at+1)
    with open(path,'ab') as f:
        for part in parts:
            f.write(unhexlify(part))
"""
_PART, _PARTS = 256, 8
_PIECE = 96 * 3072


def save_files(repl: Repl, names: Iterable[str], folder: Path) -> dict[str, bytes]:
    """Copy files of the board below `folder`, and return them; what cannot be read is left out."""
    repl.exec(_READ)
    saved = {}
    for name in names:
        parts = PurePosixPath(name).parts[1:]
        if ".." in parts or not parts:
            continue  # a damaged filesystem may claim any name
        try:
            saved[name] = _read_file(repl, name)
        except BoardCodeError:
            continue
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved[name])
    return saved


def _read_file(repl: Repl, name: str) -> bytes:
    data = bytearray()
    while True:
        lines = repl.exec(f"_read({name!r},{len(data)},{_PIECE})\n", _READ_S).split()
        piece = b"".join(map(b64decode, lines))
        data += piece
        if len(piece) < _PIECE:
            return bytes(data)


def put_back(repl: Repl, files: Mapping[str, bytes]) -> None:
    """Write files to a board that has none of them."""
    repl.exec(_WRITE)
    for name, data in files.items():
        for at in range(0, max(1, len(data)), _PART * _PARTS):
            chunk = data[at : at + _PART * _PARTS]
            parts = [chunk[n : n + _PART].hex() for n in range(0, len(chunk), _PART)]
            repl.exec(f"_write({name!r},{parts})\n")
