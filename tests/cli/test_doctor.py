"""`bodydouble doctor`: what is here, what is missing, and the cure for each."""

from __future__ import annotations

from pathlib import Path

from support.processes import run, strict


def test_a_healthy_machine(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    done = run("doctor", "--json", report)
    assert (done.code, done.err) == (0, "")
    assert "unix board" in done.out
    found = strict(report.read_text())
    assert found["healthy"] is True
    names = [finding["name"] for finding in found["findings"]]
    assert {"bodydouble", "cache", "unix board", "wake words", "cloud client"} <= set(names)
    assert len(names) == len(set(names))
    for finding in found["findings"]:
        assert finding["state"] in ("ok", "optional")
        assert finding["detail"]
        assert finding["cure"] or finding["state"] == "ok"


def test_json_on_stdout_is_alone_there() -> None:
    done = run("doctor", "--json", "-")
    assert strict(done.out)["healthy"] is True
    assert "unix board" in done.err


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = run("doctor", "--json", tmp_path / "out.json", env={"BODYDOUBLE_CACHE": str(tmp_path / "file" / "cache")})
    assert done.code == 1
    assert done.err == ""
    findings = {finding["name"]: finding for finding in strict((tmp_path / "out.json").read_text())["findings"]}
    assert findings["cache"]["state"] == "missing"
    assert str(tmp_path / "file") in findings["cache"]["detail"]
    assert findings["cache"]["cure"] == "set BODYDOUBLE_CACHE to another folder"
    assert "set BODYDOUBLE_CACHE to another folder" in done.out
    assert findings["wake words"]["state"] == "ok"  # the others are still looked for


def test_a_micropython_that_is_none(tmp_path: Path) -> None:
    false = tmp_path / "micropython"
    false.write_text("#!/bin/sh\nexit 1\n")
    false.chmod(0o755)
    for named in (str(false), str(tmp_path / "missing")):
        done = run("doctor", env={"BODYDOUBLE_MICROPYTHON": named})
        assert done.code == 1
        assert f"BODYDOUBLE_MICROPYTHON names {named}" in done.out
        assert "correct or unset BODYDOUBLE_MICROPYTHON" in done.out
        assert done.err == ""


def test_a_report_that_cannot_be_written() -> None:
    done = run("doctor", "--json", "/proc/out.json")
    assert done.one_line().startswith("bodydouble: cannot write /proc/out.json: ")
    assert done.code == 2
