"""Damaged .tflite files: each compiles or is refused in one line, quickly, in little memory."""

from __future__ import annotations

import resource
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bodydouble.compiler import ModelFileError, UnsupportedModelError, compile_model
from support.damage import damaged

SECONDS_MAX = 5.0
GROWTH_MAX = 400 << 20  # bytes of the whole process beyond those before


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    def late(_signal: int, _frame: object) -> None:
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_damaged_files(soak: bool) -> None:
    seen: Counter[str] = Counter()
    rounds = 10_000 if soak else 600
    peak = _peak_bytes()
    for seed in range(rounds):
        data, text = damaged(seed), ""
        try:
            with _deadline(SECONDS_MAX):
                compile_model(data, "m")
            seen["compiled"] += 1
        except (ModelFileError, UnsupportedModelError) as error:
            text = str(error)
            seen[type(error).__name__] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
        assert text.isprintable(), seed
        assert len(text) < 800, seed
    grown = _peak_bytes() - peak
    print(f"\n{rounds} damaged models: {dict(seen)}; the process grew by {grown >> 20} MB")
    assert min(seen[k] for k in ("compiled", "ModelFileError", "UnsupportedModelError")) > rounds / 40
    assert grown < GROWTH_MAX
