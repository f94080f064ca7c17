"""Measures on a running board what eventless hops allocate, link included."""

from __future__ import annotations

from typing import Any

import numpy as np

from bodydouble.boards import Board, open_board
from bodydouble.compiler.cache import load_plan
from bodydouble.compiler.packing import best_packing
from bodydouble.link.wire import Channel
from bodydouble.session.words import find_words

PIECE = 960


def audit(words: list[str], hops: int, tier: str | None = None) -> dict[str, Any]:
    """Bytes that `hops` hops of noise allocate on a `unix` board with `words` loaded, and how low its heap went."""
    with open_board("unix", tier=tier) as board:
        return audit_board(board, words, hops)


def audit_board(board: Board, words: list[str], hops: int, *, patience_s: float = 10.0) -> dict[str, Any]:
    """The same on a board that is open and has no words loaded."""
    noise = np.random.default_rng(5).normal(0, 500, 160 * (hops + 300)).astype("<i2").tobytes()
    free = []
    for word in find_words(words):
        plan = load_plan(word.path, packing=best_packing(board.info["packings"]))
        rule = word.rule("esphome")
        reply = board.upload(word.name, plan.blob, arena=plan.arena_bytes, timeout_s=patience_s, **rule)
        free.append(reply["heap_free"])
    board.request("start", timeout_s=patience_s)
    board.poll(0.0)  # what it had to say of the models
    ident = board._ask("audit", {"hops": hops})
    connection = board.connection
    for at in range(0, len(noise), PIECE):
        while connection.credit(Channel.AUDIO) < PIECE:
            told = [one for one in board.poll(0.05) if one.channel == Channel.EVENT]
            assert not told, "an audit's hops must be eventless"
        connection.send(Channel.AUDIO, noise[at : at + PIECE])
        board.poll(0.0)
    report = board._reply(ident, "audit", patience_s)
    stats = board.request("stats", timeout_s=patience_s)["stats"]
    return {
        **report,
        "heap_bytes": board.info.get("heap_bytes"),
        "heap_free_after_imports": board.info["heap_free"],
        "heap_free_after_models": free,
        "heap_low": stats["heap_low"],
    }
