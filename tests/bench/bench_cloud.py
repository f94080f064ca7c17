"""What the simulated cloud costs on the host: starting it, its first answer, its steady answers.

    python tests/bench/bench_cloud.py

Every start is a fresh process. "Answer" is a whole ConverseStream by boto3's client, "service" what the service says
that it took itself; the simulated time is waited for by nobody.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cloud.kit import client, tool_config, user

ROUNDS = 5
ANSWERS = 100
SENTENCES = (
    "turn on the kitchen light",
    "unlock the front door",
    "what is the weather tomorrow",
    "set a pasta timer for one hour and ten minutes",
    "add milk and eggs to the list and lock the front door",
    "turn on the kitchin light",
    "the quick brown fox",
)


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what came of it."""
    started = time.perf_counter()
    result = action()
    return (time.perf_counter() - started) * 1e3, result


def answer(bedrock: Any, model_id: str, sentence: str) -> float:
    """Milliseconds that the service itself took for one answer."""
    response = bedrock.converse_stream(modelId=model_id, messages=[user(sentence)], toolConfig=tool_config())
    list(response["stream"])
    return int(response["ResponseMetadata"]["HTTPHeaders"]["x-bodydouble-service-us"]) / 1e3


def start(prewarm: bool) -> dict[str, float]:
    """One start in this process, which must be fresh."""
    figures: dict[str, float] = {}
    figures["import"], module = timed(lambda: __import__("bodydouble.cloud.server", fromlist=["CloudServer"]))
    figures["construct"], server = timed(module.CloudServer)
    figures["start to accepting"], _ = timed(server.start)
    if prewarm:
        figures["prewarm"], _ = timed(server.prewarm)
    bedrock = client(server.url)
    figures["first answer"], _ = timed(lambda: answer(bedrock, server.model_id, SENTENCES[0]))
    bedrock.close()
    figures["stop"], _ = timed(server.stop)
    return figures


def started(prewarm: bool) -> dict[str, float]:
    """Medians over fresh processes."""
    runs = []
    for _ in range(ROUNDS):
        command = [sys.executable, __file__, "prewarm" if prewarm else "cold"]
        runs.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    """Print both tables."""
    if len(sys.argv) > 1:
        print(json.dumps(start(sys.argv[1] == "prewarm")))
        return
    starts = Table("ms, median of 5 processes", "cold", "prewarmed", title="Starting")
    cold, warm = started(False), started(True)
    for name in warm:
        starts.add_row(name, *(f"{run[name]:.1f}" if name in run else "-" for run in (cold, warm)))

    from bodydouble.cloud.server import CloudServer

    steady = Table("sentence", "answer p50", "answer p99", "service p50", "service p99", title="Steady, ms")
    with CloudServer() as server:
        bedrock = client(server.url)
        for sentence in SENTENCES:
            answer(bedrock, server.model_id, sentence)
            runs = [timed(lambda text=sentence: answer(bedrock, server.model_id, text)) for _ in range(ANSWERS)]
            columns = [sorted(run[0] for run in runs), sorted(run[1] for run in runs)]
            figures = [f"{column[at]:.2f}" for column in columns for at in (ANSWERS // 2, ANSWERS - 2)]
            steady.add_row(sentence, *figures)
        bedrock.close()
    console = Console()
    console.print(starts)
    console.print(steady)


if __name__ == "__main__":
    main()
