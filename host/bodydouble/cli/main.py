"""The entry point: turns errors into one line on stderr and an exit code, never a traceback for a user's mistake.

Nothing slow is imported before the handlers of Ctrl-C and SIGTERM stand.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from bodydouble.cli.interrupts import INTERRUPTS
from bodydouble.errors import BodydoubleError, ExitCode, InputError

if TYPE_CHECKING:
    import click


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    if arguments is None:  # else a program calls, whose signals are its own
        INTERRUPTS.install()
    try:
        code = _run(arguments)
    except KeyboardInterrupt:
        code = _say("interrupted", ExitCode.INTERRUPTED)
    except Exception:
        # An import that an interrupt broke off may report it as an error of its own.
        if not INTERRUPTS.heard:
            raise
        code = _say("interrupted", ExitCode.INTERRUPTED)
    INTERRUPTS.code = code
    if arguments is None and (INTERRUPTS.heard or threading.active_count() > 1):
        # Everything is cleaned up; no thread that still imports or waits for a cloud may hold up the end. And where
        # KeyboardInterrupt passed through an exec() on its way (dataclasses use it), Python would not return this
        # code but end itself by SIGINT.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    _fill_gaps()
    import click  # noqa: PLC0415 - the handlers come first

    from bodydouble.cli.config import SettingsError  # noqa: PLC0415
    from bodydouble.cli.group import OutputError, cli  # noqa: PLC0415
    from bodydouble.cli.notices import show_notices  # noqa: PLC0415

    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character gets another one, not a traceback.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    show_notices()
    try:
        code = cli.main(args=arguments, prog_name="bodydouble", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return _say("interrupted", ExitCode.INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return int(ExitCode.USAGE)
    except (click.ClickException, SettingsError) as error:
        return _refuse(arguments, error if isinstance(error, SettingsError) else _plain(error))
    except BodydoubleError as error:
        if INTERRUPTS.heard:
            raise KeyboardInterrupt from error
        return _say(str(error), error.exit_code)
    except OutputError as error:
        return _system_error(error.__cause__ or error)
    except OSError as error:
        return _system_error(error)
    return int(code or 0)


def _fill_gaps() -> None:
    # Where the shell closed a standard stream, the next file or pipe that is opened would take its number.
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - it stays open


def _plain(error: click.ClickException) -> InputError:
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "bodydouble"
    return InputError(text.rstrip("."), hint=f"see {command} --help")


def _refuse(arguments: Sequence[str] | None, error: InputError) -> int:
    """Say why no command ran, and write it where the command would have written its result."""
    from bodydouble.cli.group import SESSIONS, json_path  # noqa: PLC0415 - the handlers come first
    from bodydouble.cli.report import Report  # noqa: PLC0415

    given = sys.argv[1:] if arguments is None else arguments
    with suppress(BodydoubleError, OSError), Report(json_path(given), session=given[0] in SESSIONS):
        raise error
    return _say(str(error), error.exit_code)


def _say(text: str, code: ExitCode) -> int:
    with suppress(OSError):  # nobody reads it
        sys.stderr.write(f"bodydouble: {text}\n")  # in one piece, whatever other threads write
        sys.stderr.flush()
    return int(code)


def _system_error(error: BaseException) -> int:
    if not isinstance(error, OSError):
        raise error
    if error.filename is not None:
        what = f"{error.filename}: {error.strerror}"
        return _say(
            f"{what} (check that it may be written and has room; BODYDOUBLE_CACHE moves the cache)", ExitCode.USAGE
        )
    # The reader of a pipe went away (`| head`), or the disk behind a redirection is full.
    if error.errno not in (errno.EPIPE, errno.ENOSPC):
        raise error
    # Python flushes stdout once more at exit: let that find nothing to complain about.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if error.errno == errno.EPIPE:
        return int(ExitCode.PASSED)
    return _say("nothing more could be written: no space left (free some, or write elsewhere)", ExitCode.USAGE)


if __name__ == "__main__":
    sys.exit(main())
