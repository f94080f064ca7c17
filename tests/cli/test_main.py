"""Wrong usage: one line on stderr that says the cure, the right exit code, no traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bodydouble import __version__
from support.processes import DEMO, RECORDINGS, environment, read_json, run, strict

MISS = RECORDINGS / "miss-electra-f2.flac"
KNOWN = "known boards: pi, pi-arm, pico, pico-sim, pico-w, pico2, unix"

# Arguments after `stream`, {miss} and {folder} filled in; the whole line; the exit code.
USAGE = {
    "no recording": (
        [],
        "name a RECORDING, - for standard input, or --mic (see bodydouble stream --help)",
        2,
    ),
    "unknown option": (
        ["{miss}", "--loud"],
        r"re:No such option:? '?--loud.* \(see bodydouble stream --help\)",
        2,
    ),
    "value missing": (
        ["{miss}", "--board"],
        r"re:Option '--board' requires an argument \(see bodydouble (stream )?--help\)",
        2,
    ),
    "board": (["{miss}", "--board", "toaster"], f"no board 'toaster' ({KNOWN})", 3),
    "board that is not said": (
        ["{miss}", "--board", "pico:"],
        "re:'pico:' names no board after the colon \\(leave the colon out, or add .+\\)",
        2,
    ),
    "wake": (
        ["{miss}", "--wake", "computer"],
        (
            "no wake word is called 'computer' (use alexa, hey_jarvis, hey_mycroft, okay_nabu, all, or a .tflite "
            "file with its .json manifest beside it)"
        ),
        2,
    ),
    "wake file": (
        ["{miss}", "--wake", "{folder}/no.tflite"],
        "{folder}/no.tflite does not exist (a wake word is a .tflite file and a .json manifest beside it)",
        2,
    ),
    "cloud": (
        ["{miss}", "--cloud", "azure"],
        "--cloud 'azure' is not known (use sim, none, bedrock or an http(s):// URL)",
        2,
    ),
    "fleet": (["{miss}", "--fleet", "abacus:16"], r"re:.*abacus.*\(.*trn2.*\)", 2),
    "fleet's size": (["{miss}", "--fleet", "trn2:many"], r"re:.*many.*\(.+\)", 2),
    "cloud model": (["{miss}", "--cloud-model", "eliza"], r"re:.*eliza.*\(.*llama-3.3-70b.*\)", 2),
    "cloud fault": (
        ["{miss}", "--cloud-fault", "strike"],
        "there is no fault 'strike' (use one of throttle, unavailable, timeout, drop, midstream, or like throttle:2)",
        2,
    ),
    "fault without the simulated cloud": (
        ["{miss}", "--cloud", "none", "--cloud-fault", "drop"],
        "only the simulated cloud can be made to fail (use --cloud sim with --cloud-fault)",
        2,
    ),
    "compat": (
        ["{miss}", "--compat", "siri"],
        "Invalid value for '--compat': 'siri' is not one of 'esphome', 'pymicro' (see bodydouble stream --help)",
        2,
    ),
    "tier": (
        ["{miss}", "--tier", "wasm"],
        "Invalid value for '--tier': 'wasm' is not one of 'asm', 'viper', 'bytecode' (see bodydouble stream --help)",
        2,
    ),
    "tier that this MicroPython cannot run": (
        ["{miss}", "--tier", "asm"],
        r"re:the unix board has no asm tier here \(choose one of: (viper, )?bytecode\)",
        2,
    ),
    "seconds": (
        ["{miss}", "--seconds", "0"],
        "Invalid value for '--seconds': 0.0 is not in the range x>=0.01 (see bodydouble stream --help)",
        2,
    ),
    "not a number": (
        ["{miss}", "--seconds", "nan"],
        "Invalid value for '--seconds': 'nan' is not a valid number of seconds (see bodydouble stream --help)",
        2,
    ),
    "privacy": (
        ["{miss}", "--asr", "cloud", "--privacy", "local-only"],
        "--asr cloud sends audio to the cloud, which local-only forbids (use --asr phone)",
        2,
    ),
    "json is a folder": (
        ["{miss}", "--json", "{folder}"],
        "cannot write {folder}: it is a folder (give --json a path that can be written)",
        2,
    ),
    "json below a file": (
        ["{miss}", "--json", "{folder}/text.wav/out.json"],
        "cannot write {folder}/text.wav/out.json: File exists (give --json a path that can be written)",
        2,
    ),
    "json in /proc": (
        ["{miss}", "--json", "/proc/out.json"],
        "cannot write /proc/out.json: No such file or directory (give --json a path that can be written)",
        2,
    ),
    "trace is a folder": (
        ["{miss}", "--trace", "{folder}/none/../text.wav/trace"],
        r"re:cannot write .*text\.wav/trace: .+ \(give --trace a path that can be written\)",
        2,
    ),
    "home": (["{miss}", "--home", "{folder}/text.wav"], r"re:.*text\.wav.*\(.+\)", 2),
    "missing file": (
        ["{folder}/gone.wav"],
        "there is no recording {folder}/gone.wav (check the path)",
        2,
    ),
    "a folder": (["{folder}"], "{folder} is a folder (name its files: {folder}/*.wav)", 2),
    "a text": (["{folder}/text.wav"], r"re:.*text\.wav.*text.*\(.+\)", 2),
    "a truncated recording": (["{folder}/cut.wav"], r"re:.*cut\.wav.*\(.+\)", 2),
    "an empty file": (["{folder}/empty.wav"], r"re:.*empty\.wav.*empty.*\(.+\)", 2),
    "the second of two is missing": (
        ["{miss}", "{folder}/gone.wav"],
        "there is no recording {folder}/gone.wav (check the path)",
        2,
    ),
    "standard input is empty": (["-"], "standard input is empty (check the command that writes to it)", 2),
    "a recording and the microphone": (
        ["{miss}", "--mic"],
        "recordings and the microphone cannot both be played (give one of them)",
        2,
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("usage")
    (folder / "text.wav").write_text("these are words, no sound\n" * 10)
    (folder / "empty.wav").write_bytes(b"")
    header = b"RIFF\x24\x7d\x00\x00WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\0\x7d\0\0"
    (folder / "cut.wav").write_bytes(header + bytes(1000))
    return folder


@pytest.mark.parametrize("mistake", USAGE)
def test_a_mistake_is_one_line(mistake: str, folder: Path) -> None:
    arguments, line, code = USAGE[mistake]
    fill = {"miss": MISS, "folder": folder}
    done = run("stream", *(argument.format(**fill) for argument in arguments))
    said = done.one_line()
    if line.startswith("re:"):
        assert re.fullmatch("bodydouble: " + line[3:], said), said
    else:
        assert said == "bodydouble: " + line.format(**fill)
    assert done.code == code
    assert done.out.strip() == ""
    assert not list(folder.glob(".*")), "a half-written file was left"


def test_a_mistake_in_the_input_is_told_in_the_report_too(tmp_path: Path) -> None:
    report = tmp_path / "new" / "folder" / "out.json"
    done = run("stream", tmp_path / "gone.wav", "--json", report)
    outcome = read_json(report)["outcome"]
    assert outcome == {
        "status": "MissingRecordingError",
        "exit_code": 2,
        "error": f"there is no recording {tmp_path}/gone.wav (check the path)",
        "processed_s": 0.0,
    }
    assert done.code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["stream", MISS, "--seed", "x", "--json", "{report}"],
        ["stream", MISS, "--json={report}", "--loud"],
        ["stream", MISS, "--json", "{report}", "--board"],
        ["stream", "--json", "{report}"],
        ["demo", "--json", "{report}", "surplus"],
    ],
    ids=["value", "option", "value missing", "no recording", "surplus"],
)
def test_a_refused_command_line_is_told_in_the_report_too(arguments: list[str | Path], tmp_path: Path) -> None:
    report = tmp_path / "new" / "out.json"
    done = run(*(str(argument).format(report=report) for argument in arguments))
    outcome = read_json(report)["outcome"]
    assert (outcome["status"], outcome["exit_code"], done.code) == ("InputError", 2, 2)
    assert "bodydouble: " + outcome["error"] == done.one_line()


def test_a_refused_settings_file_is_told_in_the_report_too(tmp_path: Path) -> None:
    (tmp_path / "bodydouble.toml").write_text("stream = 3\n")
    done = run("stream", MISS, "--json", "-", cwd=tmp_path)
    outcome = strict(done.out)["outcome"]
    assert (outcome["status"], outcome["exit_code"], done.code) == ("SettingsError", 2, 2)
    assert "bodydouble: " + outcome["error"] == done.one_line()


def test_a_refused_command_line_writes_only_where_json_says(tmp_path: Path) -> None:
    # Here --json is the missing value's stand-in, and what follows it a recording.
    recording = tmp_path / "a.flac"
    recording.write_bytes(MISS.read_bytes())
    assert run("stream", "--wake", "--json", recording, "--seed", "x").code == 2
    assert recording.read_bytes() == MISS.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.flac"]


@pytest.mark.parametrize("command", [["doctor"], ["model", "list"], ["model", "compare"]])
def test_other_commands_tell_a_refusal_as_an_error(command: list[str], tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    done = run(*command, "--json", report, "--loud")
    found = strict(report.read_text())
    assert (found["schema"], found["status"], found["exit_code"], done.code) == (1, "InputError", 2, 2)
    assert "bodydouble: " + found["error"] == done.one_line()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("board = \n", r"bodydouble: bodydouble\.toml: .*line 1.*\(correct the file, or move it away\)"),
        (
            "[stream]\nbord = 'unix'\n",
            r"bodydouble: bodydouble\.toml: \[stream\] has no option 'bord' \(did you mean 'board'\?\)",
        ),
        (
            "[stream]\nseconds = 'ten'\n",
            r"bodydouble: bodydouble\.toml: seconds: 'ten' is not a valid number of seconds \(.+\)",
        ),
        ("compat = 'siri'\n", r"bodydouble: bodydouble\.toml: compat: 'siri' is not one of .* \(.+\)"),
        ("[stream]\nwake = 3\n", r"bodydouble: no wake word is called '3' \(.+\)"),
        ("stream = 3\n", r"bodydouble: bodydouble\.toml: stream is a table of options, not 3 \(.+\)"),
        ("bord = 'x'\n", r"bodydouble: bodydouble\.toml: there is no option 'bord' \(did you mean 'board'\?\)"),
        ("[strem]\n", r"bodydouble: bodydouble\.toml: there is no command 'strem' \(did you mean 'stream'\?\)"),
        ("home = '.'\n", r"bodydouble: bodydouble\.toml: home: File '\.' is a directory \(.+\)"),
    ],
)
def test_a_mistake_in_the_settings_file_is_one_line(content: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "bodydouble.toml").write_text(content)
    done = run("stream", MISS, cwd=tmp_path)
    assert re.fullmatch(line, done.one_line()), done.err
    assert done.code == 2


def test_flag_over_variable_over_file(tmp_path: Path) -> None:
    (tmp_path / "bodydouble.toml").write_text("board = 'of-the-file'\n")
    asked = (
        ("of-the-file", [], {}),
        ("of-the-variable", [], {"BODYDOUBLE_BOARD": "of-the-variable"}),
        ("of-the-flag", ["--board", "of-the-flag"], {"BODYDOUBLE_BOARD": "of-the-variable"}),
    )
    for board, arguments, variables in asked:
        done = run("stream", MISS, *arguments, cwd=tmp_path, env=variables)
        assert done.one_line() == f"bodydouble: no board '{board}' ({KNOWN})"


def test_an_unknown_command_and_none() -> None:
    done = run("sing")
    assert done.one_line() == "bodydouble: No such command 'sing' (see bodydouble --help)"
    assert done.code == 2
    bare = run()
    assert bare.code == 2
    assert "Commands:\n  demo " in bare.err
    assert "BODYDOUBLE_*" in bare.err


def test_version_and_help_are_quick_to_give() -> None:
    version = run("--version")
    assert (version.code, version.out, version.err) == (0, f"bodydouble, version {__version__}\n", "")
    for command in ("demo", "stream", "doctor"):
        shown = run(command, "--help")
        assert shown.code == 0 and shown.err == ""
        assert f"Usage: bodydouble {command}" in shown.out


def test_the_installed_command_is_the_same() -> None:
    script = Path(sys.executable).with_name("bodydouble")
    if not script.exists():
        pytest.skip("the command is not installed beside this Python")
    assert run("--version", command=(str(script),)).out == f"bodydouble, version {__version__}\n"


def test_help_needs_no_numpy() -> None:
    # What is slow to import must not be paid for by who only asks.
    code = (
        "import sys; from bodydouble.cli.main import main; main(['stream', '--help']);"
        "assert 'numpy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr


LOST = """
import os, signal, time
from bodydouble.cli.interrupts import Interrupts
interrupts = Interrupts()
interrupts.install()

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        for _ in range(1000):
            pass

try:
    Finalised()
    time.sleep(60)
except KeyboardInterrupt:
    print("heard")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_in_a_finaliser_is_not_lost(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOST.format(name=name)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("heard\n", "")


IN_A_CALLBACK = """
import os, signal, sys
from bodydouble.cli.interrupts import INTERRUPTS
from bodydouble.cli.main import main
from bodydouble.errors import InputError
from bodydouble.session.run import Run

def play(self):
    class Finalised:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass

    Finalised()
    raise InputError("the recording is damaged", hint="copy it again")

Run._execute = play
main()
"""


def test_an_interrupt_that_shows_itself_as_an_error_is_an_interrupt(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    done = run("stream", MISS, "--json", report, command=(sys.executable, "-c", IN_A_CALLBACK))
    assert done.one_line() == "bodydouble: interrupted"
    assert done.code == 130
    outcome = read_json(report)["outcome"]
    assert (outcome["status"], outcome["exit_code"]) == ("interrupted", 130)


@pytest.mark.parametrize("where", ["cache", "home"])
def test_a_folder_that_cannot_be_used_is_one_line(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    inside = tmp_path / "file" / "folder"
    variables = {"BODYDOUBLE_CACHE": str(inside)} if where == "cache" else {}
    arguments = ["--home", inside / "home.db"] if where == "home" else []
    done = run("stream", MISS, *arguments, env=variables)
    assert str(inside) in done.one_line()
    assert done.code == 2


def test_names_that_cannot_be_printed(tmp_path: Path) -> None:
    strange = tmp_path / "a\udcff\n.flac"
    strange.write_bytes(MISS.read_bytes())
    report = tmp_path / "out.json"
    for encoding in ("ascii", "utf-8"):
        done = run("stream", strange, "--cloud", "none", "--json", report, env={"PYTHONIOENCODING": encoding})
        assert done.code == 0, done.err
        assert read_json(report)["input"]["path"]
    heard = run("stream", DEMO / "01-kitchen-light.flac", "--cloud", "none", env={"PYTHONIOENCODING": "ascii"})
    assert heard.code == 0, heard.err
    assert "heard alexa" in heard.out
