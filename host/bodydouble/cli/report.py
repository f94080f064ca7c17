"""A command's machine-readable result: its place is checked before the work, and it is written whatever happens."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from bodydouble.errors import BodydoubleError, ExitCode, InputError
from bodydouble.resources import write_atomically

SCHEMA = 1
"""Version of what commands other than a session's write."""


class Report:
    """What `--json` asks for; a context manager around the command's work.

    `to_json` gives the text once there is something to tell. Where the work fails earlier, the file says why, as a
    session's result or, where `session` is False, as an object of "status", "error" and "exit_code".
    """

    def __init__(self, json_path: str | None, *, session: bool = True) -> None:
        self._path = json_path
        self._session = session
        self.to_json: Callable[[], str] | None = None

    def __enter__(self) -> Report:
        """Raises InputError where the result could not be written in the end."""
        if self._path not in (None, "-"):
            check_writable(Path(str(self._path)), "--json")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write it; an error of the work itself matters more than one of writing."""
        if self._path is None:
            return
        try:
            write_json(self._path, self._text(error))
        except (BodydoubleError, OSError):
            if error is None:
                raise

    def _text(self, error: BaseException | None) -> str:
        if self.to_json is None:
            return self._nothing_but(error)
        if error is None or self._session:
            return self.to_json()
        # Part of the work was done: why not all of it stands before what there is.
        return to_text({**json.loads(self._nothing_but(error)), **json.loads(self.to_json())})

    def _nothing_but(self, error: BaseException | None) -> str:
        interrupted = error is None or isinstance(error, KeyboardInterrupt)
        status, text = ("interrupted",) * 2 if interrupted else (type(error).__name__, str(error))
        code = getattr(error, "exit_code", ExitCode.INTERRUPTED if interrupted else ExitCode.EXPECTATION)
        if not self._session:
            return to_text({"status": status, "error": text, "exit_code": int(code)})
        from bodydouble.session.result import Result  # noqa: PLC0415 - not needed where all goes well

        result = Result()
        result.outcome.status, result.outcome.error, result.outcome.exit_code = status, text, int(code)
        return result.to_json()


def to_text(facts: dict[str, Any]) -> str:
    """Facts as the JSON that `--json` writes, schema version first."""
    return json.dumps({"schema": SCHEMA, **facts}, indent=1, allow_nan=False)


def check_writable(path: Path, option: str) -> None:
    """Raise InputError, naming `option`, where `path` cannot be written."""
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if path.exists() and not path.is_file():
            if not os.access(path, os.W_OK):
                raise PermissionError(13, os.strerror(13))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        Path(probe).unlink()
    except (OSError, ValueError) as error:
        raise _unwritable(path, option, error) from error


def write_json(json_path: str | None, text: str) -> None:
    """Write a result where `--json` says; raises InputError where it cannot."""
    if json_path is None:
        return
    if json_path == "-":
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        return
    path = Path(json_path)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe cannot be replaced, only written to
            path.write_text(text + "\n")
            return
        write_atomically(path, (text + "\n").encode())
    except OSError as error:
        raise _unwritable(path, "--json", error) from error


def _unwritable(path: Path, option: str, error: OSError | ValueError) -> InputError:
    why = getattr(error, "strerror", None) or str(error)
    return InputError(f"cannot write {path}: {why}", hint=f"give {option} a path that can be written")
