"""`bodydouble boards flash`: an image onto a board, verified."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bodydouble.cli.boards import which_board
from bodydouble.cli.options import console, json_option
from bodydouble.cli.progress import transfer_bar
from bodydouble.cli.report import Report, to_text
from bodydouble.errors import ExitCode

if TYPE_CHECKING:
    from bodydouble.boards.flash_usb import Via


@click.command()
@click.argument("image", type=click.Path(path_type=Path), metavar="IMAGE")
@which_board
@click.option(
    "--via",
    type=click.Choice(["auto", "picotool", "drive"]),
    default="auto",
    show_default=True,
    help="Who writes; picotool where it is installed, else the board's drive.",
)
@json_option
def flash(image: Path, board: str, via: Via, json_path: str | None) -> int:
    """Write IMAGE, a .uf2 file or a .bin of the flash's contents, to a board and verify it.

    The board is brought into BOOTSEL mode by itself where it runs a program that can. An image for another chip or
    board is refused. Files on the board stay. Exits 1 where nobody could verify what was written.
    """
    with Report(json_path, session=False) as report:
        from bodydouble.boards import Selector, board_type, flash_target, probes  # noqa: PLC0415 - looks at USB
        from bodydouble.boards.flash import flash as write  # noqa: PLC0415
        from bodydouble.boards.uf2 import read_image  # noqa: PLC0415
        from bodydouble.views.boards import flash_summary  # noqa: PLC0415

        selector = Selector.parse(board)
        kind = board_type(selector.type)
        contents = read_image(image, kind)
        with flash_target(kind, selector, via=via, purpose=f"flash {image.name}") as target, transfer_bar() as tell:
            done = write(contents, target, tell)
            where = target.where
        if target.serial:
            probes.forget(target.serial)
        report.to_json = lambda: to_text({"board": board, "where": where, **asdict(done)})
        out = console(json_path)
        out.print(flash_summary(done, where), soft_wrap=True)
        if not done.verified:
            out.print("  nobody could read it back: install picotool, or see that the board's REPL answers")
        return ExitCode.PASSED if done.verified else ExitCode.EXPECTATION
