"""bodydouble.toml: the lowest of the three sources of options."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from bodydouble.cli.config import ConfiguredGroup, SettingsError, defaults_for
from bodydouble.cli.group import cli
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


@group.command()
@option("--gap", "gap_s", type=float, default=2.0)
@option("--seed", type=int, default=0)
def pause(gap_s: float, seed: int) -> tuple[float, int]:
    """A command with other options."""
    return gap_s, seed


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
        'board = "pico"\ngap = 3\n[play]\nwake = ["okay_nabu", "alexa"]\nreal-time = true\n'
    )
    assert run("play") == ("pico", ("okay_nabu", "alexa"), True)
    monkeypatch.setenv("BODYDOUBLE_BOARD", "pico2")
    assert run("play") == ("pico2", ("okay_nabu", "alexa"), True)
    assert run("play", "--board", "pi", "--wake", "hey_jarvis") == ("pi", ("hey_jarvis",), True)


def test_keys_are_called_like_the_flags(folder: Path) -> None:
    (folder / "bodydouble.toml").write_text("board = 'pico'\nseed = 1\n[pause]\ngap = 3\n")
    assert run("pause") == (3.0, 1)


def test_one_value_of_a_repeatable_option_needs_no_list(folder: Path) -> None:
    (folder / "bodydouble.toml").write_text("wake = 'okay_nabu'\n")
    assert run("play") == ("unix", ("okay_nabu",), False)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("bord = 'unix'", "there is no option 'bord' (did you mean 'board'?)"),
        ("colour = 1", "there is no option 'colour' (it may set board, gap, real-time, seed, wake)"),
        ("[paly]", "there is no command 'paly' (did you mean 'play'?)"),
        ("[sing]\nboard = 1", "there is no command 'sing' (tables may be pause, play)"),
        ("[play]\nbord = 'unix'", "[play] has no option 'bord' (did you mean 'board'?)"),
        ("[play]\ngap = 1", "[play] has no option 'gap' (it may set board, real-time, wake)"),
        ("play = 3", "play is a table of options, not 3 (write [play] and below it what it sets)"),
        ("[[play]]", "play is a table of options, not a list (write [play] and below it what it sets)"),
        ("[board]\nname = 'unix'", "board is an option, not a table (write board = and its value)"),
        ("board = ['unix']", "board is a single value, not a list (correct it there, or remove it)"),
        ("board = true", "board is a single value, not true (correct it there, or remove it)"),
        ("wake = ['alexa', ['all']]", "wake is a single value, not a list (correct it there, or remove it)"),
        ("real-time = 'often'", "real-time is true or false, not 'often' (correct it there, or remove it)"),
    ],
)
def test_what_cannot_be_meant_is_one_line_with_its_cure(folder: Path, content: str, line: str) -> None:
    (folder / "bodydouble.toml").write_text(content + "\n")
    with pytest.raises(InputError) as caught:
        run("play")
    assert str(caught.value) == f"bodydouble.toml: {line}"
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("gap = 'long'", "gap: 'long' is not a valid float"),
        ("gap = 1" + "0" * 400, "gap: int too large to convert to float"),
        ("seed = 1.5", "seed is a whole number, not 1.5"),
        ("seed = [1]", "seed is a whole number, not a list"),
    ],
)
def test_a_value_of_the_wrong_kind_names_the_file(folder: Path, content: str, line: str) -> None:
    (folder / "bodydouble.toml").write_text(content + "\n")
    with pytest.raises(InputError) as caught:
        run("pause")
    assert str(caught.value) == f"bodydouble.toml: {line} (correct it there, or remove it)"


@pytest.mark.parametrize("content", [b"board = ", b"\xff\xfe", b"[play"])
def test_a_broken_file_is_one_line(folder: Path, content: bytes) -> None:
    (folder / "bodydouble.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"bodydouble\.toml: ") as caught:
        run("play")
    assert "correct the file" in str(caught.value)


def test_a_group_has_a_table_of_its_own() -> None:
    """`[model]` holds for its commands, `[model.run]` for one; what neither has is refused by name."""
    context = click.Context(cli)
    group = cli.get_command(context, "model")
    assert group is not None
    found = defaults_for(group, {"board": "unix", "model": {"seed": 3, "run": {"count": 7}}})
    assert found["run"] == {"board": "unix", "seed": 3, "count": 7}
    assert found["bench"] == {"board": "unix", "seed": 3}
    assert found["list"] == {}
    for table, words in (
        ({"ruin": {}}, "no command model 'ruin' (did you mean 'run'?)"),
        ({"sead": 1}, "[model] has no option 'sead' (did you mean 'seed'?)"),
        ({"run": {"name": "x"}}, "[run] has no option 'name'"),
    ):
        with pytest.raises(SettingsError) as caught:
            defaults_for(group, {"model": table})
        assert words in str(caught.value)
