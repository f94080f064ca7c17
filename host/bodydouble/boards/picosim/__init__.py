"""A Raspberry Pi Pico in an emulator: rp2040js under node, in a harness of our own (`harness/`).

`PicoSim.start(...)` gives a board that programs reach by a serial port, as they do a real one.
"""

from bodydouble.boards.picosim.emulator import PicoSim

__all__ = ["PicoSim"]
