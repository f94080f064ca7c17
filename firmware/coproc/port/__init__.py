# What differs between ports: the clock, the byte stream, the way out. One module per port; this one picks.
import sys

if sys.platform == "rp2":
    from coproc.port import rp2 as _current
elif sys.platform in ("linux", "darwin"):
    from coproc.port import unix as _current

ticks_us = _current.ticks_us
ticks_diff = _current.ticks_diff


def current():
    """The module of the port that runs here."""
    return _current
