"""Makes the README's picture from the product itself: plays the demo and draws what the terminal showed.

    python tools/make_pictures.py [--check]

With --check nothing is written; exits 1 where the picture's words, its times aside, are no longer the product's.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from bodydouble.resources import demo_dir
from bodydouble.session.cloud import Cloud
from bodydouble.session.run import Run, RunOptions
from bodydouble.views.summary import summary
from bodydouble.views.tour import Tour, chapters

PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"
WIDTH = 100
CHAPTERS = (0, 2, 3)
"""Recordings in the picture: what fits a screen, and says the same on every day (the weather does not)."""


def draw() -> str:
    """The demo's first recordings as an SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    every = chapters(demo_dir())
    script = [every[number] for number in CHAPTERS]
    tour = Tour(console, script)
    run = Run(RunOptions(recordings=tuple(str(c.path) for c in script), gap_s=2.0), Cloud(), tour)
    result = run.execute()
    tour.finish()
    console.print()
    console.print(summary(result))
    return console.export_svg(title="bodydouble demo", unique_id="demo")


def words(svg: str) -> list[str]:
    """The picture's text without what differs from run to run: numbers and bars."""
    text = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)).replace("&#160;", " ")
    return re.sub(r"[\d.,█±]+", " ", text).split()


if __name__ == "__main__":
    drawn = draw()
    if "--check" in sys.argv:
        sys.exit(words(PICTURE.read_text(encoding="utf-8")) != words(drawn))
    PICTURE.write_text(drawn, encoding="utf-8")
