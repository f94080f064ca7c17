"""A hardware-in-the-loop emulator of an AI phone.

The stable Python API is what this module exports; everything else may change between minor versions.
"""

__version__ = "0.1.0"
