"""The entry point: turns errors into one line on stderr and an exit code, never a traceback for a user's mistake."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from bodydouble import __version__
from bodydouble.cli.config import ConfiguredGroup
from bodydouble.errors import BodydoubleError, ExitCode

COMMANDS = {
    "demo": ("bodydouble.cli.demo", "demo"),
    "stream": ("bodydouble.cli.stream", "stream"),
    "doctor": ("bodydouble.cli.doctor", "doctor"),
}
"""Command to the module and function that holds it: a command's imports are paid for only when it runs."""


class LazyGroup(ConfiguredGroup):
    """Loads a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Commands in the order of a first acquaintance."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(__import__(module, fromlist=[name]), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bodydouble")
def cli() -> None:
    """A hardware-in-the-loop emulator of an AI phone.

    Options come as flags, as BODYDOUBLE_* variables, or from bodydouble.toml, in that order of precedence.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = cli.main(args=arguments, prog_name="bodydouble", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return _say("interrupted", ExitCode.INTERRUPTED)
    except KeyboardInterrupt:
        return _say("interrupted", ExitCode.INTERRUPTED)
    except click.ClickException as error:
        return _say(_one_line(error), ExitCode.USAGE)
    except BodydoubleError as error:
        return _say(str(error), error.exit_code)
    except OSError as error:
        return _broken_output(error)
    return int(code or 0)


def _terminated(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    # SIGTERM ends a session as Ctrl-C does: the board's child, the service and half-written files are cleaned up.
    raise KeyboardInterrupt


def _one_line(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if context is not None and context.command_path:
        text = f"{text.rstrip('.')} (see {context.command_path} --help)"
    return text


def _say(text: str, code: ExitCode) -> int:
    print(f"bodydouble: {text}", file=sys.stderr)
    return int(code)


def _broken_output(error: OSError) -> int:
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
