"""The README's examples run as they stand on the page."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import soundfile

from bodydouble.cli.group import cli
from support.job import DEMO

PAGE = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
BODYDOUBLE = Path(sys.executable).parent / "bodydouble"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with a recording called hello.wav."""
    pcm, rate = soundfile.read(DEMO / "01-kitchen-light.flac", dtype="int16")
    soundfile.write(tmp_path / "hello.wav", pcm, rate)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMANDS = [
    line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.startswith("bodydouble")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line: str, folder: Path) -> None:
    words = shlex.split(line, comments=True)
    run([str(BODYDOUBLE), *words[1:]], folder)
    if words[1] != "stream":
        return
    result = json.loads((folder / "result.json").read_text())
    told = re.findall(r"^\| `(\w+)[`\[]", PAGE, re.MULTILINE)
    assert told, "the page tells the result's fields"
    assert set(told) <= result.keys()


@pytest.mark.parametrize("code", [text for kind, text in BLOCKS if kind == "python"])
def test_python(code: str, folder: Path) -> None:
    assert "The kitchen light is on." in run([sys.executable, "-c", code], folder)


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "toml"])
def test_configuration(text: str, folder: Path) -> None:
    (folder / "bodydouble.toml").write_text(text)
    result = json.loads(run([str(BODYDOUBLE), "stream", "hello.wav", "--cloud", "none", "--json", "-"], folder))
    assert result["options"]["wake"] == ["alexa", "okay_nabu"]


def options(command: click.Command) -> Iterator[str]:
    """The options of `command` and of all its subcommands."""
    for parameter in command.params:
        yield from parameter.opts
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from options(found)


def test_every_option_on_the_page_exists() -> None:
    known = set(options(cli))
    page = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))):
        assert option in known, option
