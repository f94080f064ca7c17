"""`bodydouble boards recover`: a board that does not answer is brought back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from bodydouble.cli.boards import which_board
from bodydouble.cli.options import console, json_option
from bodydouble.cli.report import Report, to_text
from bodydouble.errors import ExitCode


@click.command()
@which_board
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="MicroPython image to flash where only BOOTSEL helps; an emulated board has its own.",
)
@click.option("--power", "power_command", metavar="COMMAND", help="Switches its power; {state} stands for on or off.")
@click.option("--hub", metavar="HUB:PORT", help="Hub and port that uhubctl switches, such as 1-1:2.")
@click.option(
    "--save-to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where files go that cannot stay on a full or damaged filesystem; without it, none is touched.",
)
@click.option(
    "--format", "reformat", is_flag=True, help="Give it a new, empty filesystem; files are saved to --save-to."
)
@json_option
def recover(
    board: str,
    image: Path | None,
    power_command: str | None,
    hub: str | None,
    save_to: Path | None,
    reformat: bool,
    json_path: str | None,
) -> int:
    """Bring back a board that does not answer, by ever harsher means, and say what each did.

    Ctrl-C, raw REPL, soft reset, reset, BOOTSEL with an image that starts nothing, power. A main.py that keeps the
    board from answering becomes main.py.bad. Exits 1 where the board is not back.
    """
    with Report(json_path, session=False) as report:
        from bodydouble.boards import Selector, board_type  # noqa: PLC0415 - looks at USB
        from bodydouble.boards.power import CommandPower, hub_power  # noqa: PLC0415
        from bodydouble.boards.reach import APPEAR_S, reach  # noqa: PLC0415
        from bodydouble.boards.recover import recover as climb  # noqa: PLC0415
        from bodydouble.boards.uf2 import read_image  # noqa: PLC0415
        from bodydouble.views.deploys import recovery_lines  # noqa: PLC0415

        selector = Selector.parse(board)
        kind = board_type(selector.type)
        switch = CommandPower(power_command) if power_command else hub_power(hub) if hub else None
        contents = read_image(image, kind) if image else None

        def tell(what: str) -> None:
            if sys.stderr.isatty():
                sys.stderr.write(f"{what} ...\n")

        with reach(kind, selector, purpose="recover it", patience_s=APPEAR_S) as reached:
            done = climb(
                reached,
                image=contents or reached.image(),
                power=switch or reached.power,
                save_to=save_to,
                reformat=reformat,
                tell=tell,
            )
        report.to_json = lambda: to_text({"board": board, **asdict(done)})
        console(json_path).print(recovery_lines(done), soft_wrap=True)
        return ExitCode.PASSED if done.healthy else ExitCode.EXPECTATION
