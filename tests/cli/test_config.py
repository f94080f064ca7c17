"""bodydouble.toml: the lowest of the three sources of options."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from bodydouble.cli.config import ConfiguredGroup
from bodydouble.cli.options import option
from bodydouble.errors import ExitCode, InputError


@click.group(cls=ConfiguredGroup)
def group() -> None:
    """A group like the real one."""


@group.command()
@option("--board", default="unix")
@option("--wake", multiple=True, default=("alexa",))
@option("--real-time", is_flag=True)
def play(board: str, wake: tuple[str, ...], real_time: bool) -> tuple[str, tuple[str, ...], bool]:
    """A command like the real one."""
    return board, wake, real_time


def run(*arguments: str) -> object:
    return group.main(list(arguments), standalone_mode=False)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BODYDOUBLE_BOARD", raising=False)
    return tmp_path


def test_without_a_file_the_defaults_hold() -> None:
    assert run("play") == ("unix", ("alexa",), False)


def test_the_file_is_below_variables_and_flags(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bodydouble.toml").write_text(
        'board = "pico"\nunrelated = 1\n[play]\nwake = ["okay_nabu", "alexa"]\nreal-time = true\n'
    )
    assert run("play") == ("pico", ("okay_nabu", "alexa"), True)
    monkeypatch.setenv("BODYDOUBLE_BOARD", "pico2")
    assert run("play") == ("pico2", ("okay_nabu", "alexa"), True)
    assert run("play", "--board", "pi", "--wake", "hey_jarvis") == ("pi", ("hey_jarvis",), True)


def test_an_option_that_the_command_lacks_names_those_it_has(folder: Path) -> None:
    (folder / "bodydouble.toml").write_text("[play]\nbord = 'unix'\n")
    with pytest.raises(InputError) as caught:
        run("play")
    assert str(caught.value) == ("bodydouble.toml: [play] has no option 'bord' (it may set board, real-time, wake)")
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("content", [b"board = ", b"\xff\xfe", b"[play"])
def test_a_broken_file_is_one_line(folder: Path, content: bytes) -> None:
    (folder / "bodydouble.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"bodydouble\.toml: ") as caught:
        run("play")
    assert "correct the file" in str(caught.value)
