"""`bodydouble boards`: which boards there are, what they need, what they say."""

from __future__ import annotations

from pathlib import Path

import click

from bodydouble.cli.group import LazyGroup
from bodydouble.cli.options import console, json_option, option
from bodydouble.cli.report import Report, to_text
from bodydouble.errors import ExitCode

COMMANDS = {
    "list": ("bodydouble.cli.boards", "list_"),
    "info": ("bodydouble.cli.boards", "info"),
    "setup": ("bodydouble.cli.boards", "setup"),
    "flash": ("bodydouble.cli.boards_flash", "flash"),
    "deploy": ("bodydouble.cli.boards_deploy", "deploy"),
    "reset": ("bodydouble.cli.boards_deploy", "reset"),
    "repl": ("bodydouble.cli.boards_deploy", "repl"),
    "recover": ("bodydouble.cli.boards_recover", "recover"),
    "build": ("bodydouble.cli.boards_build", "build"),
    "forget": ("bodydouble.cli.boards", "forget"),
}


@click.group(cls=LazyGroup, places=COMMANDS)
def boards() -> None:
    """Boards, emulated and real: list them, set this machine up for them, flash them.

    A board is TYPE[:WHICH]. WHICH is an emulated board's name, or a real one's USB serial number (the beginning is
    enough) or port; without it, the only one that is plugged in is meant.
    """


which_board = option("--board", default="unix", metavar="TYPE[:WHICH]", help="Board that is meant.")


@click.command("list")
@json_option
def list_(json_path: str | None) -> None:
    """List the boards: emulated ones and whether they can run here, real ones and where they are. Opens none."""
    with Report(json_path, session=False) as report:
        from bodydouble.boards import discovery, known_boards  # noqa: PLC0415 - looks at USB
        from bodydouble.boards.survey import facts, survey  # noqa: PLC0415
        from bodydouble.views.boards import board_list  # noqa: PLC0415

        found = survey(known_boards(), discovery.HERE)
        report.to_json = lambda: to_text(facts(found))
        console(json_path).print(board_list(found), soft_wrap=True)


@click.command()
@which_board
@click.option("--cached", is_flag=True, help="Ask nothing: show what the board said when it was last asked.")
@json_option
def info(board: str, cached: bool, json_path: str | None) -> None:
    """Say what a board is: its type, where it is, who uses it, and what it says of itself.

    Asking a real board interrupts the program that it runs.
    """
    with Report(json_path, session=False) as report:
        from bodydouble.boards import Selector, board_type, discovery, open_board, probes  # noqa: PLC0415 - looks at USB
        from bodydouble.boards.locks import BoardLock, holder  # noqa: PLC0415
        from bodydouble.boards.survey import device_facts, probe_facts  # noqa: PLC0415
        from bodydouble.views.boards import board_info  # noqa: PLC0415

        selector = Selector.parse(board)
        kind = board_type(selector.type)
        device, probe, live = None, None, {}
        if kind.usb:
            device = discovery.resolve(kind, selector, discovery.HERE, bootsel=True)
            probe = device.probe
            if not cached and device.mode == "micropython":
                with BoardLock(device.key, board=board, purpose="ask what it is"):
                    probe = probes.ask_board(device.serial, device.port)
                if device.serial:
                    probes.write_probe(probe)
        elif not cached:
            with open_board(board) as opened:
                live = opened.info
        user = holder(device.key) if device else None
        report.to_json = lambda: to_text(
            {
                "type": kind.model_dump(),
                "device": device_facts(device, user) if device else None,
                "probe": probe_facts(probe) if probe else None,
                "live": live,
            }
        )
        console(json_path).print(board_info(kind, device, user, probe, live), soft_wrap=True)


@click.command()
@click.option("--write", is_flag=True, help="Write the udev rule; needs permission for /etc.")
@json_option
def setup(write: bool, json_path: str | None) -> int:
    """Say what this machine needs for real boards: what is right already, and the exact command for the rest.

    Exits 1 where something is missing.
    """
    with Report(json_path, session=False) as report:
        from dataclasses import asdict  # noqa: PLC0415

        from bodydouble.boards import known_boards  # noqa: PLC0415 - reads the board files
        from bodydouble.boards import setup as needs  # noqa: PLC0415
        from bodydouble.views.boards import setup_steps  # noqa: PLC0415

        kinds, machine, out = known_boards(), needs.Machine(), console(json_path)
        written: Path | None = None
        if write:
            written = needs.write_rules(machine, kinds)
            out.print(f"wrote {written}; now run: {needs.RELOAD}", soft_wrap=True)
        steps = needs.steps(machine, kinds)
        rules = needs.rules(kinds) if machine.platform == "linux" else ""
        complete = all(step.state != "missing" for step in steps)
        report.to_json = lambda: to_text(
            {
                "complete": complete,
                "steps": [asdict(step) for step in steps],
                "rules": rules,
                "written": str(written) if written else None,
            }
        )
        out.print(setup_steps(steps), soft_wrap=True)
        if rules and any(step.name == needs.RULE and step.state == "missing" for step in steps):
            out.print(f"\nThe rule, /{needs.RULES}:\n", style="dim")
            out.print(rules, markup=False, soft_wrap=True, end="")
        return ExitCode.PASSED if complete else ExitCode.EXPECTATION


@click.command()
@click.argument("names", nargs=-1, metavar="[SERIAL]...")
@click.option("--all", "everything", is_flag=True, help="Every board that is known.")
@json_option
def forget(names: tuple[str, ...], everything: bool, json_path: str | None) -> None:
    """Drop what boards said of themselves: by USB serial number, or all of it."""
    with Report(json_path, session=False) as report:
        from bodydouble.boards import probes  # noqa: PLC0415 - reads the cache
        from bodydouble.boards.errors import NoSuchBoardError  # noqa: PLC0415
        from bodydouble.errors import InputError  # noqa: PLC0415

        known = {probe.serial.upper(): probe.serial for probe in probes.all_probes()}
        if bool(names) == everything:
            raise InputError(
                "name boards by their serial numbers, or --all", hint="bodydouble boards list shows them"
            )
        wanted = list(known) if everything else [name.rpartition(":")[2].upper() for name in names]
        for serial in wanted:
            if serial not in known:
                there = ", ".join(known.values()) or "none"
                raise NoSuchBoardError(f"nothing is known of a board {serial}", hint=f"known: {there}")
        for serial in wanted:
            probes.forget(serial)
        report.to_json = lambda: to_text({"forgotten": [known[serial] for serial in wanted]})
        boards_ = "board" if len(wanted) == 1 else "boards"
        console(json_path).print(f"forgot {len(wanted)} {boards_}")
