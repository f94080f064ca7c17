"""`bodydouble boards deploy|reset|repl`: the firmware onto a board, a fresh start, and its REPL for people."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import click
from rich.progress import DownloadColumn

from bodydouble.cli.boards import which_board
from bodydouble.cli.options import console, json_option
from bodydouble.cli.progress import transfer_bar
from bodydouble.cli.report import Report, to_text
from bodydouble.errors import BoardError, ExitCode


@click.command()
@which_board
@click.option("--quick", is_flag=True, help="Believe what the board says it has, instead of hashing its files.")
@json_option
def deploy(board: str, quick: bool, json_path: str | None) -> None:
    """Put the firmware on a board: only what differs, checked on the board, in one step.

    A cut at any moment leaves the old firmware or the new one. Your own files stay; a main.py that is not ours is
    copied to main.py.bak. The board is reset afterwards and runs the new firmware.
    """
    with Report(json_path, session=False) as report:
        from bodydouble.boards import Selector, board_type  # noqa: PLC0415 - looks at USB
        from bodydouble.boards.deploy import board_files, survey  # noqa: PLC0415
        from bodydouble.boards.deploy import deploy as put  # noqa: PLC0415
        from bodydouble.boards.firmware import build_firmware  # noqa: PLC0415
        from bodydouble.boards.reach import attention, reach, restart  # noqa: PLC0415
        from bodydouble.boards.serial_board import facts_of  # noqa: PLC0415
        from bodydouble.views.deploys import deploy_summary  # noqa: PLC0415

        selector = Selector.parse(board)
        kind = board_type(selector.type)
        with reach(kind, selector, purpose="deploy the firmware") as reached, transfer_bar(DownloadColumn()) as told:
            with attention(reached) as repl:
                told("compare", 0, 1)
                found = survey(repl, hashes=not quick)
                build = build_firmware(found.target)
                done = put(repl, board_files(build), build.sha256, found=found, verify=not quick, progress=told)
            told("restart", 0, 1)
            restart(reached)
            where = reached.where
        report.to_json = lambda: to_text(
            {"board": board, "where": where, "micropython": found.micropython, **facts_of(done)}
        )
        console(json_path).print(deploy_summary(done, where), soft_wrap=True)


@click.command()
@which_board
@json_option
def reset(board: str, json_path: str | None) -> None:
    """Reset a board as its reset pin would, and wait until it is back."""
    with Report(json_path, session=False) as report:
        from bodydouble.boards import Selector, board_type  # noqa: PLC0415 - looks at USB
        from bodydouble.boards.reach import reach, restart  # noqa: PLC0415

        selector = Selector.parse(board)
        with reach(board_type(selector.type), selector, purpose="reset it") as reached:
            seconds = restart(reached)
            where = reached.where
        report.to_json = lambda: to_text({"board": board, "where": where, "seconds": round(seconds, 3)})
        console(json_path).print(f"{where} is back after {seconds:.1f} s", soft_wrap=True)


@click.command(context_settings={"ignore_unknown_options": True})
@which_board
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND...]")
def repl(board: str, arguments: tuple[str, ...]) -> int:
    """Hand a board over to mpremote: its REPL, or any COMMAND of mpremote's (`fs ls`, `exec 'print(1)'`).

    The firmware, where it runs, is interrupted; `boards reset` starts it again. Ctrl-] leaves the REPL.
    """
    from bodydouble.boards import Selector, board_type  # noqa: PLC0415 - looks at USB
    from bodydouble.boards.reach import attention, reach  # noqa: PLC0415

    if importlib.util.find_spec("mpremote") is None:
        raise BoardError("mpremote is not installed", hint="pip install mpremote")
    selector = Selector.parse(board)
    with reach(board_type(selector.type), selector, purpose="use its REPL") as reached:
        with attention(reached) as attended:
            attended.leave()
        command = ["connect", str(reached.port()), "resume", *(arguments or ("repl",))]
        done = subprocess.run([sys.executable, "-m", "mpremote", *command], check=False)
    return ExitCode.PASSED if done.returncode == 0 else ExitCode.EXPECTATION
