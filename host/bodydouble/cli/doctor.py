"""`bodydouble doctor`: what is here, what is missing, and the cure for each."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from bodydouble.cli.options import console, json_option
from bodydouble.cli.report import check_writable, write_json
from bodydouble.errors import ExitCode

MARKS = {"ok": ("✓", "green"), "missing": ("✗", "red"), "optional": ("–", "yellow")}


@click.command()
@json_option
def doctor(json_path: str | None) -> int:
    """Check what this machine has and say how to get what it lacks. Exits 1 where something needed is missing."""
    from bodydouble.session.diagnosis import diagnose  # noqa: PLC0415 - imports what it checks

    if json_path not in (None, "-"):
        check_writable(Path(str(json_path)), "--json")
    out = console(json_path)
    findings = []
    for finding in diagnose():
        findings.append(finding)
        mark, style = MARKS[finding.state]
        out.print(Text(f"{mark} ", style) + Text(f"{finding.name:<15}", "bold") + Text(finding.detail))
        if finding.cure:
            out.print(Text(f"{'':17}→ {finding.cure}", "cyan"))
    healthy = all(finding.state != "missing" for finding in findings)
    write_json(
        json_path, json.dumps({"schema": 1, "healthy": healthy, "findings": [asdict(f) for f in findings]}, indent=1)
    )
    return ExitCode.PASSED if healthy else ExitCode.EXPECTATION
