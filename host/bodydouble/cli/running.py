"""From parsed options to a run, its progress and its result: shared by the commands that play audio."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bodydouble.cli.interrupts import INTERRUPTS
from bodydouble.cli.report import Report, check_writable
from bodydouble.errors import BodydoubleError, ExitCode
from bodydouble.session.cloud import Cloud
from bodydouble.session.player import Observer, Settings
from bodydouble.session.result import Result
from bodydouble.session.run import Run, RunOptions
from bodydouble.views.story import Story
from bodydouble.views.summary import summary

PROGRESS_EVERY_S = 0.25
"""Of audio: the bar is not worth more."""


def run_command(given: dict[str, Any], out: Console, report: Report, story: Story | None = None) -> Result:
    """Run what the options say, told on `out`; what is known goes into `report` and the trace whatever happens."""
    story = story or Story(out)
    trace_path = given.get("trace_path")
    if trace_path:
        check_writable(trace_path, "--trace")
    run = Run(options_from(given), cloud_from(given))
    report.to_json = lambda: run.result.to_json()  # noqa: PLW0108 - a run comes to have another result
    with ExitStack() as stack:
        run.observer = tee(story, progress_bar(stack, out, given.get("seconds")))
        try:
            result = run.execute()
        except BodydoubleError as error:
            if not INTERRUPTS.heard:
                raise
            # Decoders and the like turn an interrupt inside their callbacks into an error of their own.
            INTERRUPTS.taken()
            outcome = run.result.outcome
            outcome.status = outcome.error = "interrupted"
            outcome.exit_code = int(ExitCode.INTERRUPTED)
            raise KeyboardInterrupt from error
        finally:
            if trace_path:
                run.trace.write(trace_path)
    story.finish()
    out.print()
    out.print(summary(result))
    return result


def options_from(given: dict[str, Any]) -> RunOptions:
    """Plain options from click's values."""
    return RunOptions(
        recordings=tuple(given["recordings"]),
        gap_s=given["gap_s"],
        microphone=(given["mic_device"] or "") if given["mic"] else None,
        seconds=given["seconds"],
        board=given["board"],
        tier=given["tier"],
        heap_bytes=given["heap_bytes"],
        wake=tuple(given["wake"]),
        asr=given["asr"],
        home=given["home"],
        seed=given["seed"],
        settings=Settings(
            compat=given["compat"],
            real_time=given["real_time"] or given["mic"],
            local_only=given["privacy"] == "local-only",
            endpoint_by=given["endpoint"],
            listen_at_s=tuple(given["listen_at"]),
            stall_s=given["stall_s"],
        ),
    )


def cloud_from(given: dict[str, Any]) -> Cloud:
    """The cloud that `--cloud` and its companions describe."""
    return Cloud.parse(
        given["cloud"],
        model=given["cloud_model"],
        fleet=given["fleet"],
        fault=given["cloud_fault"],
        seed=given["seed"],
    )


def tee(*observers: Observer) -> Observer:
    """One observer that tells several."""

    def tell(kind: str, facts: dict[str, Any]) -> None:
        for observer in observers:
            observer(kind, facts)

    return tell


def progress_bar(stack: ExitStack, out: Console, seconds: float | None) -> Observer:
    """A bar that follows the audio, below what `out` tells; nothing where stderr is no terminal."""
    errors = Console(stderr=True)
    if not errors.is_terminal:
        return lambda kind, facts: None
    # Two consoles on one terminal know nothing of each other's cursor: the one that prints must also hold the bar.
    terminal = out if out.is_terminal else errors
    progress = stack.enter_context(
        Progress(
            TextColumn("{task.fields[done]:.0f} s of audio"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=terminal,
            transient=True,
        )
    )
    task = progress.add_task("audio", total=seconds, done=0.0)
    shown = 0.0

    def follow(kind: str, facts: dict[str, Any]) -> None:
        nonlocal shown
        if kind == "input":
            progress.update(task, total=facts["seconds"])
        elif kind == "progress" and facts["seconds"] - shown >= PROGRESS_EVERY_S:
            shown = facts["seconds"]
            progress.update(task, completed=shown, done=shown)

    return follow
